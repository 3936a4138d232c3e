"""A session remembers, whatever the model and however a sequence is cut."""

import concurrent.futures
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.kernels import cell_loop
from bptt_keras.state import timed_inputs
from tests.project.files import ROOT
from tests.state.models import MODELS, ROWS, STEPS
from tests.state.test_models import assert_same, cut, joined

# The quick ones: dicts, masks from ids, a nested cell, an input without a time axis.
QUICK = ["dicts", "masked Embedding", "static input, repeated"]


class Integers(keras.layers.Layer):
    """Counts timesteps and adds up the inputs: its answers are whole numbers."""

    def get_initial_state(self, batch_size):
        return {"sum": tf.zeros((batch_size, 1))}

    def call_with_state(self, inputs, state, *, training=False, mask=None, reset=None):
        last, outputs, total = cell_loop(
            lambda x, s: (s + x, s + x),
            inputs,
            state["sum"],
            mask=mask,
            reset=reset,
            initial_states=tf.zeros_like(state["sum"]),
            previous_output=state["sum"],
        )
        return outputs, {"sum": total}

    def call(self, inputs):
        return tf.cumsum(inputs, axis=1)


def counter():
    return keras.Sequential([keras.Input((None, 1)), Integers(name="integers")])


def recurrent(layer=bk.layers.GRU, units=4):
    return keras.Sequential(
        [keras.Input((None, 3)), layer(units, return_sequences=True)]
    )


def series(rows=2, steps=9, features=3):
    values = np.random.default_rng(3).normal(size=(rows, steps, features))
    return values.astype("float32")


@pytest.fixture(scope="module")
def summing():
    """A session of four rows whose programs several tests share."""
    return bk.Session(counter(), rows=4, jit_compile=False)


@pytest.fixture
def session(summing):
    summing.reset()
    return summing


def sums(session):
    return session.state["integers"]["sum"].numpy()[:, 0].tolist()


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS],
)
@pytest.mark.quick(1)
def test_pieces_equal_one_call_for_every_model(name):
    model, inputs = MODELS[name]()
    timed = timed_inputs(model, inputs)
    session = bk.Session(model, ROWS)
    ends = [1, 2, 5, STEPS]
    pieces = [
        session.step(cut(inputs, timed, slice(start, stop)))
        for start, stop in zip([0, *ends], ends, strict=False)
    ]
    whole, last = bk.PureStep(model)(inputs)
    assert_same([joined(pieces), session.state], [whole, last])


def test_outputs_are_structured_like_those_of_the_model():
    model, inputs = MODELS["dicts"]()
    outputs = bk.Session(model, ROWS, jit_compile=False).step(inputs)
    tf.nest.assert_same_structure(outputs, model(inputs))


def test_a_layer_that_must_know_the_length_is_traced_for_each():
    model = recurrent(lambda n, **options: keras.layers.GRU(n, unroll=True, **options))
    x = series()
    session = bk.Session(model, rows=2)
    pieces = [session.step(x[:, :4]), session.step(x[:, 4:6]), session.step(x[:, 6:])]
    np.testing.assert_allclose(np.concatenate(pieces, 1), model(x), atol=1e-6)


def test_a_model_that_xla_does_not_compile_runs_without():
    words = keras.layers.Lambda(
        lambda x: tf.strings.to_number(tf.strings.as_string(x)), output_shape=(None, 3)
    )
    model = keras.Sequential(
        [keras.Input((None, 3)), words, keras.layers.GRU(2, return_sequences=True)]
    )
    x = series(rows=1)
    received = bk.Session(model).step(x[:, :1])
    np.testing.assert_allclose(received, model(x[:, :1]), atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="XLA"):
        bk.Session(model, jit_compile=True).step(x[:, :1])


# --- Resets and padding -------------------------------------------------------------


def test_reset_touches_only_the_named_rows(session):
    session.step(np.ones((4, 3, 1)))
    session.reset([1, 3])
    assert sums(session) == [3, 0, 3, 0]
    session.reset(np.array([True, False, False, False]))
    assert sums(session) == [0, 0, 3, 0]
    session.reset([])
    assert sums(session) == [0, 0, 3, 0]
    session.reset()
    assert sums(session) == [0, 0, 0, 0]


def test_reset_flags_are_part_of_a_step(session):
    ones = np.ones((4, 3, 1))
    session.step(ones)
    session.step(ones, reset=np.array([False, True, False, False]))
    assert sums(session) == [6, 3, 6, 6]
    grid = np.zeros((4, 3), bool)
    grid[2, 1] = True
    outputs = session.step(ones, reset=grid)
    assert outputs[2, :, 0].numpy().tolist() == [7, 1, 2]
    assert sums(session) == [9, 6, 2, 9]


def test_steps_that_are_not_valid_change_nothing(session):
    x = np.ones((4, 3, 1))
    x[1, 1:] = np.nan
    valid = np.isfinite(x[..., 0])
    valid[3] = False
    session.step(x, valid=valid)
    assert sums(session) == [3, 1, 3, 0]


def test_a_learned_initial_state_is_read_at_the_reset():
    layer = bk.layers.GRU(2, return_sequences=True, learn_initial_state=True)
    model = keras.Sequential([keras.Input((None, 3)), layer])
    session = bk.Session(model, rows=2)
    (weight,) = [w for w in layer.weights if "initial" in w.path]
    weight.assign([1.0, 2.0])
    session.reset([1])
    (state,) = session.state.values()
    assert state["h"].numpy().tolist() == [[0, 0], [1, 2]]


# --- Weights -----------------------------------------------------------------------


def test_a_session_of_a_trainer_follows_its_training():
    model = recurrent()
    trainer = bk.TruncatedBPTT(model, window=3)
    trainer.compile("sgd", "mse")
    session, x = trainer.session(rows=2), series()
    before = session.step(x).numpy()
    trainer.fit(x, np.ones((2, 9, 4)), verbose=0)
    session.reset()
    after = session.step(x).numpy()
    np.testing.assert_allclose(after, model(x), atol=1e-6)
    assert abs(after - before).max() > 1e-3


def test_a_session_takes_a_trainer():
    model = recurrent()
    assert bk.Session(bk.TruncatedBPTT(model, window=3)).model is model


# --- What is refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "flags", "error", "words"),
    [
        (np.ones((4, 1)), {}, ValueError, r"\(4, time, 1\).*`x\[:, None\]`"),
        (np.ones((3, 2, 1)), {}, ValueError, r"\(4, time, 1\).*\(3, 2, 1\)"),
        (np.ones((4, 2, 2)), {}, ValueError, r"\(4, time, 1\).*\(4, 2, 2\)"),
        (np.ones((4, 0, 1)), {}, ValueError, "at least one timestep"),
        (np.ones((4, 2, 1), complex), {}, TypeError, "complex128"),
        (np.full((4, 2, 1), "a"), {}, TypeError, "float32 can hold"),
        (np.full((4, 2, 1), np.nan), {}, ValueError, "8 values"),
        (np.full((4, 2, 1), 1e300), {}, ValueError, "must be finite"),
        ([np.ones((4, 2, 1))] * 2, {}, ValueError, "structure that the model"),
        (np.ones((4, 2, 1)), {"valid": np.ones((4, 3), bool)}, ValueError, "`valid`"),
        (np.ones((4, 2, 1)), {"valid": np.ones(4, bool)}, ValueError, "`valid`"),
        (np.ones((4, 2, 1)), {"reset": np.ones(3, bool)}, ValueError, "`reset`"),
        (np.ones((4, 2, 1)), {"reset": np.ones(4)}, TypeError, "must be boolean"),
        ("text", {}, ValueError, r"\(4, time, 1\)"),
        (None, {}, TypeError, "arrays or tensors"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(session, x, flags, error, words):
    session.step(np.ones((4, 2, 1)))
    with pytest.raises(error, match=words):
        session.step(x, **flags)
    assert sums(session) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("rows", "error"),
    [([4], ValueError), ([-1], ValueError), ([0.5], TypeError), ([True], ValueError)],
)
def test_rows_that_do_not_exist_are_not_reset(session, rows, error):
    with pytest.raises(error, match="`rows`"):
        session.reset(rows)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_ids_out_of_range_are_refused_and_change_nothing(jit_compile):
    layers = [
        keras.layers.Embedding(5, 3, name="table"),
        keras.layers.GRU(2, return_sequences=True),
    ]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *layers])
    session = bk.Session(model, jit_compile=jit_compile)
    session.step(np.array([[4]]))
    before = session.state
    with pytest.raises(ValueError, match="from 0 to 4 for layer 'table'"):
        session.step(np.array([[5]]))
    tf.nest.map_structure(np.testing.assert_array_equal, before, session.state)
    with pytest.raises(TypeError, match="int32 can hold"):
        session.step(np.array([[1.5]]))
    with pytest.raises(ValueError, match="int32 can hold"):
        session.step(np.array([[2**40]]))
    # Where there is no input, there may be any id.
    session.step(np.array([[-1]]), valid=np.array([[False]]))


def test_a_first_piece_that_is_refused_fixes_nothing():
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.GRU(2, return_sequences=True)

        def call(self, inputs):
            return self.inner(inputs)

    model, x = Plain(), series()
    model(x)
    session = bk.Session(model, rows=2)
    with pytest.raises(ValueError):
        session.step(x[..., :2])
    received = session.step(x)
    np.testing.assert_allclose(received, model(x), atol=1e-6)
    with pytest.raises(ValueError, match=r"\(2, time, 3\)"):
        session.step(x[..., :2])


def test_models_and_arguments_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="must be built"):
        bk.Session(keras.Sequential([keras.layers.GRU(2)]))
    with pytest.raises(TypeError, match="`rows` must be an integer"):
        bk.Session(counter(), rows=1.5)
    with pytest.raises(ValueError, match="`rows` must be at least 1"):
        bk.Session(counter(), rows=0)
    with pytest.raises(ValueError, match="`jit_compile`"):
        bk.Session(counter(), jit_compile="yes")
    mixed = keras.layers.Lambda(lambda x: x - keras.ops.mean(x, 1, True), name="mixer")
    model = keras.Sequential([keras.Input((None, 3)), mixed, keras.layers.GRU(2)])
    with pytest.raises(ValueError, match="mixer"):
        bk.Session(model).step(series(rows=1))


def test_within_a_graph_a_session_points_to_the_pure_step(session):
    with pytest.raises(TypeError, match="PureStep"):
        tf.function(session.step)(tf.ones((4, 1, 1)))


# --- Threads -----------------------------------------------------------------------


def test_threads_of_one_session_run_one_after_another(session):
    def work(_):
        for _ in range(50):
            session.step(np.ones((4, 2, 1)))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sums(session) == [400] * 4


def test_sessions_of_one_model_in_threads_do_not_mix():
    model, x = recurrent(), series(rows=8, steps=12)
    expected = model(x).numpy()
    barrier = threading.Barrier(4)

    def work(row):
        session = bk.Session(model)
        barrier.wait()  # all trace at once
        ends = range(1 + row, 13, 1 + row)
        starts = [0, *ends]
        pieces = [
            session.step(x[row : row + 1, a:b])
            for a, b in zip(starts, [*ends, 12], strict=True)
            if b > a
        ]
        return np.concatenate(pieces, 1)[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for row, received in enumerate(pool.map(work, range(4))):
            np.testing.assert_allclose(received, expected[row], atol=1e-6)


# --- Long streams ------------------------------------------------------------------


@pytest.mark.slow
def test_a_long_stream_equals_the_uncut_run_in_flat_memory():
    import resource

    model, steps = recurrent(bk.layers.LSTM, 8), 20_000
    x = series(rows=1, steps=steps)
    session, pieces = bk.Session(model), []
    peaks = []
    for i in range(steps):
        pieces.append(session.step(x[:, i : i + 1]).numpy())
        if i % 5_000 == 4_999:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    whole, last = bk.PureStep(model)(x)
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=1e-5)
    assert_same(session.state, last)
    # The outputs that this test keeps take 32 bytes a step.
    assert (peaks[-1] - peaks[0]) * 1024 < 15_000 * 32 + 8e6


@pytest.mark.slow
def test_a_session_starts_in_a_new_process_where_another_stopped(tmp_path):
    model, x = recurrent(bk.layers.LSTM), series(rows=1)
    model.save(tmp_path / "model.keras")
    session = bk.Session(model)
    session.step(x[:, :4])
    session.snapshot(tmp_path / "state")
    expected = session.step(x[:, 4:]).numpy()
    np.save(tmp_path / "x.npy", x)
    program = (
        "import keras, numpy as np, bptt_keras as bk\n"
        "session = bk.Session(keras.models.load_model('model.keras'))\n"
        "session.restore('state')\n"
        "np.save('y.npy', session.step(np.load('x.npy')[:, 4:]))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)
