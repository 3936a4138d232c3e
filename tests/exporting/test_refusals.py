"""What cannot be exported is refused by name, and leaves nothing behind."""

import sys

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.exporting import export as exporting
from bptt_keras.exporting import litert, onnx_file
from bptt_keras.exporting.errors import Differs
from bptt_keras.exporting.proof import check_holds_weights, prove
from bptt_keras.exporting.step import ExportedStep


def model_of(*layers, features=3):
    return keras.Sequential([keras.Input((None, features)), *layers])


def lstm(**options):
    return bk.layers.LSTM(3, return_sequences=True, name="memory", **options)


@pytest.fixture(scope="module")
def step():
    model = model_of(lstm(), keras.layers.Dense(2))
    return ExportedStep(model, rows=2, timesteps=1, reset=True, example=None)


@pytest.fixture
def by_keras(step):
    """Runs the step itself in place of a file."""
    order = [spec.name for spec in step.signature]
    traced = step.function.get_concrete_function()

    def run(values):
        results = traced(*(np.asarray(values[name]) for name in order))
        return {name: t.numpy() for name, t in results.items()}

    return run


# --- The proof ---------------------------------------------------------------------


def test_what_equals_keras_is_proved(step, by_keras):
    proof = prove(step, by_keras)
    assert proof.timesteps >= 100 and proof.difference < 1e-6


def test_a_state_that_is_lost_is_found(step, by_keras):
    def forgetful(values):
        fresh = {s.enters.name: np.zeros((2, 3), "float32") for s in step.states}
        return by_keras({**values, **fresh})

    with pytest.raises(Differs, match="'outputs' differs"):
        prove(step, forgetful)


def test_states_that_are_mixed_up_are_found(step, by_keras):
    h, c = (s.enters.name for s in step.states)

    with pytest.raises(Differs, match="'outputs' differs"):
        prove(step, lambda v: by_keras({**v, h: v[c], c: v[h]}))


def test_a_reset_that_does_nothing_is_found(step, by_keras):
    with pytest.raises(Differs, match="'outputs' differs"):
        prove(step, lambda v: by_keras({**v, "reset": np.zeros(2, bool)}))


def test_a_reset_of_all_rows_is_found(step, by_keras):
    with pytest.raises(Differs, match="'outputs' differs"):
        prove(step, lambda v: by_keras({**v, "reset": v["reset"] | v["reset"].any()}))


def test_nan_is_found(step, by_keras):
    def missing(values):
        results = by_keras(values)
        return {**results, "outputs": results["outputs"] * np.nan}

    with pytest.raises(Differs, match="not finite"):
        prove(step, missing)


def test_a_small_difference_is_found(step, by_keras):
    def rounded(values):
        results = by_keras(values)
        return {**results, "outputs": results["outputs"] + np.float32(3e-5)}

    with pytest.raises(Differs, match="and 1e-05 is allowed"):
        prove(step, rounded)


def test_a_file_without_weights_is_found(step, tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"x" * 100)
    with pytest.raises(Differs, match="100 bytes, and the weights have"):
        check_holds_weights(step, path)


# --- What is left behind -----------------------------------------------------------


def test_nothing_is_left_of_a_failure_and_an_older_file_stays(tmp_path, monkeypatch):
    def write(step, path):
        path.write_bytes(b"broken" * 1000)

    monkeypatch.setattr(litert, "write", write)
    model = model_of(lstm())
    with pytest.raises(bk.ExportError, match="'memory' .LSTM. cannot be .* LiteRT"):
        bk.export(model, tmp_path / "a.tflite", "litert")
    assert not [*tmp_path.iterdir()]
    (tmp_path / "a.tflite").write_text("older")
    with pytest.raises(bk.ExportError):
        bk.export(model, tmp_path / "a.tflite", "litert")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tflite"]
    assert (tmp_path / "a.tflite").read_text() == "older"


def test_a_layer_that_has_no_counterpart_is_named(tmp_path):
    # Its dtype is fine; ONNX has no such operation, and the converter says nothing.
    odd = keras.layers.Lambda(lambda x: keras.ops.erfinv(x * 0.1), name="odd_one")
    model = model_of(keras.layers.Dense(3), odd, lstm())
    with pytest.raises(bk.ExportError, match="'odd_one' .Lambda. .* ONNX"):
        bk.export(model, tmp_path / "a.onnx", "onnx")
    assert not [*tmp_path.iterdir()]


def test_half_precision_is_refused_by_name(tmp_path):
    model = model_of(lstm(dtype="mixed_float16"))
    with pytest.raises(bk.ExportError, match="'memory' .LSTM. .* in float16"):
        bk.export(model, tmp_path / "a.onnx", "onnx")


def test_a_model_that_mixes_timesteps_is_refused(tmp_path):
    mixed = keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 1, True), name="mixer")
    with pytest.raises(ValueError, match="mixer"):
        bk.export(model_of(mixed, lstm()), tmp_path / "a", timesteps=None)


# --- Arguments ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        ("a", {"format": "openvino"}, ValueError, "`format` must be one of"),
        ("a", {"format": "onnx"}, ValueError, "must end in '.onnx'"),
        ("a.onnx", {}, ValueError, "Did you mean format='onnx'"),
        ("a", {"rows": 0}, ValueError, "`rows` must be at least 1"),
        ("a", {"timesteps": 1.5}, TypeError, "`timesteps` must be an integer"),
        ("a", {"preprocessing": {"a": {1, 2}}}, TypeError, "`preprocessing`"),
        ("a", {"preprocessing": float("nan")}, TypeError, "`preprocessing`"),
        (".", {}, ValueError, "holds other files"),
    ],
)
def test_arguments_are_checked_first(tmp_path, path, options, error, words):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(error, match=words):
        bk.export(model_of(lstm()), tmp_path / path, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_fixed_length_must_be_that_of_the_model(tmp_path):
    model = keras.Sequential([keras.Input((4, 3)), lstm()])
    with pytest.raises(ValueError, match="`timesteps` must be 4"):
        bk.export(model, tmp_path / "a")


def test_a_reset_needs_a_state(tmp_path):
    with pytest.raises(ValueError, match="`reset` needs a state"):
        bk.export(model_of(keras.layers.Dense(2)), tmp_path / "a", reset=True)


def test_models_that_cannot_be_carried_are_refused(tmp_path):
    with pytest.raises(ValueError, match="stateful=True"):
        bk.export(model_of(lstm(stateful=False), lstm2()), tmp_path / "a")
    with pytest.raises(TypeError, match="`model` must be"):
        bk.export("model", tmp_path / "a")


def lstm2():
    layer = keras.layers.GRU(2)
    layer.stateful = True
    return layer


@pytest.mark.parametrize(
    ("format", "file", "package"),
    [
        (onnx_file, "a.onnx", "tf2onnx"),
        (onnx_file, "a.onnx", "onnxruntime"),
        (litert, "a.tflite", "ai_edge_litert"),
    ],
)
def test_a_missing_package_names_its_extra(
    tmp_path, monkeypatch, format, file, package
):
    monkeypatch.setitem(sys.modules, package, None)
    (name,) = [key for key, value in exporting.FORMATS.items() if value is format]
    with pytest.raises(ImportError, match=rf"bptt_keras\[{name}\]"):
        bk.export(model_of(lstm()), tmp_path / file, name)
    assert not [*tmp_path.iterdir()]
