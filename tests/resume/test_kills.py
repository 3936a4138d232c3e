"""Processes that are killed or told to end, and run again."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from bptt_keras.resume import saves
from tests.conftest import ROOT

PROGRAM = """
import hashlib, os, sys
import keras, numpy as np
import bptt_keras as bk
from tests.resume.cases import KINDS, new_trainer, without_speed, series

folder, kind, epochs = sys.argv[1:4]
keras.utils.set_random_seed(3)
trainer = new_trainer()
x = series(2000).reshape(50, 40, 2)
callbacks = [
    keras.callbacks.CSVLogger(os.path.join(folder, "log.csv")),
    keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=0.01),
    bk.callbacks.Resume(os.path.join(folder, "saves"), every=2),
]
history = trainer.fit(**KINDS[kind](), epochs=int(epochs), verbose=0,
                      validation_data=(x, x), callbacks=callbacks).history
values = [np.asarray(v) for v in (*trainer.weights, *trainer.optimizer.variables)]
digest = hashlib.md5(b"".join(v.tobytes() for v in values)).hexdigest()
print("RESULT", digest, without_speed(history))
"""


def started(folder, kind, epochs=40):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), kind, str(epochs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-2000:]
    return next(line for line in out.splitlines() if line.startswith("RESULT"))


def wait_for_save(process, folder, number):
    """Waits until a save with at least this number is there."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if any(int(p.name[5:17]) >= number for p in saves.found(folder / "saves")):
            return
        time.sleep(0.01)


# Of each kind of data. With 13 there are 52 in all.
KILLS = int(os.environ.get("BPTT_KERAS_TEST_KILLS", "4"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["streams", "sequences", "pack", "generator"])
def test_kills_at_any_moment_change_nothing(kind, tmp_path):
    expected = result(started(tmp_path / "whole", kind))
    draws, kills, number = random.Random(kind), 0, 1
    while kills < KILLS:
        process = started(tmp_path / "cut", kind)
        wait_for_save(process, tmp_path / "cut", number)
        time.sleep(draws.random() * 0.1)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        newest = saves.found(tmp_path / "cut" / "saves")
        if process.returncode == 0:
            break
        number = 1 + (int(newest[0].name[5:17]) if newest else 0)
    assert kills >= min(KILLS, 3)
    assert result(started(tmp_path / "cut", kind)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_signal_saves_once_more_and_ends_as_it_would_have(number, tmp_path):
    expected = result(started(tmp_path / "whole", "streams", 20))
    process = started(tmp_path / "cut", "streams", 20)
    wait_for_save(process, tmp_path / "cut", 3)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert "Saving, then ending." in out
    if number == signal.SIGTERM:
        assert process.returncode == -signal.SIGTERM
    else:
        assert process.returncode in (1, -signal.SIGINT, 130)
        assert "KeyboardInterrupt" in error
    assert result(started(tmp_path / "cut", "streams", 20)) == expected
