"""Whether the native library runs in this process, tried out at its first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.backend import has_gpu
from bptt_keras.kernels.native.calls import Inputs, backward, forward
from bptt_keras.kernels.native.library import SETS, Library, Unavailable, library
from bptt_keras.types import Tensor

_TIME, _BATCH, _FEATURES, _UNITS = 3, 2, 3, 5
_LOCK = threading.Lock()


class _Example(NamedTuple):
    inputs: Inputs
    bias: Tensor


class Found(NamedTuple):
    """Why each way of calling the library does not work; None if it does."""

    in_xla: str | None
    as_operation: str | None


_found: Found | None = None


def why_not(*, xla: bool) -> str | None:
    """None if native kernels run here, or why not, in words.

    The first call loads the library and lets it compute a small recurrence.

    Args:
        xla: whether XLA compiles what calls it.
    """
    if has_gpu():
        return "there is a GPU"
    found = _tried()
    return found.in_xla if xla else found.as_operation


def instructions(dtype: str) -> str:
    """The processor's instructions that the library uses, in words.

    Args:
        dtype: "float32" or "bfloat16", of a recurrence.
    """
    chosen = library().chosen()
    # These differ from plain AVX-512 in products of bfloat16 alone.
    only_half = dtype == "float32" and chosen in ("amx", "avx512_bf16")
    return SETS["avx512" if only_half else chosen]


def _tried() -> Found:
    global _found
    if _found is None:
        with _LOCK:
            if _found is None:
                # In a thread of its own nothing is traced, and no tape records.
                with ThreadPoolExecutor(max_workers=1) as executor:
                    _found = executor.submit(_try_out).result()
    return _found


def _try_out() -> Found:
    try:
        ours = library()
    except Unavailable as error:
        return Found(str(error), str(error))
    given = _example()
    expected = _by_tensorflow(given)
    return Found(
        _reason(lambda: _in_xla(ours, given), expected),
        _reason(lambda: _as_operation(ours, given), expected),
    )


def _reason(run: Callable[[], list[Tensor]], expected: list[Tensor]) -> str | None:
    try:
        received = run()
    except Unavailable as error:
        return str(error)
    # Whatever it is, there is another kernel that runs.
    except Exception as error:
        lines = [*str(error).strip().splitlines(), ""]
        return f"it fails: {type(error).__name__}: {lines[0]}"
    same = all(
        np.allclose(r, e, rtol=1e-4, atol=1e-5)
        for r, e in zip(received, expected, strict=True)
    )
    return None if same else "its numbers are wrong on this machine"


def _in_xla(ours: Library, given: _Example) -> list[Tensor]:
    ours.register_with_xla()

    @tf.function(autograph=False, jit_compile=True)
    def program() -> list[Tensor]:
        return _both_ways(given, xla=True)

    # Called through its trace, it also runs where functions are run eagerly.
    return program.get_concrete_function()()


def _as_operation(ours: Library, given: _Example) -> list[Tensor]:
    ours.operation("forward")
    return _both_ways(given, xla=False)


def _both_ways(given: _Example, *, xla: bool) -> list[Tensor]:
    """The outputs, and the gradients of their sum."""
    inputs, bias = given
    h_seq, last, saved = forward("lstm", inputs, [bias], saves=True, xla=xla)
    upstream = [tf.ones_like(o) for o in (h_seq, *last)]
    slopes = backward("lstm", inputs, (h_seq, saved), upstream, xla=xla)
    return [h_seq, *last, *slopes]


def _example() -> _Example:
    def numbers(*shape: int) -> Tensor:
        # Between -1 and 1, without a generator whose state others may rely on.
        return tf.constant(np.sin(np.arange(1, 1 + np.prod(shape))), "float32", shape)

    width = 4 * _UNITS
    inputs = Inputs(
        x=numbers(_BATCH, _TIME, _FEATURES),
        states=(numbers(_BATCH, _UNITS), 0.5 * numbers(_BATCH, _UNITS)),
        weights=(numbers(_FEATURES, width), numbers(_UNITS, width)),
        flags=(
            tf.constant([[True, False, True], [True, True, False]]),
            tf.constant([[False, False, True], [True, False, False]]),
        ),
    )
    return _Example(inputs, numbers(width))


def _by_tensorflow(given: _Example) -> list[Tensor]:
    """What `_both_ways` should return, step by step, differentiated by a tape."""
    (x, (h, c), (kernel, recurrent_kernel), (mask, reset)), bias = given
    floats = [x, h, c, kernel, recurrent_kernel, bias]
    h_seq = []
    with tf.GradientTape() as tape:
        tape.watch(floats)
        for t in range(_TIME):
            keep, fresh = (flags[:, t, None] for flags in (mask, reset))
            h, c = (tf.where(fresh, 0.0, s) for s in (h, c))
            z = x[:, t] @ kernel + h @ recurrent_kernel + bias
            i, f, g, o = tf.split(z, 4, axis=-1)
            new = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.where(keep, tf.sigmoid(o) * tf.tanh(new), h)
            c = tf.where(keep, new, c)
            h_seq.append(h)
        outputs = [tf.stack(h_seq, axis=1), h, c]
    return [*outputs, *tape.gradient(outputs, floats)]
