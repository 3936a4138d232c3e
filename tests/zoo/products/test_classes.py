"""Classes of new series, in Python and on the command line."""

import csv
import dataclasses

import numpy as np
import pytest

import zoo
from zoo.cases.labelled import LabelledCases
from zoo.classification.recipe import ClassificationRecipe
from zoo.cli.main import main
from zoo.runs.evaluation import adapted
from zoo.system.errors import UserError
from zoo.tasks import TASKS

TASK = TASKS["classification"]


@pytest.fixture(scope="module")
def preset():
    """Not trained, but for its last layer: rising series are up."""
    draw = np.random.default_rng(0)
    cases = [
        (draw.normal(size=(9, 2)) * [1, 5] + [0, 40], "up down".split()[i % 2])
        for i in range(10)
    ]
    data = LabelledCases.of("lines", cases, cases, "made")
    recipe = ClassificationRecipe(units=4, stride=2, convolutions=1, pooling="all")
    return zoo.Preset(
        TASK.build_model(data, recipe),
        TASK.processing(data, recipe),
        {
            "task": "classification",
            "recipe": dataclasses.asdict(recipe),
            "metric": {"name": "accuracy", "unit": "", "part": "test", "value": 0.5}
            | {"epoch": 1},
            "data": data.describe(),
            "parameters": 1,
            "wall_time_seconds": 1,
            "baselines": {},
            "references": {},
            "versions": {},
        },
    )


@pytest.fixture(scope="module")
def folder(preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "lines"
    zoo.save_to_preset(folder, preset)
    return folder


@pytest.mark.slow
def test_probabilities_are_those_of_the_model(preset):
    draw = np.random.default_rng(1)
    series = [draw.normal(size=(n, 2)) + [0, 40] for n in (7, 3, 12)]
    labels, probabilities = zoo.predict_classes(preset, series)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    classes = preset.processing["classes"]
    assert labels == [classes[i] for i in probabilities.argmax(axis=1)]
    # One at a time, so nothing is padded.
    for one, row in zip(series, probabilities, strict=True):
        _, (alone,) = zoo.predict_classes(preset, [one])
        np.testing.assert_allclose(alone, row, atol=1e-5)


def test_long_series_are_read_in_pieces_with_the_same_result(preset, monkeypatch):
    draw = np.random.default_rng(1)
    series = [draw.normal(size=(n, 2)) + [0, 40] for n in (7, 3, 12)]
    _, whole = zoo.predict_classes(preset, series)
    monkeypatch.setattr("zoo.products.classes.CHUNK", 2)
    _, pieces = zoo.predict_classes(preset, series)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_no_series_have_no_classes(preset):
    labels, probabilities = zoo.predict_classes(preset, [])
    assert labels == [] and probabilities.shape == (0, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((3, 1)), r"Series 0 must be \(timesteps, 2\).*\(3, 1\)"),
        (np.ones((0, 2)), "must be"),
        (np.ones((2, 2, 2)), "must be"),
        (np.full((3, 2), np.nan), "no finite numbers"),
        (np.full((3, 2), 1e31), "a value beyond 1e\\+30"),
        (np.full((3, 2), "x"), "no finite numbers"),
    ],
)
def test_series_of_another_kind_are_refused(preset, values, message):
    with pytest.raises(UserError, match=message):
        zoo.predict_classes(preset, [values])


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["up"]},
        {"classes": ["up", "up"]},
        {"classes": "up"},
        {"mean": [0.0]},
        {"deviation": [0.0, 1.0]},
        {"deviation": None},
    ],
)
def test_a_damaged_preset_is_refused(preset, change):
    damaged = dataclasses.replace(preset, processing={**preset.processing, **change})
    with pytest.raises(UserError, match="do not fit together"):
        zoo.predict_classes(damaged, [np.ones((3, 2))])
    other = dataclasses.replace(preset, metadata={"task": "forecasting"})
    with pytest.raises(UserError, match="one of the task classification"):
        zoo.predict_classes(other, [np.ones((3, 2))])


def test_data_are_read_as_the_preset_reads_them(preset):
    cases = [(np.full((4, 2), 7.0), "up")] * 5 + [(np.zeros((4, 2)), "down")]
    data = adapted(LabelledCases.of("new", cases, cases, ""), preset)
    assert data.classes == tuple(preset.processing["classes"])
    assert data.scaling()[0].tolist() == preset.processing["mean"]
    assert [data.classes[i] for i in data.test[1]] == ["up"] * 5 + ["down"]
    strange = LabelledCases.of("new", [(np.ones((4, 2)), "left")], [], "")
    with pytest.raises(UserError, match="does not know: 'left'"):
        adapted(strange, preset)
    narrow = LabelledCases.of("new", [(np.ones((4, 1)), "up")], [], "")
    with pytest.raises(UserError, match="new has 1 channels; the preset reads 2"):
        adapted(narrow, preset)


def test_the_command_writes_classes_and_says_which_are_right(folder, tmp_path, capsys):
    (tmp_path / "new.ts").write_text("@data\n1,2:3,4:up\n5,6,7:8,9,1:left\n")
    out = tmp_path / "found.csv"
    data = str(tmp_path / "new.ts")
    assert main(["predict", str(folder), "--data", data, "--out", str(out)]) == 0
    with open(out, newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["case", "label", "probability down", "probability up"]
    assert [row[0] for row in rows[1:]] == ["1", "2"]
    assert float(rows[1][2]) + float(rows[1][3]) == pytest.approx(1, abs=1e-5)
    said = capsys.readouterr().out
    assert "2 series" in said and "of 2 that have a class" in said
    assert "does not know, and that count as wrong: left" in said


def test_series_without_classes_get_some(folder, tmp_path, capsys):
    (tmp_path / "new.ts").write_text("@classLabel false\n@data\n1,2:3,?\n")
    data, out = str(tmp_path / "new.ts"), str(tmp_path / "found.csv")
    command = ["predict", str(folder), "--data", data, "--out", out]
    assert main(command) == 2
    assert "--fill linear" in capsys.readouterr().err
    assert main([*command, "--fill", "linear"]) == 0
    assert "accuracy" not in capsys.readouterr().out


def test_a_preset_of_another_task_predicts_no_classes(tmp_path, capsys):
    (tmp_path / "new.ts").write_text("@data\n1:a\n")
    assert main(["predict", "echo-8", "--data", str(tmp_path / "new.ts")]) == 2
    assert "must be one of classification" in capsys.readouterr().err
