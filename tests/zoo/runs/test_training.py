import contextlib
import csv
import io
import json
import math
import re
import signal

import pytest

import zoo
from zoo.cli.main import main

TEXT = "to be or not to be, that is the question: " * 250
PRESET = {"README.md", "config.json", "metadata.json", "model.weights.h5"}
FILES = {
    ".lock",
    "checkpoint",
    "checkpoint/lock",
    "checkpoint/training.json",
    "checkpoint/training-copy.json",
    "checkpoint/save",
    "history.csv",
    "history.json",
    "loss.png",
    "grad_norm.png",
    "looks.json",
    "sample.txt",
    *(f"{folder}/{name}" for folder in ("preset", "last") for name in PRESET),
    "preset",
    "last",
}
# Without XLA, whose compilation takes longer than these runs; `trained` has it.
SMALL = "--units 16 --embedding 8 --batch-size 8 --window 25 --jit off".split()


def train(folder, *options, text=TEXT):
    (folder / "my.txt").write_text(text)
    data = ["--data", str(folder / "my.txt"), "--out", str(folder / "out")]
    return main(["train", "char-lm", *data, *SMALL, *options])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short training; in it the text and `out`."""
    folder = tmp_path_factory.mktemp("trained")
    options = "--epochs 4 --learning-rate 0.02 --clip 0.5 --seed 7 --jit auto".split()
    assert train(folder, *options) == 0
    return folder


@pytest.fixture
def history(trained):
    return json.loads((trained / "out" / "history.json").read_text())


@pytest.fixture
def metadata(trained):
    return json.loads((trained / "out" / "preset" / "metadata.json").read_text())


def test_training_writes_exactly_these_files(trained):
    out = trained / "out"
    # The name of a save has its number and a digest.
    found = {p.relative_to(out).as_posix().split("-0")[0] for p in out.rglob("*")}
    assert found == FILES


def test_validation_loss_falls_below_the_unigram_baseline(history, metadata):
    losses = history["val_loss"]
    assert losses[-1] < losses[0]
    assert min(losses) < metadata["baselines"]["unigram (order 1)"]


def test_history_holds_what_the_progress_bar_shows(trained, history):
    names = {"epoch", "loss", "bpc", "grad_norm", "val_loss", "val_bpc"}
    assert set(history) >= names
    assert history["epoch"] == [1, 2, 3, 4]
    for loss, bpc in zip(history["val_loss"], history["val_bpc"], strict=True):
        assert bpc == pytest.approx(loss / math.log(2))
    with open(trained / "out" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]


def test_metadata_says_how_the_preset_came_about(trained, metadata, history):
    assert metadata["task"] == "char-lm"
    assert metadata["metric"]["value"] == min(history["val_loss"])
    assert metadata["metric"]["epoch"] == 1 + history["val_loss"].index(
        min(history["val_loss"])
    )
    assert metadata["data"]["name"] == "my.txt"
    assert metadata["data"]["train_characters"] == int(0.9 * len(TEXT))
    assert metadata["seed"] == metadata["recipe"]["seed"] == 7
    assert metadata["recipe"]["clip"] == 0.5
    assert set(metadata["versions"]) == {"python", "tensorflow", "keras", "bptt_keras"}
    assert metadata["wall_time_seconds"] > 0
    assert metadata["machine"]
    assert metadata["parameters"] == sum(
        math.prod(w.shape) for w in zoo.from_preset(trained / "out").model.weights
    )


def test_evaluate_reproduces_the_stored_metric(trained, metadata, capsys):
    command = ["evaluate", str(trained / "out"), "--data", str(trained / "my.txt")]
    assert main(command) == 0
    out = capsys.readouterr().out
    values = re.findall(r"([\d.]+) nats/char|same data: ([\d.]+)", out)
    values = [float(a or b) for a, b in values]
    assert values == [round(metadata["metric"]["value"], 4)] * 2


def test_generate_continues_a_prompt_the_same_way_with_the_same_seed(trained, capsys):
    texts = []
    for seed in (1, 1, 2):
        options = f"--prompt to --length 40 --temperature 1.5 --seed {seed}".split()
        assert main(["generate", str(trained / "out"), *options]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("to")


def test_training_refuses_its_own_output_folder_without_overwrite(trained, capsys):
    before = (trained / "out" / "history.json").read_bytes()
    assert train(trained, "--epochs", "1") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (trained / "out" / "history.json").read_bytes() == before


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The folder of another training, and what the terminal showed meanwhile."""
    folder = tmp_path_factory.mktemp("shown")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert train(folder, "--epochs", "2", "--seed", "3") == 0
    return folder, out.getvalue()


@pytest.mark.slow
def test_terminal_shows_progress_result_and_sample(shown):
    _, out = shown
    for text in (
        "char-lm on my.txt: train characters 9,450, validation characters 1,050",
        "to beat (cross-entropy, in nats per character): 5-gram",
        "window  25 timesteps",
        "epoch 1/2  cross-entropy ",
        "  validation ",
        "bits/char) best",
        "gradient norm",
        "nats/char  bits/char",
        "this model",
        "5-gram (interpolated)",
        "uniform (chance)",
        "a sample, at temperature 0.8",
        "bptt-zoo generate",
    ):
        assert text in out
    # All callbacks of the zoo say what their state is.
    assert "Not saved" not in out


@pytest.mark.slow
def test_same_seed_gives_the_same_history(shown, tmp_path):
    assert train(tmp_path, "--epochs", "2", "--seed", "3") == 0
    losses = [
        json.loads((folder / "out" / "history.json").read_text())["val_loss"]
        for folder in (shown[0], tmp_path)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_overwriting_removes_what_the_earlier_run_wrote(tmp_path, monkeypatch):
    out = tmp_path / "out"
    (out / "preset").mkdir(parents=True)
    (out / "history.csv").touch()
    (out / "notes.txt").touch()

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    from zoo.runs.training import Run

    monkeypatch.setattr(Run, "fit", interrupt)
    assert train(tmp_path, "--overwrite") == 130
    assert {path.name for path in out.iterdir()} == {".lock", "notes.txt"}


@pytest.mark.slow
def test_interrupted_training_leaves_the_best_model_so_far(
    tmp_path, monkeypatch, capsys
):
    from zoo.runs.monitoring import Recorder

    begin = Recorder.on_epoch_begin

    def interrupt(self, epoch, logs=None):
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)
        begin(self, epoch, logs)

    monkeypatch.setattr(Recorder, "on_epoch_begin", interrupt)
    assert train(tmp_path, "--epochs", "9") == 130
    assert "The best model so far is in" in capsys.readouterr().out
    preset = zoo.from_preset(tmp_path / "out")
    assert preset.metadata["metric"]["epoch"] in (1, 2)
    assert (tmp_path / "out" / "loss.png").exists()
    # Ended where it stands, it is measured as a whole training is.
    assert main(["resume", str(tmp_path / "out"), "--stop"]) == 0
    stopped = zoo.from_preset(tmp_path / "out")
    assert stopped.metadata["stopped_after"] == 2
    assert stopped.metadata["metric"] == preset.metadata["metric"]
    assert (
        "stopped after\n  2 of 9 epochs"
        in (tmp_path / "out" / "preset" / "README.md").read_text()
    )
    assert main(["resume", str(tmp_path / "out")]) == 2


@pytest.mark.slow
def test_a_nan_loss_is_a_failure_that_says_so(tmp_path, capsys):
    options = "--epochs 3 --learning-rate 1e9 --clip 0".split()
    assert train(tmp_path, *options) == 1
    error = capsys.readouterr().err
    assert "no longer a number in epoch 1" in error
    assert error.count("\n") == 1


@pytest.mark.slow  # a training of its own for one number
def test_characters_that_only_validation_has_are_counted_as_unknown(tmp_path):
    assert train(tmp_path, "--epochs", "1", text=TEXT + "Ω%" * 5) == 0
    metadata = zoo.from_preset(tmp_path / "out").metadata
    assert metadata["data"]["unknown_validation_characters"] == 10
