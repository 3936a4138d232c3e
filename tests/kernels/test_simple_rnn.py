import numpy as np
import pytest

from bptt_keras.kernels import simple_rnn


def test_an_unknown_activation_is_refused():
    x, h_0, unit = np.zeros((1, 1, 2)), np.zeros((1, 2)), np.eye(2)
    with pytest.raises(ValueError, match="Received: activation='swish'"):
        simple_rnn(x, h_0, unit, unit, activation="swish")
