"""What the native library takes, checked before it is called."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.kernels.fused.implementation import Arguments
from bptt_keras.kernels.native.kinds import DTYPES, KINDS
from bptt_keras.types import Tensor


def check_arguments(kind: str, given: Arguments) -> None:
    """Raises if arguments do not fit a kind of recurrence, or each other.

    Sizes that are not known while tracing are checked by the library.

    Args:
        kind: one of `KINDS`.
        given: the arguments.

    Raises:
        TypeError: dtypes differ, or are not those of the library.
        ValueError: a number of states or biases, a rank or a size is wrong.
    """
    _, gates, states, biases = KINDS[kind]
    if (len(given.states), len(given.biases)) != (states, biases):
        raise ValueError(
            f"The native kernel {kind!r} takes {states} states and {biases} biases. "
            f"Received: {len(given.states)} states, {len(given.biases)} biases."
        )
    floats = {
        "x": (given.x, ("time", "batch", "features")),
        **{f"state {i}": (s, ("batch", "units")) for i, s in enumerate(given.states)},
        "kernel": (given.kernel, ("features", "width")),
        "recurrent_kernel": (given.recurrent_kernel, ("units", "width")),
        **{f"bias {i}": (b, ("width",)) for i, b in enumerate(given.biases)},
    }
    flags = {
        name: (tensor, ("time", "batch"))
        for name, tensor in (("mask", given.mask), ("reset", given.reset))
        if tensor is not None
    }
    dtype = given.x.dtype
    if dtype not in DTYPES:
        raise TypeError(
            f"The native kernels take float32 and bfloat16. Received: x of "
            f"{dtype.name}. Use `implementation='fused'`."
        )
    for name, (tensor, _) in {**floats, **flags}.items():
        expected = tf.bool if name in flags else dtype
        if tensor.dtype != expected:
            raise TypeError(
                f"`{name}` must be {expected.name}, as `x` is {dtype.name}. "
                f"Received: {name} of {tensor.dtype.name}."
            )
    known: dict[str, int] = {}
    for name, (tensor, axes) in {**floats, **flags}.items():
        _check_shape(name, tensor, axes, known)
    if "units" not in known or known.get("width") != gates * known["units"]:
        raise ValueError(
            f"The weights of the native kernel {kind!r} must be {gates} times as wide "
            f"as its states. Received: recurrent_kernel of shape "
            f"{given.recurrent_kernel.shape}."
        )


def _check_shape(
    name: str, tensor: Tensor, axes: tuple[str, ...], known: dict[str, int]
) -> None:
    """Raises if a shape does not fit the sizes that are known; adds its own."""
    shape = tensor.shape
    fits = shape.rank == len(axes) and all(
        size is None or known.setdefault(axis, size) == size
        for axis, size in zip(axes, shape, strict=True)
    )
    if not fits:
        sizes = ", ".join(f"{a}={known[a]}" for a in axes if a in known)
        raise ValueError(
            f"`{name}` must have the shape ({', '.join(axes)})"
            f"{f' with {sizes}' if sizes else ''}. Received: {name} of shape {shape}."
        )
