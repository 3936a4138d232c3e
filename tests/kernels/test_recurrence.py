"""Features of `recurrence` that the battery in test_recurrences.py does not cover."""

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.kernels.recurrence import recurrence
from tests.references import finite_differences

TIME, BATCH, UNITS = 5, 3, 2


def step(x, m, states, extra, scale):
    return (tf.tanh(x + scale * states[0]) * extra,)


def plain(x, h_0, scale, extra, mask, reset):
    h, h_seq = h_0.copy(), []
    for t in range(TIME):
        for row in range(BATCH):
            if reset[t, row]:
                h[row] = 0
            if mask[t, row]:
                h[row] = np.tanh(x[t, row] + scale * h[row]) * extra[t, row]
        h_seq.append(h.copy())
    return np.stack(h_seq)


def arguments():
    rng = np.random.default_rng(0)
    shapes = (TIME, BATCH, UNITS), (BATCH, UNITS), (UNITS,)
    return [rng.normal(size=s) for s in shapes]


def flags():
    rng = np.random.default_rng(1)
    extra = rng.normal(size=(TIME, BATCH, UNITS))
    mask, reset = rng.random((2, TIME, BATCH)) > 0.5
    return {"extra": extra, "mask": mask, "reset": reset}


@pytest.mark.parametrize("jit", [False, True])
def test_weights_and_no_recurrent_kernel(jit):
    """Values equal plain loops, gradients equal finite differences."""

    at_t = {key: tf.constant(value) for key, value in flags().items()}

    @tf.function(jit_compile=jit)
    def run(x, h_0, scale):
        with tf.GradientTape() as tape:
            tape.watch([x, h_0, scale])
            h_seq, _ = recurrence(step, x, (h_0,), None, (scale,), **at_t)
            loss = tf.reduce_sum(tf.sin(3 * h_seq))
        return h_seq, tape.gradient(loss, [x, h_0, scale])

    h_seq, slopes = run(*(tf.constant(a) for a in arguments()))
    np.testing.assert_allclose(h_seq, plain(*arguments(), **flags()), atol=1e-12)
    wanted = finite_differences(
        lambda *a: np.sin(3 * plain(*a, **flags())).sum(), arguments()
    )
    for received, expected in zip(slopes, wanted, strict=True):
        # Central differences of a sum of thirty terms are good to about 1e-9.
        np.testing.assert_allclose(received, expected, atol=1e-8)
