"""The native kernels compute what the equations say, with each set of instructions."""

import functools
import threading

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import kernels
from bptt_keras.kernels.native.kinds import KINDS
from tests.kernels.native.arrays import (
    Sizes,
    arrays_of,
    assert_near,
    by_loops,
    by_tensorflow,
    flags_of,
    gradients,
)

# Sums in float32 of up to a hundred terms, relative to the largest entry.
CLOSE = 3e-6
SIZES = [
    Sizes(batch=1, time=1, features=1, units=1),
    Sizes(batch=2, time=7, features=3, units=16),
    Sizes(batch=7, time=5, features=20, units=33),
    Sizes(batch=3, time=4, features=16, units=5),
    Sizes(batch=13, time=3, features=33, units=64),
]
ALL_FLAGS = [(), ("mask",), ("reset",), ("mask", "reset")]


def run(kind, arrays, *, save=True, choice="native", **flags):
    """A kernel by the name that the library has for it; biases are always given."""
    options = {"save": save, "implementation": choice, **flags}
    if kind == "lstm":
        return kernels.lstm(*arrays, **options)
    if kind.startswith("gru"):
        return kernels.gru(*arrays, reset_after=kind == "gru", **options)
    activation = kind.removeprefix("simple_rnn_")
    return kernels.simple_rnn(*arrays, activation=activation, **options)


def floats(arrays, dtype="float32"):
    return [tf.cast(a, dtype) for a in arrays]


def with_each_set(native, program, *given):
    """The results with each set of instructions, of a program compiled once."""
    for name in native.sets():
        native.choose(name)
        yield program(*given)


@functools.cache
def expected_of(kind, sizes, names):
    """Outputs and gradients in float64."""
    flags = {k: v for k, v in flags_of(sizes).items() if k in names}
    arrays = [tf.constant(a) for a in arrays_of(kind, sizes)]
    return gradients(lambda a: by_tensorflow(kind, a, flags), arrays)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_that_is_differentiated_equals_plain_loops(kind):
    sizes = Sizes()
    outputs = by_loops(kind, arrays_of(kind, sizes), flags_of(sizes))
    received = expected_of(kind, sizes, ("mask", "reset"))
    assert_near(received[: len(outputs)], outputs, 1e-12)


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        # One size with all flags, and all sizes with both.
        pytest.param(
            *(sizes, names),
            marks=()
            if sizes == SIZES[2] or names == ALL_FLAGS[-1]
            else pytest.mark.slow,
            id=f"{sizes}-{' and '.join(names)}",
        )
        for sizes in SIZES
        for names in ALL_FLAGS
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_operation_is_right(kind, sizes, names, instructions, counted):
    flags = {k: v for k, v in flags_of(sizes).items() if k in names}
    received = gradients(
        lambda a: run(kind, a, **flags), floats(arrays_of(kind, sizes))
    )
    assert_near(received, expected_of(kind, sizes, names), CLOSE)
    assert counted() == 2


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.quick(4)
def test_calls_within_xla_are_right(kind, known, native, counted):
    def shape(array, batch_axes):
        axes = [None if i in batch_axes else n for i, n in enumerate(array.shape)]
        return axes if not known else array.shape

    example, states = arrays_of(kind, SIZES[2]), KINDS[kind].states
    signature = [tf.TensorSpec(shape(example[0], (0, 1)), "float32")]
    signature += [
        tf.TensorSpec(shape(a, (0,) if 1 <= i <= states else ()), "float32")
        for i, a in enumerate(example[1:], start=1)
    ]
    rows = shape(example[0], (0, 1))[:2]

    @tf.function(
        jit_compile=True,
        autograph=False,
        input_signature=[signature, *[tf.TensorSpec(rows, "bool")] * 2],
    )
    def program(arrays, mask, reset):
        return gradients(lambda a: run(kind, a, mask=mask, reset=reset), arrays)

    others = [] if known else [SIZES[2]._replace(batch=2, time=1)]
    for sizes in [SIZES[2], *others]:
        flags = {k: tf.constant(v) for k, v in flags_of(sizes).items()}
        given = [floats(arrays_of(kind, sizes)), *flags.values()]
        for received in with_each_set(native, program, *given):
            assert_near(received, expected_of(kind, sizes, tuple(flags)), CLOSE)
    assert counted() == 2 * (1 + len(others)) * len(native.sets())
    assert program.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_forward_pass_alone_is_right(kind, xla, native, counted):
    sizes = SIZES[2]
    flags = {k: tf.constant(v) for k, v in flags_of(sizes).items()}

    @tf.function(jit_compile=xla, autograph=False)
    def program(arrays):
        return run(kind, arrays, save=False, **flags)

    expected = by_loops(kind, arrays_of(kind, sizes), flags_of(sizes))
    for received in with_each_set(native, program, floats(arrays_of(kind, sizes))):
        assert_near(received, expected, CLOSE)
    assert counted() == len(native.sets())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_saved_is_computed_again(kind, instructions, counted):
    sizes = SIZES[3]
    arrays = floats(arrays_of(kind, sizes))
    received = gradients(lambda a: run(kind, a, save=False), arrays)
    assert_near(received, expected_of(kind, sizes, ()), CLOSE)
    assert counted() == 3


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.quick(4)
def test_the_fused_kernel_agrees(kind, xla, native):
    if kind == "gru_reset_before":
        pytest.skip("it has no fused kernel")
    sizes = SIZES[2]
    flags = {k: tf.constant(v) for k, v in flags_of(sizes).items()}
    results = []
    for choice in ("native", "fused"):

        @tf.function(jit_compile=xla, autograph=False)
        def program(arrays, choice=choice):
            return gradients(lambda a: run(kind, a, choice=choice, **flags), arrays)

        results.append(program(floats(arrays_of(kind, sizes))))
    assert_near(*results, CLOSE)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_stays_within_rounding(kind, xla, native, counted):
    sizes, unit = Sizes(batch=7, time=5, features=20, units=33), 2**-8
    halves = floats(arrays_of(kind, sizes), "bfloat16")
    flags = {k: tf.constant(v) for k, v in flags_of(sizes).items()}
    program = tf.function(
        lambda a: gradients(lambda a: run(kind, a, **flags), a), jit_compile=xla
    )
    expected = gradients(
        lambda a: by_tensorflow(kind, a, flags), [tf.cast(a, "float64") for a in halves]
    )
    if kind == "simple_rnn_relu":
        # Rounding moves units over the kink, where the slope jumps.
        expected = expected[:2]
    for received in with_each_set(native, program, halves):
        assert all(r.dtype == tf.bfloat16 for r in received)
        for r, e in zip(received, expected, strict=False):
            r = np.asarray(tf.cast(r, "float64"))
            # A few roundings in each of five steps.
            assert np.linalg.norm(r - e) <= 16 * unit * np.linalg.norm(e)
    assert counted() == 2 * len(native.sets())


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_a_masked_step_counts_for_nothing(kind, xla, native):
    sizes = SIZES[2]
    mask = flags_of(sizes)["mask"]
    x, *others = arrays_of(kind, sizes)
    spoiled = np.where(mask[..., None], x, np.nan)
    program = tf.function(
        lambda a: gradients(lambda a: run(kind, a, mask=mask), a), jit_compile=xla
    )
    for received in with_each_set(native, program, floats([spoiled, *others])):
        assert_near(received, expected_of(kind, sizes, ("mask",)), CLOSE)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_stay_visible(kind, bad, instructions):
    sizes = SIZES[2]
    arrays = arrays_of(kind, sizes)
    arrays[0][2, 1, :] = bad
    h_seq, *_ = run(kind, floats(arrays))
    expected = np.asarray(by_tensorflow(kind, floats(arrays), {})[0])
    # An infinite sum is a gate that is open or closed, and may give a number.
    np.testing.assert_array_equal(np.isnan(h_seq), np.isnan(expected))
    rows = np.arange(sizes.batch) != 1
    assert np.isfinite(np.asarray(h_seq)[:, rows]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_a_state_does_not_survive_a_reset(kind, instructions):
    arrays = arrays_of(kind, Sizes())
    arrays[1][1] = np.nan
    reset = np.zeros((Sizes().time, Sizes().batch), bool)
    reset[0, 1] = True
    received = gradients(lambda a: run(kind, a, reset=reset), floats(arrays))
    assert all(np.isfinite(r).all() for r in received)


@pytest.mark.parametrize("xla", [False, True])
def test_a_tape_outside_of_the_function_gets_gradients(xla, counted):
    arrays = floats(arrays_of("lstm", Sizes()))
    program = tf.function(lambda a: run("lstm", a), jit_compile=xla)
    received = gradients(program, arrays)
    assert_near(received, expected_of("lstm", Sizes(), ()), CLOSE)
    assert counted() == 2


def test_threads_run_side_by_side(native):
    sizes = Sizes(batch=16, time=20, features=16, units=48)
    arrays = floats(arrays_of("lstm", sizes))
    program = tf.function(
        lambda a: gradients(lambda a: run("lstm", a), a), jit_compile=True
    )
    once = [r.numpy() for r in program(arrays)]
    wrong = []

    def work():
        for _ in range(20):
            for made in (program(arrays), gradients(lambda a: run("lstm", a), arrays)):
                try:
                    assert_near(made, once, CLOSE)
                except AssertionError as error:
                    wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
