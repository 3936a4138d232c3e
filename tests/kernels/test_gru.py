import numpy as np

from bptt_keras.kernels import gru


def test_no_recurrent_bias_means_zeros():
    rng = np.random.default_rng(0)
    shapes = [(4, 2, 5), (2, 3), (5, 9), (3, 9), (9,)]
    arguments = [rng.normal(size=s).astype("float32") for s in shapes]
    without = gru(*arguments, None)
    zeros = gru(*arguments, np.zeros(9, "float32"))
    for a, b in zip(without, zeros, strict=True):
        np.testing.assert_array_equal(a, b)
