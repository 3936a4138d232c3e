"""`--workers N`: a training in several processes of this machine."""

import json
import subprocess
import sys

import numpy as np
import pytest

import zoo
from zoo.cli.main import main

TRAIN = ["train", "char-lm", "--dataset", "python-topics", "--units", "16"]
TRAIN += ["--epochs", "2", "--batch-size", "32", "--dropout", "0"]
TRAIN += ["--embedding-dropout", "0"]


def test_a_number_below_1_is_refused(capsys, tmp_path):
    assert main([*TRAIN, "--out", str(tmp_path / "x"), "--workers", "0"]) == 2
    assert "`--workers` must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_train_what_one_process_trains(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, more in zip(folders, ([], ["--workers", "2"]), strict=True):
        command = [sys.executable, "-m", "zoo.cli.main", *TRAIN, "--out", str(folder)]
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "cross-entropy" in done.stdout
    presets = [zoo.from_preset(folder / "preset") for folder in folders]
    for a, b in zip(*(p.model.get_weights() for p in presets), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    one, two = (json.loads((f / "history.json").read_text()) for f in folders)
    np.testing.assert_allclose(one["val_loss"], two["val_loss"], atol=1e-5)
    more = ["resume", str(folders[1]), "--epochs", "3"]
    command = [sys.executable, "-m", "zoo.cli.main", *more, "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((folders[1] / "history.json").read_text())["loss"]) == 3
