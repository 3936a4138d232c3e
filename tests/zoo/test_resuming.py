"""Training that resumes: after its end, from a preset, with changes."""

import json
import shutil

import numpy as np
import pytest

import zoo
from zoo.cli.main import main
from zoo.runs.monitoring import KeepBest

TEXT = "to be or not to be, that is the question: " * 60
OPTIONS = "--batch-size 8 --window 20 --jit off --epochs 2".split()
SMALL = [*"--units 12 --embedding 6".split(), *OPTIONS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with `my.txt` and the training `out`, begun with a relative path."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "my.txt").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        data = "--data my.txt --out out --learning-rate 0.01".split()
        assert main(["train", "char-lm", *data, *SMALL]) == 0
    return folder


@pytest.fixture
def mine(trained, tmp_path):
    """A copy of that training, whose data may be changed."""
    shutil.copytree(trained / "out", tmp_path / "out")
    text = trained / "my.txt"
    yield tmp_path / "out"
    text.write_text(TEXT)


def history(run):
    return json.loads((run / "history.json").read_text())


def test_finished_training_says_how_to_continue(mine, refused):
    assert "ended, after 2 of 2 epochs. With --epochs N" in refused("resume", mine)
    assert "above 2, which are done" in refused("resume", mine, "--epochs", 2)
    assert "extends it" in refused("resume", mine, "--epochs", 3, "--stop")


def test_more_epochs_are_added_to_those_that_are_done(mine, run):
    before = history(mine)
    code, out, err = run("resume", mine, "--epochs", 3)
    assert code == 0, err
    after = history(mine)
    assert after["epoch"] == [1, 2, 3]
    assert after["val_loss"][:2] == before["val_loss"]
    assert after["val_loss"][2] < before["val_loss"][1]
    metadata = zoo.from_preset(mine / "last").metadata
    assert metadata["epochs"] == metadata["recipe"]["epochs"] == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT + "more of it", "train_characters was 2268, is 2277"),
        (TEXT.replace("be", "me"), "sha256 was"),
    ],
)
def test_other_data_are_refused_by_name(trained, mine, refused, text, words):
    (trained / "my.txt").write_text(text)
    error = refused("resume", mine, "--epochs", 3)
    assert "begun with other data" in error and words in error


def test_a_damaged_checkpoint_is_refused_in_a_sentence(mine, refused):
    (save,) = (mine / "checkpoint").glob("save-*.npz")
    save.write_bytes(save.read_bytes()[:-50])
    error = refused("resume", mine, "--epochs", 3)
    assert "cannot be resumed. All saves in" in error and "are damaged" in error
    for path in (mine / "checkpoint").glob("training*.json"):
        path.write_bytes(path.read_bytes()[:-9])
    error = refused("resume", mine)
    assert "training.json is damaged" in error and "So is its copy" in error


def test_the_last_weights_are_kept_beside_the_best(trained):
    last = zoo.from_preset(trained / "out" / "last")
    assert last.metadata["metric"]["epoch"] == 2
    assert last.metadata["metric"]["value"] == history(trained / "out")["val_loss"][-1]


@pytest.mark.slow
def test_a_training_begins_with_the_weights_of_a_preset(trained, tmp_path, run):
    (tmp_path / "new.txt").write_text(TEXT + TEXT.replace("question", "Ω"))
    options = ["--from", trained / "out", "--learning-rate", 1e-9, *OPTIONS]
    data = ["--data", tmp_path / "new.txt", "--out", tmp_path / "out"]
    code, out, err = run("train", "char-lm", *data, *options)
    assert code == 0, err
    old, new = zoo.from_preset(trained / "out"), zoo.from_preset(tmp_path / "out")
    assert new.processing == old.processing
    assert new.metadata["recipe"]["units"] == 12
    for a, b in zip(old.model.get_weights(), new.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert "of the characters are unknown to it" in out
    # And goes on from its checkpoint, not from the preset.
    code, out, err = run("resume", tmp_path / "out", "--epochs", 3)
    assert code == 0, err


def test_a_preset_of_another_model_or_task_is_refused_as_a_start(
    trained, tmp_path, refused
):
    data = ["--data", trained / "my.txt", "--out", tmp_path / "out", *OPTIONS]
    start = ["--from", trained / "out"]
    assert "a preset of another model" in refused(
        "train", "char-lm", *data, *start, "--units", 13
    )
    assert "a preset of char-lm, not of word-lm" in refused(
        "train", "word-lm", *data, *start
    )


@pytest.mark.slow
def test_patience_ends_a_training_early(trained, tmp_path, run, monkeypatch):
    monkeypatch.setattr(KeepBest, "_is_better", lambda self, now: False)
    data = ["--data", trained / "my.txt", "--out", tmp_path / "out"]
    options = [*SMALL, "--epochs", 9, "--patience", 1]
    code, out, err = run("train", "char-lm", *data, *options)
    assert code == 0, err
    assert history(tmp_path / "out")["epoch"] == [1, 2]
    assert zoo.from_preset(tmp_path / "out").metadata["stopped_after"] == 2


def test_a_column_is_not_taken_for_a_file_of_that_name(tmp_path, monkeypatch):
    from zoo.cli.commands.train import COMMAND, origin_of
    from zoo.cli.main import build_parser

    monkeypatch.chdir(tmp_path)
    for name in ("date", "held.txt"):
        (tmp_path / name).touch()

    def reading(task, *options):
        command = ["train", task, "--out", "o", "--data", "a", *options]
        options = COMMAND.read(build_parser().parse_args(command))
        return origin_of(options)["reading"]

    assert reading("forecasting", "--time", "date") == {"time": "date"}
    whole = reading("char-lm", "--validation", "held.txt", "--encoding", "date")
    assert whole == {"validation": str(tmp_path / "held.txt"), "encoding": "date"}
