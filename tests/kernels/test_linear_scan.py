"""The scan in blocks, against plain loops and finite differences."""

import importlib

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.kernels.linear_scan import linear_scan
from tests import references

BATCH, TIME, UNITS = 3, 11, 2
FLAGS = ["plain", "mask", "reset", "mask and reset"]


@pytest.fixture(params=[1, 4, 64], ids="block of {}".format, autouse=True)
def block(request, monkeypatch):
    """One step a block, blocks with padding, and one block."""
    # The package's attribute of this name is the function.
    module = importlib.import_module("bptt_keras.kernels.linear_scan")
    monkeypatch.setattr(module, "_BLOCK", request.param)


def arguments(dtype="float64", length=TIME):
    rng = np.random.default_rng(0)
    shapes = (BATCH, length, UNITS), (BATCH, length, UNITS), (BATCH, UNITS)
    values = [rng.normal(size=(2, *s)) for s in shapes]
    if dtype.startswith("complex"):
        return [(re + 1j * im).astype(dtype) for re, im in values]
    return [re.astype(dtype) for re, _ in values]


def flags_of(name, length=TIME):
    """Row 0 is masked at the first step, row 1 at every step."""
    rng = np.random.default_rng(1)
    mask = rng.random((BATCH, length)) > 0.3
    mask[0, 0] = False
    mask[1] = False
    reset = rng.random((BATCH, length)) > 0.7
    flags = {"mask": mask, "reset": reset}
    return {key: value for key, value in flags.items() if key in name}


def real(x):
    return tf.math.real(x) + 2 * tf.math.imag(x) if x.dtype.is_complex else x


def gradients(arguments, flags):
    arguments = [tf.convert_to_tensor(a) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        loss = tf.reduce_sum(tf.sin(3 * real(linear_scan(*arguments, **flags))))
    return tape.gradient(loss, arguments)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float64", 1e-12), ("complex128", 1e-12), ("float32", 1e-5)],
)
def test_forward_equals_plain_loops(flags, dtype, tolerance):
    flags = flags_of(flags)
    received = linear_scan(*arguments(dtype), **flags)
    expected = references.linear_scan(*arguments(dtype), **flags)
    assert received.dtype == dtype
    # Some factors are above one: values grow along time, rounding errors too.
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(received / scale, expected / scale, atol=tolerance)


@pytest.mark.parametrize("flags", FLAGS)
def test_gradients_equal_finite_differences(flags):
    flags = flags_of(flags)
    expected = references.finite_differences(
        lambda *a: np.sin(3 * references.linear_scan(*a, **flags)).sum(), arguments()
    )
    for slope, wanted in zip(gradients(arguments(), flags), expected, strict=True):
        # Central differences are good to about 1e-9 of the largest entry.
        scale = max(1, np.abs(wanted).max())
        np.testing.assert_allclose(slope / scale, wanted / scale, atol=1e-7)


@pytest.mark.parametrize("flags", FLAGS)
def test_complex_gradients_equal_finite_differences(flags):
    flags, values = flags_of(flags), arguments("complex128")
    parts = [part for v in values for part in (v.real.copy(), v.imag.copy())]

    def loss(*parts):
        joined = [re + 1j * im for re, im in zip(parts[::2], parts[1::2], strict=True)]
        h = references.linear_scan(*joined, **flags)
        return np.sin(3 * (h.real + 2 * h.imag)).sum()

    wanted = references.finite_differences(loss, parts)
    received = gradients(values, flags)
    for slope, re, im in zip(received, wanted[::2], wanted[1::2], strict=True):
        # As above; here values grow to about a thousand on the way.
        scale = max(1, np.abs(re).max(), np.abs(im).max())
        np.testing.assert_allclose(slope / scale, (re + 1j * im) / scale, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "jit"), [("float64", True), ("float64", False), ("complex128", True)]
)
@pytest.mark.quick(1)
def test_compiled_equals_eager_with_unknown_sizes(dtype, jit):
    sizes = [tf.TensorSpec((None, None, UNITS), dtype)] * 2
    signature = [*sizes, tf.TensorSpec((None, UNITS), dtype)]
    flag = tf.TensorSpec((None, None), tf.bool)

    @tf.function(input_signature=[*signature, flag, flag], jit_compile=jit)
    def both(a, b, h_0, mask, reset):
        flags = {"mask": mask, "reset": reset}
        return linear_scan(a, b, h_0, **flags), gradients((a, b, h_0), flags)

    for length in (TIME, 1):
        values = [tf.constant(a) for a in arguments(dtype, length)]
        flags = flags_of("mask and reset", length)
        flags = {key: tf.constant(flag) for key, flag in flags.items()}
        h_seq, slopes = both(*values, **flags)
        np.testing.assert_allclose(h_seq, linear_scan(*values, **flags), rtol=1e-10)
        for slope, wanted in zip(slopes, gradients(values, flags), strict=True):
            scale = max(1, np.abs(wanted).max())
            np.testing.assert_allclose(slope / scale, wanted / scale, atol=1e-10)


# The size that the package has.
@pytest.mark.parametrize("block", [128], indirect=True)
@pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("complex128", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("length", [127, 128, 129, 301])
def test_long_sequences_equal_plain_loops_and_one_finite_difference(dtype, length):
    """Lengths around one block and beyond, one random direction for the slope."""
    (a, b, h_0), flags = arguments(dtype, length), flags_of("mask and reset", length)
    # Factors of at most one: values neither vanish nor grow along time.
    values = [a / np.abs(a).max(axis=1, keepdims=True), b, h_0]
    expected = references.linear_scan(*values, **flags)
    np.testing.assert_allclose(linear_scan(*values, **flags), expected, atol=1e-12)
    ways = [way * 1e-6 for way in arguments(dtype, length)[::-1]]
    ways = [np.resize(way, v.shape) for way, v in zip(ways, values, strict=True)]

    def loss(sign):
        moved = [v + sign * way for v, way in zip(values, ways, strict=True)]
        h = references.linear_scan(*moved, **flags)
        return np.sin(3 * (h.real + 2 * h.imag)).sum()

    slopes = gradients(values, flags)
    along = sum(
        np.sum(np.real(np.conj(s) * way)) for s, way in zip(slopes, ways, strict=True)
    )
    # Central differences of some hundred terms are good to about 1e-7.
    np.testing.assert_allclose(along, (loss(1) - loss(-1)) / 2, rtol=1e-5)


def test_cutting_time_changes_nothing():
    a, b, h_0 = arguments()
    flags = flags_of("mask and reset")
    whole = linear_scan(a, b, h_0, **flags)
    first, second = (
        {key: flag[:, window] for key, flag in flags.items()}
        for window in (slice(0, 4), slice(4, None))
    )
    start = linear_scan(a[:, :4], b[:, :4], h_0, **first)
    end = linear_scan(a[:, 4:], b[:, 4:], start[:, -1], **second)
    np.testing.assert_allclose(tf.concat([start, end], axis=1), whole, rtol=1e-12)


def test_nan_in_a_masked_step_does_not_spread():
    (a, b, h_0), mask = arguments(), flags_of("mask")["mask"]
    spoiled = [np.where(mask[..., None], x, np.nan) for x in (a, b)]
    for slope, wanted in zip(
        gradients([*spoiled, h_0], {"mask": mask}),
        gradients([a, b, h_0], {"mask": mask}),
        strict=True,
    ):
        np.testing.assert_allclose(slope, wanted, rtol=1e-12)


def test_nan_in_a_state_does_not_survive_a_reset():
    a, b, h_0 = arguments()
    h_0[1] = np.nan
    reset = np.zeros((BATCH, TIME), bool)
    reset[1, 0] = True
    assert np.isfinite(linear_scan(a, b, h_0, reset=reset)).all()
    assert all(np.isfinite(g).all() for g in gradients([a, b, h_0], {"reset": reset}))


def test_second_derivatives_are_refused_not_wrong():
    a, b, h_0 = (tf.constant(x) for x in arguments())
    with tf.GradientTape() as outer:
        outer.watch(a)
        slope, *_ = gradients([a, b, h_0], {})
    with pytest.raises(NotImplementedError, match="first derivatives only"):
        outer.gradient(slope, a)
