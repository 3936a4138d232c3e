"""Dropout whose random numbers XLA draws fast on a CPU, separately per timestep."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import tensorflow as tf

from bptt_keras.types import Tensor

# Draws are 16-bit words: two of them cost one random number, and rates are exact to
# 1 / 65,536.
_LEVELS = 1 << 16
# Philox generates blocks of four 32-bit words; a counter selects the next block.
_WORDS_A_BLOCK = 4
_DRAWS_A_BLOCK = 2 * _WORDS_A_BLOCK
_place = threading.local()


@contextlib.contextmanager
def starting_at(step: int | Tensor) -> Iterator[None]:
    """Within: draws in this thread begin at a timestep of the sequence.

        with starting_at(s): dropout(x[:, s:], r, seed)   equals
        dropout(x, r, seed)[:, s:]

    So a sequence that is cut into windows drops the same as when it is not cut, if all
    windows share a seed. The place is read when an operation is created: inside a
    `tf.function` this is when the function is traced, and `step` may be a tensor.

    Args:
        step: Integer, or scalar integer tensor, at least 0: the first timestep.
            Outside any `starting_at`, draws begin at 0; an inner context replaces an
            outer one.

    Returns:
        A context manager.

    Example:
        from bptt_keras.kernels.dropout import dropout, starting_at

        x = tf.ones([2, 10, 4])
        with starting_at(6):
            end = dropout(x[:, 6:], 0.5, seed=[1, 2])
        np.testing.assert_array_equal(end, dropout(x, 0.5, seed=[1, 2])[:, 6:])
    """
    outer = getattr(_place, "step", 0)
    _place.step = step
    try:
        yield
    finally:
        _place.step = outer


def dropout(
    inputs: Tensor,
    rate: float,
    seed: Tensor,
    noise_shape: Sequence[int | None] | None = None,
) -> Tensor:
    """Sets a random fraction of the inputs to zero and scales up the others.

        p = round(rate * 2^16) / 2^16,   kept = draw >= p
        outputs = inputs * kept / (1 - p)

    From rank 3 on, axis 1 is time, and each timestep draws from its own section of the
    random stream, which depends only on its index: see `starting_at`.

    Args:
        inputs: Tensor of any shape, floating-point.
        rate: Fraction to drop, 0 to 1.
        seed: Integer tensor `(2,)`: the same seed draws the same numbers, with XLA
            and without.
        noise_shape: Shape of the draws; `None`, also for a single axis, is the size of
            the inputs. Inputs along an axis of size 1 are dropped together. With a time
            axis of size 1 there is one mask for all timesteps, wherever they start.

    Returns:
        Tensor like `inputs`.

    Example:
        from bptt_keras.kernels.dropout import dropout

        dropped = dropout(tf.ones([1000]), 0.25, seed=[1, 2])
        assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}

    Source: Srivastava et al., "Dropout" (2014). With TensorFlow's own draws, XLA took
    86 times as long for (64, 100, 256) floats on 2 cores of an AMD EPYC
    (`python -m tests.benchmarks.dropout` repeats the measurement).
    """
    limit = _limit(rate)
    if limit == 0:
        return inputs
    if limit == _LEVELS:
        return tf.zeros_like(inputs)
    shape = _sizes(inputs)
    if noise_shape is not None:
        noise = [None if n is None else int(n) for n in noise_shape]
        shape = [own if n is None else n for n, own in zip(noise, shape, strict=True)]
    has_time = len(shape) >= 3 and (noise_shape is None or noise[1] != 1)
    kept = _kept(shape, limit, seed, has_time)
    scale = tf.constant(_LEVELS / (_LEVELS - limit), inputs.dtype)
    return tf.where(kept, inputs * scale, tf.zeros([], inputs.dtype))


def keep_by_timestep(
    shape: Sequence[int | Tensor], rate: float, seed: Tensor
) -> Tensor:
    """Random booleans with a time axis, drawn as in `dropout`.

    Args:
        shape: `(batch, time, ...)`, integers or scalar integer tensors.
        rate: Fraction of False, 0 to 1.
        seed: Integer tensor `(2,)`.

    Returns:
        Boolean tensor of `shape`; `starting_at` says which timestep is the first.

    Example:
        from bptt_keras.kernels.dropout import keep_by_timestep

        keep = keep_by_timestep((2, 10, 4), 0.1, seed=[1, 2])
        assert keep.dtype == tf.bool
    """
    limit = _limit(rate)
    if limit in (0, _LEVELS):
        return tf.fill(tf.stack(list(shape)), limit == 0)
    return _kept(list(shape), limit, seed, has_time=True)


def _limit(rate: float) -> int:
    return round(rate * _LEVELS)


def _sizes(tensor: Tensor) -> list[int | Tensor]:
    """Sizes of the axes, integers where known."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]


def _kept(
    shape: Sequence[int | Tensor], limit: int, seed: Tensor, has_time: bool
) -> Tensor:
    """Booleans of `shape`; time comes first in the stream of draws."""
    start = getattr(_place, "step", 0) if has_time else 0
    steps, others = (shape[1], [shape[0], *shape[2:]]) if has_time else (1, shape)
    count = 1
    for size in others:
        count = count * size
    # Whole blocks for each timestep: the counter can only be set to a block.
    blocks = (count + _DRAWS_A_BLOCK - 1) // _DRAWS_A_BLOCK
    # Random words from the seed are the key and the upper half of the counter, so the
    # lower half can count from the first timestep's block. (TensorFlow's own op for
    # this chooses an algorithm by device, and made XLA's draws twice as slow.)
    key, upper = tf.split(
        _random_bits([2], [0], tf.cast(seed, tf.uint64), tf.uint64), 2
    )
    lower = tf.cast(start, tf.uint64) * tf.cast(blocks, tf.uint64)
    words = _random_bits(
        tf.stack([steps * blocks * _WORDS_A_BLOCK]),
        key,
        tf.concat([[lower], upper], axis=0),
        tf.uint32,
    )
    draws = tf.reshape(
        tf.bitcast(words, tf.uint16), tf.stack([steps, blocks * _DRAWS_A_BLOCK])
    )
    kept = draws[:, :count] >= tf.constant(limit, tf.uint16)
    if not has_time:
        return tf.reshape(kept, tf.stack(others))
    kept = tf.reshape(kept, tf.stack([steps, *others]))
    return tf.transpose(kept, [1, 0, *range(2, len(shape))])


def _random_bits(
    shape: Tensor | Sequence[int],
    key: Tensor | Sequence[int],
    counter: Tensor,
    dtype: tf.DType,
) -> Tensor:
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape,
        key=tf.convert_to_tensor(key, tf.uint64),
        counter=counter,
        alg=tf.random.Algorithm.PHILOX.value,
        dtype=dtype,
    )
