"""The initial state as a weight of a layer, from which starts and resets begin."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import layers
from tests.references import finite_differences

LAYERS = {
    "LSTM": (layers.LSTM, keras.layers.LSTM),
    "GRU": (layers.GRU, keras.layers.GRU),
    "SimpleRNN": (layers.SimpleRNN, keras.layers.SimpleRNN),
}
BATCH, TIME, FEATURES, UNITS = 3, 4, 2, 2
WIDE = {"return_sequences": True, "return_state": True}


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def inputs(dtype="float32"):
    return np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype(dtype)


def mask():
    """Padded at its end, padded at its start, and switched off where it is reset."""
    flags = np.ones((BATCH, TIME), bool)
    flags[0, 3:] = flags[1, :2] = flags[2, 3] = False
    return flags


def reset():
    flags = np.zeros((BATCH, TIME), bool)
    flags[0, 2] = flags[1, 0] = flags[2, 1] = flags[2, 3] = True
    return flags


def learning(name, **options):
    """A layer with random weights, its initial state among them."""
    layer = LAYERS[name][0](UNITS, learn_initial_state=True, **WIDE | options)
    layer.build((BATCH, TIME, FEATURES))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.weights])
    return layer


def initial(layer):
    """The weights that are learned, in the order of the states."""
    known = {v.name: v for v in layer.trainable_variables}
    return [known[n] for n in ("initial_h", "initial_c")[: len(layer.state_size)]]


def gradients(layer, x, **call):
    """Of a sum over all outputs: by the inputs and all weights."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = [tf.cast(o, x.dtype) for o in tf.nest.flatten(layer(x, **call))]
        loss = tf.add_n([tf.reduce_sum(tf.sin(3 * o)) for o in outputs])
    return tape.gradient(loss, [x, *(w.value for w in layer.weights)])


def assert_close(received, expected, tolerance=1e-6):
    for r, e in zip(received, expected, strict=True):
        np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backwards", [False, True], ids=["", "backwards"])
def test_every_row_starts_from_the_weights(name, backwards):
    ours = learning(name, go_backwards=backwards)
    theirs = LAYERS[name][1](UNITS, go_backwards=backwards, **WIDE)
    theirs.build((BATCH, TIME, FEATURES))
    theirs.set_weights(ours.cell.get_weights())
    rows = [np.tile(w, (BATCH, 1)) for w in initial(ours)]
    assert_close(ours(inputs()), theirs(inputs(), initial_state=rows))


@pytest.mark.parametrize(
    "options",
    [{}, {"go_backwards": True}, {"unroll": True}, {"activation": "softsign"}],
    ids=["", "backwards", "unrolled", "softsign"],
)
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.quick(8)
def test_a_reset_equals_a_sequence_of_its_own(name, options, masked):
    """With a mask, too: a masked step that resets puts out the initial h."""
    layer = learning(name, **options)
    one_way = learning(name, **options, return_state=True)
    one_way.go_backwards = one_way.unroll = False
    way = slice(None, None, -1) if layer.go_backwards else slice(None)
    valid = mask() if masked else np.ones((BATCH, TIME), bool)
    outputs, *states = layer(inputs(), reset=reset(), mask=valid)
    for row in range(BATCH):
        x, flags, keep = (a[row, way] for a in (inputs(), reset(), valid))
        starts = sorted({0, *np.flatnonzero(flags).tolist()})
        pieces = [
            one_way(x[None, a:b], mask=keep[None, a:b])
            for a, b in zip(starts, [*starts[1:], TIME], strict=True)
        ]
        expected = np.concatenate([np.asarray(piece[0][0]) for piece in pieces])
        assert_close([outputs[row]], [expected])
        assert_close([s[row] for s in states], [s[0] for s in pieces[-1][1:]])


@pytest.mark.parametrize(
    ("masked", "resets"),
    [
        (True, True),
        *(
            pytest.param(*flags, marks=pytest.mark.slow)
            for flags in ((False, False), (False, True), (True, False))
        ),
    ],
)
def test_gradients_equal_finite_differences(name, masked, resets):
    layer = learning(name, dtype="float64")
    call = {"mask": mask() if masked else None, "reset": reset() if resets else None}

    @tf.function
    def outputs(x):
        return tf.add_n([tf.reduce_sum(tf.sin(3 * o)) for o in layer(x, **call)])

    def loss(x, *weights):
        layer.set_weights(weights)
        return float(outputs(tf.constant(x)))

    received = gradients(layer, inputs("float64"), **call)
    arguments = [inputs("float64"), *layer.get_weights()]
    # Central differences of sums of about fifty terms: good to 1e-7 or so.
    assert_close(received, finite_differences(loss, arguments))


def test_only_the_rows_that_start_have_a_gradient(name):
    """A state is given, one row is reset: the gradient is that row's alone."""
    layer = learning(name)
    given = [tf.fill((BATCH, UNITS), 0.3)] * len(layer.state_size)
    flags = np.zeros((BATCH, TIME), bool)
    flags[1, 2] = True
    own = [i for i, w in enumerate(layer.weights) if w.name.startswith("initial_")]
    assert len(own) == len(layer.state_size)

    def of_initial(x, **call):
        found = gradients(layer, x, **call)[1:]
        return [found[index] for index in own]

    received = of_initial(inputs(), initial_state=given, reset=flags)
    assert_close(received, of_initial(inputs()[1:2, 2:]), 1e-5)
    assert min(np.abs(slope).max() for slope in received) > 1e-3
    assert of_initial(inputs(), initial_state=given) == [None] * len(own)


@pytest.mark.slow
def test_xla_equals_eager(name):
    layer = learning(name)
    call = {"mask": mask(), "reset": reset()}
    compiled = tf.function(lambda x: gradients(layer, x, **call), jit_compile=True)
    # Gradients are sums of about fifty terms of about one.
    expected = gradients(layer, inputs(), **call)
    assert_close(compiled(tf.constant(inputs())), expected, 1e-5)


def test_batch_and_time_may_be_unknown(name):
    layer = learning(name)
    function = tf.function(
        lambda x, reset: layer(x, reset=reset),
        input_signature=[
            tf.TensorSpec((None, None, FEATURES)),
            tf.TensorSpec((None, None), tf.bool),
        ],
    )
    for rows, steps in ((BATCH, TIME), (1, 1)):
        x, flags = inputs()[:rows, :steps], reset()[:rows, :steps]
        assert_close(function(x, flags), layer(x, reset=flags))


@pytest.mark.parametrize("resets", [False, True], ids=["", "resets"])
def test_a_mixed_policy_computes_in_half_precision(name, resets):
    half, full = learning(name, dtype="mixed_float16"), learning(name)
    call = {"reset": reset() if resets else None}
    assert {w.dtype for w in initial(half)} == {"float32"}
    received = half(inputs(), **call)
    assert {r.dtype for r in received} == {tf.float16}
    # About five roundings of values up to one, of 2**-10 each.
    received = [tf.cast(r, "float32") for r in received]
    assert_close(received, full(inputs(), **call), 5e-3)


def test_many_rows_sum_their_gradients_in_the_precision_of_the_weights(name):
    """4096 rows: more than float16 counts one by one."""
    layer = learning(name, dtype="mixed_float16")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(1.001 * layer.get_initial_state(4096)[0])
    exact = 4096 * np.float32(np.float16(1.001))
    slope = tape.gradient(loss, initial(layer)[0].value)
    np.testing.assert_allclose(slope, exact, rtol=1e-6)


def test_one_dropout_mask_serves_the_kernel_and_the_loop(name):
    """A `reset` that flags nothing changes the loop, and not what is dropped."""
    kernel, loop = (
        learning(name, dropout=0.5, seed=3)(inputs(), training=True, reset=flags)
        for flags in (None, np.zeros((BATCH, TIME), bool))
    )
    assert_close(kernel, loop)


def test_the_configuration_keeps_it(name):
    layer = learning(name)
    again = type(layer).from_config(layer.get_config())
    assert again.learn_initial_state
    assert again.get_config() == layer.get_config()


def test_each_direction_has_its_own(name):
    layer = keras.layers.Bidirectional(learning(name, return_state=False))
    layer.build((BATCH, TIME, FEATURES))
    names = [v.name for v in layer.trainable_variables]
    assert names.count("initial_h") == 2


def test_stateful_is_refused(name):
    with pytest.raises(ValueError, match="is not possible with `stateful=True`"):
        LAYERS[name][0](UNITS, learn_initial_state=True, stateful=True)


def test_an_unbuilt_layer_says_so(name):
    layer = LAYERS[name][0](UNITS, learn_initial_state=True)
    with pytest.raises(RuntimeError, match="known once the layer is built"):
        layer.get_initial_state(2)
