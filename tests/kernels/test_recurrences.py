"""One battery for all fused recurrences; to join it, add a row to `KERNELS`.

The native kernels run in float32, the others in float64.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import kernels
from bptt_keras.kernels.native import probe
from bptt_keras.kernels.recurrence import recurrence
from tests import references

TIME, BATCH, UNITS = 5, 3, 4
FLAGS = ["plain", "mask", "reset", "mask and reset"]
SINGLE_FLAGS_SLOW = [
    pytest.param(name, marks=pytest.mark.slow if name in ("mask", "reset") else ())
    for name in FLAGS
]


class Kernel(NamedTuple):
    run: Any
    reference: Any
    gates: int
    states: int
    biases: int = 0
    native: bool = False

    @property
    def dtype(self):
        return "float32" if self.native else "float64"

    def within(self, tolerance):
        """A tolerance for float64; in float32, a sum of tens of terms of about one."""
        return max(tolerance, 3e-5) if self.native else tolerance


def given_projections(kernel, states):
    """A kernel as a function of the projected inputs: `W` is 1, `b` is 0."""

    def run(x_proj, *rest, **flags):
        x_proj = tf.convert_to_tensor(x_proj)
        width, dtype = x_proj.shape[-1], x_proj.dtype
        before, recurrent, biases = rest[:states], rest[states], rest[states + 1 :]
        unit = tf.eye(width, dtype=dtype)
        bias = tf.zeros([width], dtype)
        return kernel(x_proj, *before, unit, recurrent, bias, *biases, **flags)

    return run


def saving_nothing(kernel):
    return functools.partial(kernel, save=False)


def native(kernel, **options):
    return functools.partial(kernel, implementation="native", **options)


def simple(activation, reference, **options):
    is_native = options.get("implementation") == "native"
    return Kernel(
        given_projections(
            functools.partial(kernels.simple_rnn, activation=activation, **options), 1
        ),
        functools.partial(references.simple_rnn, activation=reference),
        gates=1,
        states=1,
        native=is_native,
    )


def lstm_step(x, m, states, extra):
    z_i, z_f, z_g, z_o = tf.split(x + m, 4, axis=-1)
    c = tf.sigmoid(z_f) * states[1] + tf.sigmoid(z_i) * tf.tanh(z_g)
    return tf.sigmoid(z_o) * tf.tanh(c), c


def any_lstm(x_proj, h_0, c_0, recurrent_kernel, **flags):
    """The kernel for any step, with the step of an LSTM."""
    return recurrence(lstm_step, x_proj, (h_0, c_0), recurrent_kernel, **flags)


KERNELS = {
    "lstm": Kernel(
        given_projections(kernels.lstm, 2), references.lstm, gates=4, states=2
    ),
    "gru": Kernel(
        given_projections(kernels.gru, 1), references.gru, gates=3, states=1, biases=1
    ),
    "recurrence": Kernel(any_lstm, references.lstm, gates=4, states=2),
    "simple_rnn tanh": simple("tanh", np.tanh),
    "simple_rnn relu": simple("relu", lambda x: np.maximum(x, 0)),
    "simple_rnn linear": simple("linear", lambda x: x),
    "lstm, saving nothing": Kernel(
        given_projections(saving_nothing(kernels.lstm), 2),
        references.lstm,
        gates=4,
        states=2,
    ),
    "gru, saving nothing": Kernel(
        given_projections(saving_nothing(kernels.gru), 1),
        references.gru,
        gates=3,
        states=1,
        biases=1,
    ),
    "simple_rnn, saving nothing": simple("tanh", np.tanh, save=False),
    "native lstm": Kernel(
        given_projections(native(kernels.lstm), 2),
        references.lstm,
        gates=4,
        states=2,
        native=True,
    ),
    "native lstm, saving nothing": Kernel(
        given_projections(native(kernels.lstm, save=False), 2),
        references.lstm,
        gates=4,
        states=2,
        native=True,
    ),
    "native gru": Kernel(
        given_projections(native(kernels.gru), 1),
        references.gru,
        gates=3,
        states=1,
        biases=1,
        native=True,
    ),
    "native gru, reset before": Kernel(
        given_projections(native(kernels.gru, reset_after=False), 1),
        references.gru_reset_before,
        gates=3,
        states=1,
        native=True,
    ),
    "native simple_rnn tanh": simple("tanh", np.tanh, implementation="native"),
    "native simple_rnn relu": simple(
        "relu", lambda x: np.maximum(x, 0), implementation="native"
    ),
    "native simple_rnn linear": simple("linear", lambda x: x, implementation="native"),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    chosen = KERNELS[request.param]
    if chosen.native and (reason := probe.why_not(xla=True)):
        pytest.skip(f"native kernels do not run: {reason}")
    return chosen


def arguments_of(kernel, time=TIME, batch=BATCH, dtype=None):
    dtype = dtype or kernel.dtype
    rng = np.random.default_rng(0)
    width = kernel.gates * UNITS
    shapes = [
        (time, batch, width),
        *[(batch, UNITS)] * kernel.states,
        (UNITS, width),
        *[(width,)] * kernel.biases,
    ]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def flags_of(name, time=TIME, batch=BATCH):
    """Row 0 is masked at the first step, row 1 at every step."""
    rng = np.random.default_rng(1)
    mask = rng.random((time, batch)) > 0.3
    mask[0, 0] = False
    mask[:, 1 % batch] = False
    reset = rng.random((time, batch)) > 0.6
    flags = {"mask": mask, "reset": reset}
    return {key: value for key, value in flags.items() if key in name}


def weighted_sum(outputs):
    """A scalar that depends on every output, and on each in another way."""
    weights = [
        np.sin(np.arange(np.size(o)) + k).reshape(o.shape)
        for k, o in enumerate(outputs)
    ]
    if isinstance(outputs[0], tf.Tensor):
        return tf.add_n(
            [
                tf.reduce_sum(o * tf.cast(w, o.dtype))
                for o, w in zip(outputs, weights, strict=True)
            ]
        )
    return sum(np.sum(o * w) for o, w in zip(outputs, weights, strict=True))


def gradients(kernel, arguments, flags):
    arguments = [tf.convert_to_tensor(a) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        loss = tf.add_n(
            [tf.reduce_sum(tf.sin(3 * o)) for o in kernel.run(*arguments, **flags)]
        )
    return tape.gradient(loss, arguments)


def assert_close(received, expected, tolerance):
    for r, e in zip(received, expected, strict=True):
        np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)]
)
def test_forward_equals_plain_loops(kernel, flags, dtype, tolerance):
    if kernel.native and dtype == "float64":
        pytest.skip("the native kernels have no float64")
    flags = flags_of(flags)
    expected = kernel.reference(*arguments_of(kernel, dtype="float64"), **flags)
    received = kernel.run(*arguments_of(kernel, dtype=dtype), **flags)
    # Linear units grow with every step: an absolute error has to grow with them.
    scale = max(1, np.abs(expected[0]).max())
    assert_close(
        [r / scale for r in received], [e / scale for e in expected], tolerance
    )
    assert all(r.dtype == dtype for r in received)


@pytest.mark.parametrize("flags", SINGLE_FLAGS_SLOW)
def test_gradients_equal_finite_differences(kernel, flags):
    flags = flags_of(flags)
    arguments = arguments_of(kernel, dtype="float64")
    tensors = [tf.constant(a, kernel.dtype) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = weighted_sum(kernel.run(*tensors, **flags))
    expected = references.finite_differences(
        lambda *a: weighted_sum(kernel.reference(*a, **flags)), arguments
    )
    for received, wanted in zip(tape.gradient(loss, tensors), expected, strict=True):
        # Central differences are good to about 1e-9 of the largest entry.
        scale = max(1, np.abs(wanted).max())
        np.testing.assert_allclose(
            received / scale, wanted / scale, atol=kernel.within(1e-7)
        )


@pytest.mark.parametrize(
    "flags", [pytest.param("plain", marks=pytest.mark.slow), "mask and reset"]
)
@pytest.mark.quick(1)
def test_xla_equals_eager_with_unknown_batch_and_time(kernel, flags):
    """One graph for all sizes, also for one row of one step."""
    sizes = [(TIME, BATCH), (1, 1)]
    names = flags_of(flags).keys()
    width = kernel.gates * UNITS
    signature = (
        [
            tf.TensorSpec((None, None, width), kernel.dtype),
            *[tf.TensorSpec((None, UNITS), kernel.dtype)] * kernel.states,
            tf.TensorSpec((UNITS, width), kernel.dtype),
            *[tf.TensorSpec((width,), kernel.dtype)] * kernel.biases,
        ],
        dict.fromkeys(names, tf.TensorSpec((None, None), tf.bool)),
    )
    for jit in (False, True):
        function = tf.function(
            lambda arguments, flags: (
                kernel.run(*arguments, **flags),
                gradients(kernel, arguments, flags),
            ),
            input_signature=signature,
            jit_compile=jit,
        )
        for size in sizes:
            arguments = [tf.constant(a) for a in arguments_of(kernel, *size)]
            at_size = {k: tf.constant(v) for k, v in flags_of(flags, *size).items()}
            outputs, slopes = function(arguments, at_size)
            assert_close(
                outputs, kernel.run(*arguments, **at_size), kernel.within(1e-12)
            )
            assert_close(
                slopes, gradients(kernel, arguments, at_size), kernel.within(1e-10)
            )


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.quick(4)
def test_gradient_inside_a_loop_over_windows(kernel, jit):
    """A tape in the body of `tf.while_loop`, as the trainer has it."""
    arguments = [tf.constant(a) for a in arguments_of(kernel)]

    @tf.function(jit_compile=jit)
    def twice():
        def body(i, totals):
            slopes = gradients(kernel, arguments, {})
            return i + 1, [a + b for a, b in zip(totals, slopes, strict=True)]

        zeros = [tf.zeros_like(a) for a in arguments]
        return tf.while_loop(lambda i, _: i < 2, body, (0, zeros))[1]

    expected = [2 * g for g in gradients(kernel, arguments, {})]
    assert_close(twice(), expected, kernel.within(1e-10))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.quick(2)
def test_a_persistent_tape_gets_the_same_gradients(kernel, jit):
    arguments = [tf.constant(a) for a in arguments_of(kernel)]

    @tf.function(jit_compile=jit)
    def persistent():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(arguments)
            h_seq, *last = kernel.run(*arguments)
            losses = [tf.reduce_sum(h_seq), tf.reduce_sum(tf.sin(last[0]))]
        return [tape.gradient(loss, arguments) for loss in losses]

    def single(loss_of):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            loss = loss_of(*kernel.run(*arguments))
        return tape.gradient(loss, arguments)

    first, second = persistent()
    assert_close(
        first, single(lambda h_seq, *last: tf.reduce_sum(h_seq)), kernel.within(1e-10)
    )
    assert_close(
        second,
        single(lambda h_seq, *last: tf.reduce_sum(tf.sin(last[0]))),
        kernel.within(1e-10),
    )


def test_rows_may_be_known_only_from_the_state(kernel):
    arguments = [tf.constant(a) for a in arguments_of(kernel, batch=2)]
    x = tf.TensorSpec((None, None, arguments[0].shape[-1]), kernel.dtype)
    function = tf.function(lambda x: kernel.run(x, *arguments[1:])[0], [x])
    assert_close(
        [function(arguments[0])], kernel.run(*arguments)[:1], kernel.within(1e-12)
    )


def test_reset_row_equals_two_separate_sequences(kernel):
    x, *rest = arguments_of(kernel)
    states, weights = rest[: kernel.states], rest[kernel.states :]
    reset = np.zeros((TIME, BATCH), bool)
    reset[2, 1] = True
    h_seq, *last = kernel.run(x, *states, *weights, reset=reset)
    whole, *whole_last = kernel.run(x, *states, *weights)
    zeros = [np.zeros_like(s) for s in states]
    second, *second_last = kernel.run(x[2:], *zeros, *weights)
    assert_close(
        [h_seq[:2, 1], h_seq[2:, 1]], [whole[:2, 1], second[:, 1]], kernel.within(1e-12)
    )
    for row in (0, 2):
        np.testing.assert_array_equal(h_seq[:, row], whole[:, row])
    assert_close(
        [s[1] for s in last], [s[1] for s in second_last], kernel.within(1e-12)
    )


def test_cutting_time_changes_nothing(kernel):
    x, *rest = arguments_of(kernel)
    states, weights = rest[: kernel.states], rest[kernel.states :]
    flags = flags_of("mask and reset")
    expected = kernel.run(x, *states, *weights, **flags)
    pieces = []
    for window in (slice(0, 2), slice(2, TIME)):
        cut = {key: value[window] for key, value in flags.items()}
        h_seq, *states = kernel.run(x[window], *states, *weights, **cut)
        pieces.append(h_seq)
    assert_close([tf.concat(pieces, 0), *states], expected, kernel.within(1e-12))


def test_nan_in_a_masked_step_does_not_spread(kernel):
    x, *rest = arguments_of(kernel)
    mask = flags_of("mask")["mask"]
    spoiled = np.where(mask[..., None], x, np.nan)
    expected = gradients(kernel, [x, *rest], {"mask": mask})
    assert_close(
        gradients(kernel, [spoiled, *rest], {"mask": mask}),
        expected,
        kernel.within(1e-12),
    )


def test_nan_in_a_state_does_not_survive_a_reset(kernel):
    x, h_0, *rest = arguments_of(kernel)
    h_0[1] = np.nan
    reset = np.zeros((TIME, BATCH), bool)
    reset[0, 1] = True
    h_seq, *_ = kernel.run(x, h_0, *rest, reset=reset)
    assert np.isfinite(h_seq).all()
    slopes = gradients(kernel, [x, h_0, *rest], {"reset": reset})
    assert all(np.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2**-10), ("bfloat16", 2**-7)])
def test_half_precision_stays_within_rounding(kernel, dtype, unit):
    if kernel.native and dtype == "float16":
        pytest.skip("the native kernels have no float16")
    arguments = [a / 4 for a in arguments_of(kernel)]
    halves = [tf.cast(a, dtype) for a in arguments]
    rounded = [tf.cast(a, kernel.dtype).numpy() for a in halves]
    received = [tf.cast(r, "float64") for r in kernel.run(*halves)]
    # A few roundings a step, over five steps, of values of about one.
    assert_close(received, kernel.reference(*rounded), 4 * unit)
    if kernel in (KERNELS["simple_rnn relu"], KERNELS["native simple_rnn relu"]):
        return  # rounding moves a unit over the kink, where the slope jumps
    slopes = [tf.cast(g, kernel.dtype) for g in gradients(kernel, halves, {})]
    for slope, wanted in zip(slopes, gradients(kernel, rounded, {}), strict=True):
        error = np.linalg.norm(slope - wanted) / np.linalg.norm(wanted)
        assert error < 8 * unit


def test_variables_serve_as_arguments(kernel):
    arguments = arguments_of(kernel)
    variables = [tf.Variable(a) for a in arguments]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(kernel.run(*variables)[0])
    assert all(g is not None for g in tape.gradient(loss, variables))
    assert_close(kernel.run(*variables), kernel.run(*arguments), kernel.within(1e-12))


def test_second_derivatives_are_refused_not_wrong(kernel):
    x, *rest = (tf.constant(a) for a in arguments_of(kernel))
    with tf.GradientTape() as outer:
        outer.watch(x)
        (slope, *_) = gradients_through(kernel, [x, *rest])
        norm = tf.reduce_sum(slope * slope)
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        outer.gradient(norm, x)


def gradients_through(kernel, arguments):
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        loss = tf.reduce_sum(kernel.run(*arguments)[0])
    return tape.gradient(loss, arguments)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize(
    ("run", "gates", "states"),
    [(kernels.lstm, 4, 2), (kernels.gru, 3, 1), (kernels.simple_rnn, 1, 1)],
)
def test_inputs_are_projected_inside(run, gates, states, flags):
    """Kernel and bias, and their gradients, as if the projection stood outside."""
    rng = np.random.default_rng(2)
    x, kernel, bias = (
        tf.constant(rng.normal(size=shape))
        for shape in ((TIME, BATCH, 2), (2, gates * UNITS), (gates * UNITS,))
    )
    before = [tf.constant(rng.normal(size=(BATCH, UNITS))) for _ in range(states)]
    recurrent = tf.constant(rng.normal(size=(UNITS, gates * UNITS)))
    flags = flags_of(flags)

    def inside(x, kernel, bias):
        return run(x, *before, kernel, recurrent, bias, **flags)

    def outside(x, kernel, bias):
        x_proj = tf.tensordot(x, kernel, 1) + bias
        return given_projections(run, states)(x_proj, *before, recurrent, **flags)

    results = []
    for function in (inside, outside):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel, bias))
            outputs = function(x, kernel, bias)
            loss = weighted_sum(outputs)
        results.append([*outputs, *tape.gradient(loss, (x, kernel, bias))])
    assert_close(*results, 1e-12)


@pytest.mark.parametrize(
    ("run", "gates", "states"),
    [(kernels.lstm, 4, 2), (kernels.gru, 3, 1), (kernels.simple_rnn, 1, 1)],
)
def test_nan_in_masked_inputs_does_not_reach_the_kernel(run, gates, states):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(TIME, BATCH, 2))
    mask = flags_of("mask")["mask"]
    before = [np.zeros((BATCH, UNITS))] * states
    recurrent = rng.normal(size=(UNITS, gates * UNITS))
    slopes = []
    for blank in (0.0, np.nan):
        kernel = tf.fill((2, gates * UNITS), tf.constant(0.5, tf.float64))
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            inputs = np.where(mask[..., None], x, blank)
            loss = weighted_sum(run(inputs, *before, kernel, recurrent, mask=mask))
        slopes.append(tape.gradient(loss, kernel))
    np.testing.assert_array_equal(*slopes)


@pytest.mark.parametrize(
    ("run", "width", "states"),
    [(kernels.lstm, 12, 2), (kernels.gru, 9, 1), (kernels.simple_rnn, 3, 1)],
)
def test_no_bias_means_zeros(run, width, states):
    rng = np.random.default_rng(0)
    shapes = [(4, 2, 5), *[(2, 3)] * states, (5, width), (3, width)]
    arguments = [rng.normal(size=s).astype("float32") for s in shapes]
    zeros = run(*arguments, np.zeros(width, "float32"))
    for a, b in zip(run(*arguments), zeros, strict=True):
        np.testing.assert_array_equal(a, b)
