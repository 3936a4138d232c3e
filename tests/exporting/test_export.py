"""A file with explicit state computes what Keras does, and says how it is used."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

FORMATS = {"saved_model": "step", "onnx": "step.onnx", "litert": "step.tflite"}
ROWS = 2
X = np.random.default_rng(5).normal(size=(ROWS, 6, 3)).astype("float32")
WHO = np.random.default_rng(6).normal(size=(ROWS, 2)).astype("float32")


def two_inputs():
    """A model with an input without time, two outputs and a learned initial state."""
    x, who = keras.Input((None, 3), name="x"), keras.Input((2,), name="who")
    first = bk.layers.LSTM(
        4, return_sequences=True, learn_initial_state=True, name="first"
    )
    hidden = first(x)
    bias = keras.layers.Reshape((1, 3))(keras.layers.Dense(3)(who))
    second = keras.layers.GRU(2, name="second")
    outputs = {
        "steps": keras.layers.Add()([keras.layers.Dense(3)(hidden), bias]),
        "end": second(hidden),
    }
    model = keras.Model({"x": x, "who": who}, outputs)
    h, c = (w for w in first.weights if "initial" in w.path)
    h.assign([0.1, -0.2, 0.3, -0.4])
    c.assign([1.0, 2.0, -1.0, 0.5])
    return model


@pytest.fixture(
    scope="module",
    # A converter of its own has only the first; the others take longer.
    params=[
        f if f == "onnx" else pytest.param(f, marks=pytest.mark.slow) for f in FORMATS
    ],
)
def made(request, tmp_path_factory):
    """`(format, model, folder, description)` of one export in each format."""
    model, folder = two_inputs(), tmp_path_factory.mktemp("exported")
    said = bk.export(
        model,
        folder / FORMATS[request.param],
        request.param,
        rows=ROWS,
        reset=True,
        preprocessing={"mean": [0.5, 1.0], "vocabulary": "abcä"},
    )
    return request.param, model, folder, said


def from_json(folder, said):
    """Runs a step with what its JSON file says, and nothing of this library."""
    path = folder / said["file"]
    if said["format"] == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]

        def run(values):
            return dict(zip(names, session.run(names, values), strict=True))
    elif said["format"] == "litert":
        from ai_edge_litert.interpreter import Interpreter

        opened = Interpreter(str(path))
        endpoint = opened.get_signature_runner([*said["endpoints"]][0])

        def run(values):
            return {name: value.copy() for name, value in endpoint(**values).items()}
    else:
        loaded = tf.saved_model.load(str(path))

        def run(values):
            return {
                name: value.numpy()
                for name, value in loaded.signatures["serving_default"](
                    **{name: tf.constant(value) for name, value in values.items()}
                ).items()
            }

    return run


def initial(said):
    """The initial state that a JSON file describes."""
    state = {}
    for entry in said["state"]:
        value = np.zeros(entry["shape"], entry["dtype"])
        if entry["initial"] != "zeros":
            value[:] = entry["initial"]
        state[entry["input"]] = value
    return state


def test_the_json_file_is_enough_to_run_it(made):
    _, model, folder, _ = made
    (path,) = folder.glob("*.json")
    said = json.loads(path.read_text(encoding="utf-8"))
    run, state, steps = from_json(folder, said), initial(said), []
    flags = np.array([False, True])
    for t in range(6):
        reset = {said["reset"]["name"]: flags if t == 4 else np.zeros(2, bool)}
        results = run({"x": X[:, t : t + 1], "who": WHO, **state, **reset})
        state = {entry["input"]: results[entry["output"]] for entry in said["state"]}
        steps.append(results["steps"])
    whole = model({"x": X, "who": WHO})
    afresh = model({"x": X[:, 4:], "who": WHO})
    steps = np.concatenate(steps, 1)
    np.testing.assert_allclose(steps[:, :4], whole["steps"][:, :4], atol=1e-5)
    np.testing.assert_allclose(steps[0], whole["steps"][0], atol=1e-5)
    np.testing.assert_allclose(steps[1, 4:], afresh["steps"][1], atol=1e-5)
    np.testing.assert_allclose(results["end"][0], whole["end"][0], atol=1e-5)
    np.testing.assert_allclose(results["end"][1], afresh["end"][1], atol=1e-5)


def test_the_json_file_says_what_goes_where(made):
    format, _, folder, said = made
    (path,) = folder.glob("*.json")
    assert path.name == f"{FORMATS[format]}.json"
    assert json.loads(path.read_text(encoding="utf-8")) == said
    assert [p["name"] for p in said["inputs"]] == ["who", "x"]
    assert [p["time_axis"] for p in said["inputs"]] == [None, 1]
    assert [p["shape"] for p in said["outputs"]] == [[2, 2], [2, 1, 3]]
    assert [(s["input"], s["output"]) for s in said["state"]] == [
        ("state_first_h", "new_state_first_h"),
        ("state_first_c", "new_state_first_c"),
        ("state_second_h", "new_state_second_h"),
    ]
    assert np.allclose(said["state"][0]["initial"], [0.1, -0.2, 0.3, -0.4])
    assert np.allclose(said["state"][1]["initial"], [1.0, 2.0, -1.0, 0.5])
    assert said["state"][2]["initial"] == "zeros"
    assert said["reset"] == {"name": "reset", "shape": [2], "dtype": "bool"}
    assert said["preprocessing"]["vocabulary"] == "abcä"
    assert said["proof"]["timesteps"] >= 100
    assert said["proof"]["largest_difference"] < 1e-5


def test_a_file_holds_its_weights_and_runs_elsewhere(made, tmp_path):
    _, model, folder, said = made
    source = folder / said["file"]
    copy = shutil.copytree if source.is_dir() else shutil.copy
    copy(source, tmp_path / said["file"])
    run = from_json(tmp_path, said)
    reset = {"reset": np.zeros(2, bool)}
    results = run({"x": X[:, :1], "who": WHO, **initial(said), **reset})
    expected, state = bk.PureStep(model)({"x": X[:, :1], "who": WHO})
    np.testing.assert_allclose(results["steps"], expected["steps"], atol=1e-5)
    # Each state by its own name: h and c have the same shape.
    for entry in said["state"]:
        wanted = state[entry["layer"]][entry["state"]]
        np.testing.assert_allclose(results[entry["output"]], wanted, atol=1e-5)


def test_a_saved_model_keeps_the_state_if_asked(made):
    format, model, folder, said = made
    if format != "saved_model":
        return
    loaded = tf.saved_model.load(str(folder / "step"))
    step, reset = (loaded.signatures[name] for name in ("step", "reset"))
    expected = model({"x": X, "who": WHO})["steps"]
    who = tf.constant(WHO)
    for _ in range(2):
        for t in range(3):
            results = step(x=tf.constant(X[:, t : t + 1]), who=who)
            np.testing.assert_allclose(
                results["steps"][:, 0], expected[:, t], atol=1e-5
            )
        assert int(reset(rows=tf.constant([True, True]))["rows"]) == 2
    # The same as methods: inputs in the order of the JSON file.
    loaded.step(who, X[:, :1])
    loaded.reset(np.array([False, True]))
    results = loaded.step(who, X[:, 1:2])["steps"]
    np.testing.assert_allclose(results[0, 0], expected[0, 1], atol=1e-5)
    loaded.reset()


def test_a_trainer_exports_its_model_with_its_state(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), bk.layers.GRU(2)])
    trainer = bk.TruncatedBPTT(model, window=4)
    said = trainer.export(tmp_path / "gru", format="tf_saved_model", rows=None)
    assert said["rows"] is None and said["state"][0]["layer"] == model.layers[0].name
    assert [*said["endpoints"]] == ["serving_default"]
    loaded = tf.saved_model.load(str(tmp_path / "gru"))
    assert [*loaded.signatures] == ["serving_default"]


@pytest.mark.slow
def test_ids_are_integers_whatever_dtype_the_model_declares(tmp_path):
    layers = [keras.layers.Embedding(7, 3), bk.layers.SimpleRNN(2)]
    model = keras.Sequential([keras.Input((None,)), *layers])
    said = bk.export(model, tmp_path / "ids.tflite", "litert")
    assert said["inputs"][0]["dtype"] == "int32"


@pytest.mark.slow
def test_a_model_without_inputs_takes_an_example(tmp_path):
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = keras.layers.Embedding(5, 3)
            self.recurrent = bk.layers.LSTM(2, return_sequences=True)

        def call(self, inputs):
            return {"h": self.recurrent(self.embedding(inputs["ids"]))}

    model, x = Plain(), {"ids": np.array([[1, 4, 2]])}
    model(x)
    with pytest.raises(ValueError, match="Pass `example=x`"):
        bk.export(model, tmp_path / "a.onnx", "onnx")
    said = bk.export(model, tmp_path / "a.onnx", "onnx", example=x)
    assert said["inputs"][0]["name"] == "ids" and said["outputs"][0]["name"] == "h"
    assert said["inputs"][0]["dtype"] == "int32"


@pytest.mark.slow
def test_a_layer_that_asks_for_the_native_kernel_is_exported_with_another(tmp_path):
    layer = bk.layers.LSTM(3, return_sequences=True, implementation="native")
    model = keras.Sequential([keras.Input((None, 2)), layer])
    bk.export(model, tmp_path / "a.onnx", "onnx", timesteps=5)
    bk.export(model, tmp_path / "a", timesteps=5)
    graph = (tmp_path / "a" / "saved_model.pb").read_bytes().lower()
    assert b"bptt" not in graph.replace(b"bptt_keras", b"")
    assert b"xlacallmodule" not in graph
    assert layer.implementation == "native"
