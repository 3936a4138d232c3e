"""A snapshot holds the state, no code, and fits its own model only."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.sessions.snapshots import fingerprint, to_bytes


def model_of(*layers, features=3, **options):
    return keras.Sequential([keras.Input((None, features), **options), *layers])


def lstm(units=4):
    return bk.layers.LSTM(units, return_sequences=True)


@pytest.fixture(scope="module")
def made():
    model = model_of(lstm(), keras.layers.GRU(2, return_sequences=True))
    session = bk.Session(model, rows=2, jit_compile=False)
    x = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    session.step(x)
    return model, session, x


def same(a, b):
    tf.nest.map_structure(np.testing.assert_array_equal, a, b)


def test_a_restored_session_goes_on_alike(made):
    model, session, x = made
    saved, state = session.snapshot(), session.state
    expected = session.step(x).numpy()
    other = bk.Session(model, rows=2, jit_compile=False)
    other.restore(saved)
    same(other.state, state)
    np.testing.assert_allclose(other.step(x), expected, atol=1e-7)


def test_a_file_holds_the_same_bytes(made, tmp_path):
    _, session, x = made
    path = tmp_path / "state"
    path.write_text("older")
    data, state = session.snapshot(path), session.state
    assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    session.step(x)
    session.restore(path)
    same(session.state, state)
    session.restore(str(path))


def test_half_precision_survives():
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = model_of(bk.layers.LSTM(3, dtype=policy))
    session = bk.Session(model, jit_compile=False)
    session.step(np.ones((1, 2, 3)))
    state = session.state
    session.restore(session.snapshot())
    same(session.state, state)
    assert {t.dtype for t in tf.nest.flatten(state)} == {tf.bfloat16}


def test_every_damaged_byte_is_found(made):
    _, session, _ = made
    data, state = session.snapshot(), session.state
    for place in range(0, len(data), 97):
        bad = bytearray(data)
        bad[place] ^= 1
        with pytest.raises(ValueError, match="damaged|no snapshot"):
            session.restore(bytes(bad))
    for length in (0, 5, 40, len(data) - 1):
        with pytest.raises(ValueError, match="damaged|no snapshot"):
            session.restore(data[:length])
    same(session.state, state)


def test_another_model_is_refused(made):
    model, session, _ = made
    data = session.snapshot()
    others = [
        model_of(lstm(), keras.layers.GRU(3, return_sequences=True)),
        model_of(lstm(), keras.layers.SimpleRNN(2, return_sequences=True)),
        model_of(lstm()),
    ]
    for other in others:
        with pytest.raises(ValueError, match="another model"):
            bk.Session(other, rows=2).restore(data)
    with pytest.raises(ValueError, match="as many rows"):
        bk.Session(model, rows=3).restore(data)


def test_other_weights_are_refused_unless_they_are_allowed(made):
    model, session, _ = made
    data, state = session.snapshot(), session.state
    keras.utils.set_random_seed(99)  # otherwise it may draw the same weights
    other = keras.models.clone_model(model)
    restored = bk.Session(other, rows=2)
    with pytest.raises(ValueError, match="any_weights=True"):
        restored.restore(data)
    restored.restore(data, any_weights=True)
    same(tf.nest.flatten(restored.state), tf.nest.flatten(state))
    # One number of one weight is another model.
    other.set_weights(model.get_weights())
    bk.Session(other, rows=2).restore(data)
    bias = other.layers[0].cell.bias
    bias.assign(bias + np.eye(16, dtype="float32")[3] * 1e-3)
    with pytest.raises(ValueError, match="any_weights=True"):
        bk.Session(other, rows=2).restore(data)


def test_layers_are_known_by_their_place_and_not_by_their_names():
    def made(*names):
        layers = [
            keras.layers.SimpleRNN(2, return_sequences=True, name=name)
            for name in names
        ]
        return model_of(*layers)

    # TensorFlow sorts by name: here the second layer comes first.
    first, second = made("rnn_9", "rnn_10"), made("a", "b")
    second.set_weights(first.get_weights())
    session = bk.Session(first, jit_compile=False)
    session.step(np.random.default_rng(0).normal(size=(1, 3, 3)))
    other = bk.Session(second, jit_compile=False)
    other.restore(session.snapshot())
    same(other.state["a"], session.state["rnn_9"])
    same(other.state["b"], session.state["rnn_10"])


def test_what_is_no_snapshot_is_refused(made, tmp_path):
    _, session, _ = made
    with pytest.raises(TypeError, match="`source`"):
        session.restore(3)
    with pytest.raises(OSError):
        session.restore(tmp_path / "missing")


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v[:, :1],
        lambda v: v[:1],
        lambda v: v.astype("float16"),
        lambda v: v[0],
    ],
)
def test_arrays_that_are_others_than_a_snapshot_says_are_refused(made, change):
    model, session, _ = made
    state, step = session.state, bk.PureStep(model)
    name = next(iter(step.layers))
    changed = {
        layer: {
            key: change(value.numpy()) if layer == name else value
            for key, value in values.items()
        }
        for layer, values in state.items()
    }
    changed = {layer: changed[layer] for layer in step.layers}
    data = to_bytes(changed, fingerprint(step, state), session.rows)
    with pytest.raises(ValueError, match="does not hold what it says"):
        session.restore(data)
    same(session.state, state)
