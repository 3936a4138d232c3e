import numpy as np
import pytest

from bptt_keras.kernels import simple_rnn


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="Received: activation='swish'"):
        simple_rnn(np.zeros((1, 1, 2)), np.zeros((1, 2)), np.eye(2), activation="swish")
