"""A preset runs step by step in another runtime, with what its JSON file says."""

import json

import numpy as np
import pytest

import zoo
from tests.project.files import ROOT
from zoo.cli.main import main
from zoo.products.steps import export_step, preprocessing_of
from zoo.store.folder import METADATA

PRESETS = sorted((ROOT / "zoo" / "presets").glob(f"*/{METADATA}"))
FORMATS = {"saved_model": "a", "onnx": "a.onnx", "litert": "a.tflite"}


def test_a_text_continues_with_the_json_file_alone(tmp_path, monkeypatch, capsys):
    import onnxruntime

    monkeypatch.chdir(tmp_path)
    assert main(["export", "tiny-shakespeare", "--format", "onnx"]) == 0
    assert "within" in capsys.readouterr().out
    path = tmp_path / "tiny-shakespeare-step.onnx"
    said = json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    characters = said["preprocessing"]["vocabulary"]
    state = {s["input"]: np.zeros(s["shape"], s["dtype"]) for s in said["state"]}
    logits = []
    for character in "To be, or not":
        ids = np.array([[characters.index(character)]], "int32")
        given = {said["inputs"][0]["name"]: ids, **state}
        results = dict(zip(names, session.run(names, given), strict=True))
        state = {s["input"]: results[s["output"]] for s in said["state"]}
        logits.append(results[said["outputs"][0]["name"]][0, 0])
    preset = zoo.from_preset("tiny-shakespeare")
    expected = preset.model(preset.encode("To be, or not")[None])[0].numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5 * abs(expected).max())
    assert main(["export", "tiny-shakespeare", "--format", "onnx"]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rows", "0"], "`--rows` must be a number from 1"),
        (["--timesteps", "x"], "`--timesteps` must be a number from 1"),
        (["--out", "a.tflite"], "must be a file .onnx"),
        (["--out", "no/a.onnx"], "does not exist"),
    ],
)
def test_options_are_checked_first(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "echo-8", "--format", "onnx", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_preprocessing_says_how_data_are_read():
    text = preprocessing_of(zoo.from_preset("tiny-shakespeare"))
    assert (
        text["unit"] == "characters" and len(text["vocabulary"]) == text["unknown_id"]
    )
    table = preprocessing_of(zoo.from_preset("sunspots"))
    assert {"mean", "deviation", "columns", "recipe"} <= set(table)
    json.dumps([text, table])


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.parent.name)
def test_every_preset_is_exported_in_every_format(path, format, tmp_path):
    preset = zoo.from_preset(path.parent)
    said = export_step(preset, tmp_path / FORMATS[format], format)
    assert said["proof"]["largest_difference"] < 1e-5
    json.loads((tmp_path / f"{FORMATS[format]}.json").read_text("utf-8"))
