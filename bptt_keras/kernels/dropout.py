"""Dropout whose random numbers XLA draws fast on a CPU."""

import tensorflow as tf

# Draws are 16-bit words: two of them cost one random number, and a rate is met to
# one part in 65,536.
_LEVELS = 1 << 16


def dropout(inputs, rate, seed, noise_shape=None):
    """Sets a random part of the inputs to zero and scales the others up.

        p = round(rate * 2^16) / 2^16,   kept = draw >= p
        outputs = inputs * kept / (1 - p)

    Args:
        inputs: Tensor of any shape, floating-point.
        rate: Part to drop, 0 to 1.
        seed: Integer tensor `(2,)`: the same seed draws the same numbers, with XLA
            and without.
        noise_shape: Shape of the draws, `None` for that of the inputs, an axis of 1
            or `None` likewise; inputs along an axis of 1 are dropped together.

    Returns:
        Tensor like `inputs`.

    Example:
        from bptt_keras.kernels.dropout import dropout

        dropped = dropout(tf.ones([1000]), 0.25, seed=[1, 2])
        assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}

    Source: Srivastava et al., "Dropout" (2014). TensorFlow's own draws took XLA 86
    times as long for (64, 100, 256) floats on 2 cores of an AMD EPYC
    (`python -m tests.benchmarks.dropout` measures it again).
    """
    limit = round(rate * _LEVELS)
    if limit == 0:
        return inputs
    if limit == _LEVELS:
        return tf.zeros_like(inputs)
    shape = tf.shape(inputs)
    if noise_shape is not None:
        sizes = [shape[i] if n is None else n for i, n in enumerate(noise_shape)]
        shape = tf.stack(sizes)
    size = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform(
        [(size + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    draws = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size]
    kept = tf.reshape(draws, shape) >= tf.constant(limit, tf.uint16)
    scale = tf.cast(_LEVELS / (_LEVELS - limit), inputs.dtype)
    return tf.where(kept, inputs * scale, tf.zeros([], inputs.dtype))
