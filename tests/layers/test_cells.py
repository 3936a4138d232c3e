"""One battery for the layers that Keras lacks; to join it, add a row to `CELLS`."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import layers
from tests import references

BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 4
FLAGS = ["plain", "mask", "reset", "mask and reset"]
SINGLE_FLAGS_SLOW = [
    pytest.param(name, marks=pytest.mark.slow if name in ("mask", "reset") else ())
    for name in FLAGS
]


class Cell(NamedTuple):
    kind: Any
    reference: Any
    options: dict = {}


CELLS = {
    "LayerNormLSTM": Cell(layers.LayerNormLSTM, references.layer_norm_lstm),
    "IndRNN": Cell(layers.IndRNN, references.ind_rnn, {"recurrent_clip": 1.5}),
    "MinGRU": Cell(layers.MinGRU, references.min_gru),
    "MinLSTM": Cell(layers.MinLSTM, references.min_lstm),
    "LRU": Cell(layers.LRU, references.lru, {"state_units": 3, "seed": 1}),
    "ZoneoutLSTM": Cell(
        layers.ZoneoutLSTM,
        functools.partial(references.zoneout_lstm, zoneout_h=0.1, zoneout_c=0.4),
        {"zoneout_h": 0.1, "zoneout_c": 0.4, "zoneout_seed": 1},
    ),
    "WeightDropLSTM": Cell(
        layers.WeightDropLSTM,
        references.zoneout_lstm,
        {"weight_dropout": 0.5, "weight_dropout_seed": 2},
    ),
}


@pytest.fixture(params=CELLS)
def cell(request):
    return CELLS[request.param]


def inputs(dtype="float64", time=TIME):
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, time, FEATURES)).astype(dtype)


def flags_of(name, time=TIME):
    """Right-padded, left-padded, with holes and wholly masked rows."""
    mask = np.ones((BATCH, time), bool)
    mask[0, 4:] = False
    mask[1, :2] = False
    mask[2, [1, 4]] = False
    mask[3] = False
    reset = np.zeros((BATCH, time), bool)
    reset[0, 3] = reset[1, 0] = reset[1, 4] = reset[2, 1] = True
    flags = {"mask": mask, "reset": reset}
    return {key: value for key, value in flags.items() if key in name}


def built(cell, dtype="float64", **options):
    """A layer whose weights are all random."""
    options = {"return_sequences": True, **cell.options, **options}
    keras.utils.set_random_seed(3)
    layer = cell.kind(UNITS, dtype=dtype, **options)
    layer.build((None, None, FEATURES))
    rng = np.random.default_rng(1)
    layer.set_weights(
        [w + rng.normal(scale=0.3, size=w.shape) for w in layer.get_weights()]
    )
    return layer


def variables(layer):
    return {v.name: v for v in layer.trainable_variables}


def run(layer, x, state=None, **flags):
    """Outputs and new state, in whichever way the layer carries its state."""
    if hasattr(layer, "call_with_state"):
        state = layer.get_initial_state(tf.shape(x)[0]) if state is None else state
        return layer.call_with_state(x, state, **flags)
    layer.return_state = True
    outputs, *state = layer(x, initial_state=state, **flags)
    layer.return_state = False
    return outputs, state


def results(layer, x, **flags):
    """Outputs, last states, and gradients of inputs and weights."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs, state = run(layer, x, **flags)
        flat = [outputs, *tf.nest.flatten(state)]
        loss = tf.add_n(
            [tf.reduce_sum(tf.sin(3 * tf.cast(o, "float64"))) for o in flat]
        )
    sources = [x, *(v.value for v in layer.trainable_variables)]
    return flat, tape.gradient(loss, sources)


def assert_close(received, expected, tolerance):
    for r, e in zip(received, expected, strict=True):
        np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("flags", SINGLE_FLAGS_SLOW)
@pytest.mark.parametrize(
    # float32: some tens of roundings a step, over six steps.
    ("dtype", "tolerance"),
    [("float64", 1e-10), ("float32", 1e-5)],
)
def test_forward_equals_plain_loops(cell, flags, dtype, tolerance):
    layer = built(cell, dtype)
    weights = {k: v.numpy().astype("float64") for k, v in variables(layer).items()}
    expected = cell.reference(weights, inputs(), **flags_of(flags))
    received, _ = run(layer, inputs(dtype), **flags_of(flags))
    assert received.dtype == dtype
    np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "flags", [pytest.param("plain", marks=pytest.mark.slow), "mask and reset"]
)
def test_gradients_equal_finite_differences(cell, flags):
    layer, flags = built(cell), flags_of(flags)
    names = list(variables(layer))

    def loss(x, *weights):
        outputs = cell.reference(dict(zip(names, weights, strict=True)), x, **flags)
        return np.sin(3 * outputs).sum()

    arguments = [inputs(), *(v.numpy() for v in variables(layer).values())]
    wanted = references.finite_differences(loss, arguments)
    x = tf.constant(inputs())
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.sin(3 * run(layer, x, **flags)[0]))
    sources = [x, *(v.value for v in variables(layer).values())]
    for slope, expected in zip(tape.gradient(total, sources), wanted, strict=True):
        # Central differences are good to about 1e-9 of the largest entry.
        scale = max(1, np.abs(expected).max())
        np.testing.assert_allclose(slope / scale, expected / scale, atol=1e-7)


@pytest.mark.parametrize(
    ("jit", "sizes"),
    [
        (True, [(BATCH, TIME)]),
        (False, [(BATCH, TIME), (1, 1)]),
        pytest.param(True, [(1, 1)], marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_compiled_equals_eager_with_unknown_batch_and_time(cell, jit, sizes):
    layer = built(cell)
    flag = tf.TensorSpec((None, None), tf.bool)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, FEATURES), tf.float64), flag, flag],
        jit_compile=jit,
    )
    def compiled(x, mask, reset):
        return results(layer, x, mask=mask, reset=reset)

    for batch, time in sizes:
        x = inputs()[:batch, :time]
        flags = {k: f[:batch, :time] for k, f in flags_of("mask and reset").items()}
        received, expected = compiled(x, **flags), results(layer, x, **flags)
        assert_close(received[0], expected[0], 1e-10)
        assert_close(received[1], expected[1], 1e-8)


@pytest.mark.parametrize("flags", ["plain", "mask and reset"])
@pytest.mark.parametrize(
    "cuts", [pytest.param((0, 2, TIME), marks=pytest.mark.slow), (0, 1, 3, 5, TIME)]
)
def test_cutting_time_changes_nothing(cell, flags, cuts):
    layer, flags = built(cell), flags_of(flags)
    whole, last = run(layer, inputs(), **flags)
    state, pieces = None, []
    for start, end in zip(cuts[:-1], cuts[1:], strict=True):
        at = {key: flag[:, start:end] for key, flag in flags.items()}
        piece, state = run(layer, inputs()[:, start:end], state, **at)
        pieces.append(piece)
    np.testing.assert_allclose(tf.concat(pieces, 1), whole, atol=1e-12)
    assert_close(tf.nest.flatten(state), tf.nest.flatten(last), 1e-12)


def test_reset_touches_only_flagged_rows(cell):
    layer, x = built(cell), inputs()
    reset = np.zeros((BATCH, TIME), bool)
    reset[1, 2] = True
    outputs, state = run(layer, x, reset=reset)
    whole, _ = run(layer, x)
    fresh, fresh_state = run(layer, x[:, 2:])
    np.testing.assert_allclose(outputs[1, 2:], fresh[1], atol=1e-12)
    np.testing.assert_allclose(np.delete(outputs, 1, 0), np.delete(whole, 1, 0))
    for part, wanted in zip(
        tf.nest.flatten(state), tf.nest.flatten(fresh_state), strict=True
    ):
        np.testing.assert_allclose(part[1], wanted[1], atol=1e-12)


def test_padding_changes_nothing_and_the_last_output_is_the_last_valid_one(cell):
    layer, x = built(cell), inputs()
    mask = np.arange(TIME) < np.array([[6], [4], [1], [3]])
    whole, state = run(layer, x, mask=mask)
    last = built(cell, return_sequences=False)(x, mask=mask)
    for row, length in enumerate(mask.sum(axis=1)):
        alone, alone_state = run(layer, x[row : row + 1, :length])
        np.testing.assert_allclose(whole[row, :length], alone[0], atol=1e-12)
        np.testing.assert_allclose(last[row], alone[0, -1], atol=1e-12)
        for part, wanted in zip(
            tf.nest.flatten(state), tf.nest.flatten(alone_state), strict=True
        ):
            np.testing.assert_allclose(part[row], wanted[0], atol=1e-12)


def test_a_plain_call_starts_from_the_initial_state(cell):
    layer = built(cell)
    mask = flags_of("mask")["mask"]
    zeros = tf.nest.map_structure(tf.zeros_like, run(layer, inputs())[1])
    expected, _ = run(layer, inputs(), zeros, mask=mask)
    np.testing.assert_allclose(layer(inputs(), mask=mask), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("mixed_float16", 0.02),
        pytest.param("mixed_bfloat16", 0.15, marks=pytest.mark.slow),
    ],
)
def test_mixed_policies(cell, policy, tolerance):
    """About ten roundings of values up to two, of 2**-10 and of 2**-7."""
    layer, exact = built(cell, policy), built(cell, "float32")
    flags = flags_of("mask and reset")
    (outputs, *_), slopes = results(layer, inputs("float32"), **flags)
    (wanted, *_), _ = results(exact, inputs("float32"), **flags)
    assert outputs.dtype == policy.removeprefix("mixed_")
    np.testing.assert_allclose(tf.cast(outputs, "float32"), wanted, atol=tolerance)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_config_round_trip(cell):
    layer = built(cell)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for key, value in cell.options.items():
        assert layer.get_config()[key] == value


def test_every_argument_is_in_the_configuration(cell):
    config = built(cell).get_config()
    for key in ("units", "return_sequences", "dtype", "name"):
        assert key in config


def model_of(cell):
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, FEATURES, mask_zero=True),
            cell.kind(UNITS, return_sequences=True, **cell.options),
            keras.layers.Dense(2),
        ]
    )


IDS = np.array([[1, 2, 0, 0], [3, 0, 4, 5]])


def test_files_save_and_load(cell, tmp_path):
    model = model_of(cell)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is cell.kind
    np.testing.assert_allclose(loaded(IDS), model(IDS), atol=1e-6)
    name = keras.saving.get_registered_name(cell.kind)
    assert name == f"bptt_keras>{cell.kind.__name__}"


def test_the_mask_of_the_inputs_counts(cell):
    model = model_of(cell)
    embedding, layer, _ = model.layers
    embedded = embedding(IDS).numpy()
    expected = layer(embedded, mask=IDS != 0)
    np.testing.assert_allclose(layer(embedding(IDS)), expected, atol=1e-6)
    assert np.abs(layer(embedded) - expected).max() > 1e-3


@pytest.mark.slow
def test_trains_in_a_keras_model_under_xla(cell):
    model = model_of(cell)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=True)
    ids = np.random.default_rng(0).integers(0, 9, (8, 7))
    targets = np.stack([ids == 1, ids > 4], axis=-1).astype("float32")
    history = model.fit(ids, targets, batch_size=8, epochs=12, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.predict(ids, verbose=0).shape == (8, 7, 2)


@pytest.mark.parametrize("sequences", [False, True])
def test_shapes_are_known_before_any_value(cell, sequences):
    x = keras.Input((None, FEATURES))
    y = cell.kind(UNITS, return_sequences=sequences)(x)
    assert y.shape == ((None, None, UNITS) if sequences else (None, UNITS))


@pytest.mark.parametrize("units", [0, -1])
def test_units_must_be_positive(cell, units):
    with pytest.raises(ValueError, match="units"):
        cell.kind(units)


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        ({"reset": np.zeros((BATCH, TIME), "int32")}, TypeError, "of dtype int32"),
        ({"reset": np.zeros((BATCH,), bool)}, ValueError, "`reset` must have one flag"),
        ({"mask": np.ones((BATCH,), bool)}, ValueError, "`mask` must have shape"),
    ],
)
def test_wrong_flags_are_refused(cell, flags, error, message):
    with pytest.raises(error, match=message):
        run(built(cell), inputs(), **flags)
