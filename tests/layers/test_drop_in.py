"""One battery for all drop-in layers; to join it, add a row to `LAYERS`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import layers
from bptt_keras.kernels.native import probe
from tests.references import finite_differences

LAYERS = {
    "LSTM": (layers.LSTM, keras.layers.LSTM),
    "GRU": (layers.GRU, keras.layers.GRU),
    "SimpleRNN": (layers.SimpleRNN, keras.layers.SimpleRNN),
}
BATCH, TIME, FEATURES, UNITS = 4, 6, 3, 5
WIDE = {"return_sequences": True, "return_state": True}

# What each configuration is expected to run on: the fused kernel or Keras' loop.
OPTIONS = {
    "default": ({}, True),
    "sequences": ({"return_sequences": True}, True),
    "state": ({"return_state": True}, True),
    "sequences and state": (WIDE, True),
    "no bias": ({"use_bias": False}, True),
    "backwards": ({"go_backwards": True, **WIDE}, True),
    "zeros for mask": ({"zero_output_for_mask": True, **WIDE}, True),
    "zeros for mask, last": ({"zero_output_for_mask": True}, True),
    "dropout": ({"dropout": 0.4, "seed": 3, **WIDE}, True),
    "recurrent dropout": ({"recurrent_dropout": 0.4, "seed": 3, **WIDE}, False),
    "both dropouts": (
        {"dropout": 0.4, "recurrent_dropout": 0.4, "seed": 3, **WIDE},
        False,
    ),
    "unrolled": ({"unroll": True, **WIDE}, False),
    "unrolled backwards": ({"unroll": True, "go_backwards": True, **WIDE}, False),
    "other activation": ({"activation": "softsign", **WIDE}, False),
    "relu": ({"activation": "relu", **WIDE}, {"SimpleRNN"}),
    "linear": ({"activation": None, **WIDE}, {"SimpleRNN"}),
    "float64": ({"dtype": "float64", **WIDE}, True),
}
GATED = {
    "hard sigmoid": ({"recurrent_activation": "hard_sigmoid", **WIDE}, False),
    "implementation 0": ({"implementation": 0, **WIDE}, True),
    "implementation 0, dropout": (
        {"implementation": 0, "dropout": 0.4, "seed": 3, **WIDE},
        True,
    ),
    "implementation 1": ({"implementation": 1, **WIDE}, True),
    # Without `use_cudnn=False` Keras itself fails here: a list of masks, one a gate.
    "implementation 1, dropout": (
        {"implementation": 1, "dropout": 0.4, "seed": 3, "use_cudnn": False, **WIDE},
        False,
    ),
}
CASES = (
    [(name, key) for name in LAYERS for key in OPTIONS]
    + [(name, key) for name in ("LSTM", "GRU") for key in GATED]
    + [("GRU", "reset before"), ("LSTM", "no forget bias")]
)
# With a mask, an LSTM is compared in all configurations, the others in these; without
# one, all layers are.
QUICK = (
    *("default", "sequences and state", "both dropouts", "unrolled", "relu"),
    *("implementation 0", "reset before"),
)
OPTIONS_OF = {
    **OPTIONS,
    **GATED,
    # Native code alone.
    "reset before": ({"reset_after": False, **WIDE}, None),
    "no forget bias": ({"unit_forget_bias": False, **WIDE}, True),
}


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def inputs(dtype="float32"):
    return np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype(dtype)


def mask():
    """Right-padded, left-padded, with holes, and wholly masked."""
    flags = np.ones((BATCH, TIME), bool)
    flags[0, 4:] = False
    flags[1, :2] = False
    flags[2, [1, 4]] = False
    flags[3] = False
    return flags


def reset():
    flags = np.zeros((BATCH, TIME), bool)
    flags[0, 3] = flags[1, 0] = flags[1, 4] = flags[2, 1] = True
    return flags


def pair(name, **options):
    """Our layer and Keras', with the same random weights."""
    ours, theirs = (kind(UNITS, **options) for kind in LAYERS[name])
    for layer in (ours, theirs):
        layer.build((BATCH, TIME, FEATURES))
    rng = np.random.default_rng(1)
    weights = [rng.normal(scale=0.5, size=w.shape) for w in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def results(layer, x, **call):
    """Outputs and all gradients."""
    weights = [w.value for w in layer.trainable_variables]
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = tf.nest.flatten(layer(x, **call))
        loss = tf.add_n([tf.reduce_sum(tf.sin(3 * o)) for o in outputs])
    return outputs, tape.gradient(loss, [x, *weights])


def assert_same(received, expected, tolerance=1e-5):
    for r, e in zip(received, expected, strict=True):
        assert r.dtype == e.dtype
        np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "key", "masked"),
    [
        pytest.param(
            *(name, key, masked),
            marks=()
            if key in QUICK or (name == "LSTM" and masked)
            else pytest.mark.slow,
            id=f"{name}-{key}-{'masked' if masked else ''}",
        )
        for name, key in CASES
        for masked in (False, True)
    ],
)
def test_results_and_gradients_equal_keras(name, key, masked):
    options, fused = OPTIONS_OF[key]
    ours, theirs = pair(name, **options)
    if fused is None:
        fused = probe.why_not(xla=True) is None
    assert ours.fused is (fused if isinstance(fused, bool) else name in fused)
    x = inputs(options.get("dtype", "float32"))
    call = {"mask": mask() if masked else None, "training": True}
    received, expected = results(ours, x, **call), results(theirs, x, **call)
    assert_same(received[0], expected[0])
    # Gradients are sums of up to a hundred terms of about one.
    assert_same(received[1], expected[1], 5e-5)


@pytest.mark.parametrize("key", ["sequences and state", "backwards", "unrolled"])
@pytest.mark.quick(3)
def test_reset_equals_separate_sequences(name, key):
    """Also where the kernel is not the fused one, and backwards."""
    ours, theirs = pair(name, **OPTIONS[key][0])
    x = inputs()
    outputs, *_ = ours(x, reset=reset())
    for row in range(BATCH):
        flags, series = reset()[row], x[row]
        if ours.go_backwards:
            flags, series = flags[::-1], series[::-1]
        starts = [0, *np.flatnonzero(flags)]
        ends = [*starts[1:], TIME]
        one_way = type(theirs).from_config({**theirs.get_config(), **WIDE})
        one_way.go_backwards = False
        one_way.build(x.shape)
        one_way.set_weights(theirs.get_weights())
        pieces = [
            one_way(series[None, a:b])[0][0]
            for a, b in zip(starts, ends, strict=True)
            if b > a
        ]
        wanted = outputs[row]
        np.testing.assert_allclose(wanted, np.concatenate(pieces), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
def test_keras_loop_and_kernel_agree_on_resets(name, masked):
    """`unroll` runs the generic loop: same outputs and gradients, states given."""
    fused, _ = pair(name, **WIDE)
    unrolled, _ = pair(name, **WIDE, unroll=True)
    state = [np.full((BATCH, UNITS), 0.3, "float32")] * len(fused.state_size)
    call = {
        "reset": reset(),
        "initial_state": state,
        "mask": mask() if masked else None,
    }
    received, expected = (
        results(layer, inputs(), **call) for layer in (fused, unrolled)
    )
    assert_same(received[0], expected[0], 1e-6)
    assert_same(received[1], expected[1])


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.quick(1)
def test_gradients_equal_finite_differences(name, masked):
    ours, _ = pair(name, dtype="float64", **WIDE)
    x = inputs("float64")[:, :3, :2]
    ours = type(ours).from_config({**ours.get_config(), "units": 2})
    call = {"reset": reset()[:, :3], "mask": mask()[:, 1:4] if masked else None}
    ours(x)
    rng = np.random.default_rng(2)
    ours.set_weights([rng.normal(size=w.shape) for w in ours.get_weights()])

    def loss(*arguments):
        x, *weights = arguments
        ours.set_weights(weights)
        outputs = ours(x, **call)
        return sum(float(tf.reduce_sum(tf.sin(3 * o))) for o in outputs)

    arguments = [x, *ours.get_weights()]
    received = results(ours, x, **call)[1]
    for slope, wanted in zip(
        received, finite_differences(loss, arguments), strict=True
    ):
        # Central differences of sums of about a hundred: good to 1e-7 or so.
        np.testing.assert_allclose(slope, wanted, rtol=1e-6, atol=1e-6)


def test_initial_state_equals_keras(name):
    ours, theirs = pair(name, **WIDE)
    rng = np.random.default_rng(3)
    state = [rng.normal(size=(BATCH, UNITS)).astype("float32") for _ in ours.state_size]
    assert_same(
        ours(inputs(), initial_state=state), theirs(inputs(), initial_state=state)
    )


def test_a_masked_first_step_outputs_the_initial_h(name):
    """The documented difference: Keras puts out zeros."""
    for unroll in (False, True):
        ours, theirs = pair(name, unroll=unroll, **WIDE)
        state = [np.full((BATCH, UNITS), 0.3, "float32")] * len(ours.state_size)
        call = {"initial_state": state, "mask": mask()}
        received, expected = ours(inputs(), **call), theirs(inputs(), **call)
        np.testing.assert_allclose(received[0][3], 0.3)
        np.testing.assert_allclose(expected[0][3], 0.0)
        assert_same(received[1:], expected[1:])


def test_the_mask_of_the_inputs_counts_with_initial_state_and_reset(name):
    """The other documented difference: Keras drops it when a state is given."""
    embedding = keras.layers.Embedding(9, FEATURES, mask_zero=True)
    ids = np.array([[1, 2, 0, 0], [3, 0, 4, 5]])
    ours, _ = pair(name)
    zeros = [np.zeros((2, UNITS), "float32") for _ in ours.state_size]
    never = np.zeros((2, 4), bool)
    expected = ours(embedding(ids))
    assert_same([ours(embedding(ids), initial_state=zeros)], [expected])
    assert_same([ours(embedding(ids), reset=never)], [expected])
    assert np.abs(ours(embedding(ids).numpy()) - expected).max() > 1e-3


def test_stateful_carries_like_keras(name):
    ours, theirs = pair(name, stateful=True, **WIDE)
    for _ in range(2):
        assert_same(ours(inputs()), theirs(inputs()))
    ours.reset_state()
    theirs.reset_state()
    assert_same(ours(inputs()), theirs(inputs()))
    assert_same([s.value for s in ours.states], [s.value for s in theirs.states])


@pytest.mark.parametrize("key", ["sequences and state", "unrolled", "other activation"])
@pytest.mark.quick(3)
def test_xla_equals_eager(name, key):
    ours, _ = pair(name, **OPTIONS[key][0])
    call = {"mask": mask(), "reset": reset()}
    compiled = tf.function(lambda x: results(ours, x, **call), jit_compile=True)
    received, expected = (
        compiled(tf.constant(inputs())),
        results(ours, inputs(), **call),
    )
    assert_same(received[0], expected[0])
    assert_same(received[1], expected[1])
    assert ours.supports_jit


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.quick(2)
def test_unknown_batch_and_time(name, jit):
    ours, theirs = pair(name, **WIDE)
    signature = [
        tf.TensorSpec((None, None, FEATURES)),
        tf.TensorSpec((None, None), tf.bool),
    ]
    function = tf.function(
        lambda x, mask: results(ours, x, mask=mask),
        input_signature=signature,
        jit_compile=jit,
    )
    for batch, time in [(BATCH, TIME), (1, 1), (2, 3)]:
        x, flags = inputs()[:batch, :time], mask()[:batch, :time]
        received, expected = function(x, flags), results(theirs, x, mask=flags)
        assert_same(received[0], expected[0])
        assert_same(received[1], expected[1], 5e-5)


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)]
)
def test_mixed_policies(name, policy, tolerance):
    """About five roundings of values up to one, of 2**-10 and of 2**-7."""
    ours, theirs = pair(name, dtype=policy, **WIDE)
    exact, _ = pair(name, **WIDE)
    outputs, slopes = results(ours, inputs(), mask=mask())
    wanted, wanted_slopes = results(exact, inputs(), mask=mask())
    for output, value in zip(outputs, wanted, strict=True):
        assert output.dtype == policy.removeprefix("mixed_")
        np.testing.assert_allclose(tf.cast(output, "float32"), value, atol=tolerance)
    assert_same(
        [tf.cast(o, "float32") for o in outputs],
        [tf.cast(o, "float32") for o in theirs(inputs(), mask=mask())],
        tolerance,
    )
    for slope, value in zip(slopes, wanted_slopes, strict=True):
        assert slope.dtype == "float32"
        error = np.linalg.norm(slope - value) / np.linalg.norm(value)
        assert error < 4 * tolerance


@pytest.mark.parametrize(("name", "key"), CASES)
def test_config_round_trip(name, key):
    ours, theirs = pair(name, **OPTIONS_OF[key][0])
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    assert again.fused == ours.fused
    config = theirs.get_config()
    assert {k: ours.get_config()[k] for k in config} == {**config, "name": ours.name}


def test_config_keeps_what_keras_forgets():
    layer = layers.LSTM(2, use_cudnn=False, implementation=1, dropout=0.5, seed=4)
    again = layers.LSTM.from_config(layer.get_config())
    assert again.use_cudnn is False
    assert again.cell.implementation == 1
    assert (
        layers.SimpleRNN.from_config(
            layers.SimpleRNN(2, dropout=0.5, seed=4).get_config()
        ).cell.seed
        == 4
    )
    ours, theirs = (kind(2, name="x").get_config() for kind in LAYERS["LSTM"])
    assert ours == theirs


def model_of(kind):
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, FEATURES, mask_zero=True),
            kind(UNITS, return_sequences=True),
            keras.layers.Dense(2),
        ]
    )


def test_files_save_load_and_take_weights_from_keras(name, tmp_path):
    ours, theirs = (model_of(kind) for kind in LAYERS[name])
    ids = np.array([[1, 2, 0, 0], [3, 0, 4, 5]])
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert_same([ours(ids)], [theirs(ids)])
    ours.save(tmp_path / "ours.keras")
    loaded = keras.models.load_model(tmp_path / "ours.keras")
    assert type(loaded.layers[1]) is LAYERS[name][0]
    assert_same([loaded(ids)], [ours(ids)])


@pytest.mark.quick(1)
def test_fits_predicts_and_compiles_in_a_keras_model(name):
    model = model_of(LAYERS[name][0])
    model.compile("sgd", "mse", jit_compile=True)
    ids = np.random.default_rng(0).integers(0, 9, (5, 7))
    targets = np.zeros((5, 7, 2), "float32")
    history = model.fit(ids, targets, batch_size=5, epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_allclose(model.predict(ids, verbose=0), model(ids), atol=1e-5)


def test_reset_is_an_input_of_a_functional_model(name):
    ours, _ = pair(name, return_sequences=True)
    x = keras.Input((None, FEATURES))
    flags = keras.Input((None,), dtype="bool")
    model = keras.Model([x, flags], ours(x, reset=flags))
    assert_same([model([inputs(), reset()])], [ours(inputs(), reset=reset())])


def test_bidirectional_equals_keras(name):
    ours, theirs = (
        keras.layers.Bidirectional(kind(UNITS, return_sequences=True))
        for kind in LAYERS[name]
    )
    for layer in (ours, theirs):
        layer.build((BATCH, TIME, FEATURES))
    ours.set_weights(theirs.get_weights())
    assert_same(
        [ours(inputs(), mask=mask())], [theirs(inputs(), mask=mask())], tolerance=1e-6
    )


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (np.zeros((BATCH, TIME), "int32"), TypeError, "Received: reset of dtype int32"),
        (np.zeros((BATCH,), bool), ValueError, r"Received: reset of shape \(4,\)"),
        (np.zeros((BATCH, TIME + 1), bool), ValueError, r"\(batch, time\) = \(4, 6\)"),
        (np.zeros((1, TIME), bool), ValueError, r"\(batch, time\) = \(4, 6\)"),
    ],
)
def test_a_wrong_reset_is_refused(name, flags, error, message):
    ours, _ = pair(name)
    with pytest.raises(error, match=message):
        ours(inputs(), reset=flags)


def test_a_wrong_mask_is_refused(name):
    ours, _ = pair(name)
    with pytest.raises(ValueError, match=r"`mask` must have shape \(batch, time\)"):
        ours(inputs(), mask=np.ones((BATCH, TIME, FEATURES), bool))


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_explicit_cudnn_is_refused_as_in_keras_where_there_is_none(name):
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("cuDNN serves here")
    ours, _ = pair(name, use_cudnn=True)
    assert not ours.fused
    with pytest.raises(ValueError, match="cuDNN is not supported"):
        ours(inputs())
    with pytest.raises(ValueError, match="`reset` is not possible with cuDNN"):
        ours(inputs(), reset=reset())


ARGUMENTS = {
    "implementation": [0, 1, 2],
    "time_major": [False, True],
    "batch_shape": [(2, 5, 3)],
    "batch_input_shape": [(2, 5, 3)],
    "input_shape": [(5, 3)],
    "input_dim": [3],
    "weights": [[]],
    "trainable": [False],
    "autocast": [False],
    "dtype": ["float64"],
    "activation": [None, "linear", "relu", "swish", keras.activations.tanh],
    "recurrent_activation": [None, "linear", "hard_sigmoid"],
    "use_bias": [False],
    "kernel_initializer": [None, "zeros"],
    "recurrent_initializer": [None, "glorot_uniform"],
    "bias_initializer": [None, "ones"],
    "unit_forget_bias": [False],
    "kernel_regularizer": ["l2"],
    "recurrent_regularizer": [keras.regularizers.L1(0.1)],
    "bias_regularizer": ["l1"],
    "activity_regularizer": ["l2"],
    "kernel_constraint": ["max_norm"],
    "recurrent_constraint": ["non_neg"],
    "bias_constraint": ["unit_norm"],
    "dropout": [None, 1.0, 1.5, -0.5],
    "recurrent_dropout": [None, 1.0],
    "seed": [3],
    "return_sequences": [True, 1, None],
    "return_state": [True],
    "go_backwards": [True],
    "stateful": [True],
    "unroll": [True, None],
    "zero_output_for_mask": [True],
    "reset_after": [False],
    "use_cudnn": [False, None, "auto"],
    "unknown": [1],
}


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.quick(36)
def test_arguments_that_keras_accepts_give_the_same_result(name, argument):
    ours, theirs = LAYERS[name]
    for value in ARGUMENTS[argument]:
        found = [outcome(kind, (4,), {argument: value}) for kind in (ours, theirs)]
        assert_same_outcome(*found)


@pytest.mark.parametrize("units", [(4, "relu"), (4, None, False), (4.0,), (0,), ()])
def test_arguments_by_position_mean_the_same(name, units):
    found = [outcome(kind, units, {}) for kind in LAYERS[name]]
    assert_same_outcome(*found)


def outcome(kind, arguments, options):
    """Outputs and configuration of a layer, or the type of error."""
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    keras.utils.set_random_seed(1)
    try:
        layer = kind(*arguments, **options)
        return tf.nest.flatten(layer(x)), layer
    except Exception as error:
        return type(error), None


def assert_same_outcome(ours, theirs):
    (found, layer), (expected, keras_layer) = ours, theirs
    if keras_layer is None or layer is None:
        assert found == expected
        return
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    config = keras_layer.get_config()
    own = {"name": layer.name, "seed": config.get("seed")}
    assert (layer.get_config() | own).items() >= (config | own).items()
    again = type(layer).from_config(config).get_config()
    assert again.items() >= config.items()
