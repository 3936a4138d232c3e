"""Wrong arguments are refused before they reach the library."""

import re

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import kernels


def lstm(**changes):
    given = {
        "x": np.zeros((4, 2, 3), "float32"),
        "h_0": np.zeros((2, 5), "float32"),
        "c_0": np.zeros((2, 5), "float32"),
        "kernel": np.zeros((3, 20), "float32"),
        "recurrent_kernel": np.zeros((5, 20), "float32"),
    }
    return kernels.lstm(**{**given, **changes}, implementation="native")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((4, 2), "float32")}, "`x` must have the shape (time, batch, "),
        ({"h_0": np.zeros((3, 5), "float32")}, "`state 0` must have .* batch=2"),
        ({"c_0": np.zeros((2, 6), "float32")}, "`state 1` must have .* units=5"),
        ({"kernel": np.zeros((4, 20), "float32")}, "`kernel` must .* features=3"),
        (
            {"recurrent_kernel": np.zeros((5, 15), "float32")},
            "`recurrent_kernel` must .* width=20",
        ),
        (
            {
                "kernel": np.zeros((3, 15), "float32"),
                "recurrent_kernel": np.zeros((5, 15), "float32"),
            },
            "must be 4 times as wide",
        ),
        ({"bias": np.zeros(5, "float32")}, "`bias 0` must .* width=20"),
        ({"mask": np.ones((2, 4), bool)}, "`mask` must .* time=4, batch=2"),
        ({"reset": np.ones((4, 2, 1), bool)}, "`reset` must .*Received: reset of"),
    ],
)
def test_wrong_sizes_are_refused(changes, message, native, counted):
    message = message if ".*" in message else re.escape(message)
    with pytest.raises(ValueError, match=message):
        lstm(**changes)
    assert counted() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h_0": np.zeros((2, 5), "float16")}, "`state 0` must be float32"),
        ({"mask": np.ones((4, 2), "float32")}, "`mask` must be bool"),
    ],
)
def test_wrong_dtypes_are_refused(changes, message, native):
    with pytest.raises(TypeError, match=message):
        lstm(**changes)


def test_float64_is_refused_by_name(native):
    x = np.zeros((4, 2, 3))
    with pytest.raises(ValueError, match="does not compute in float64.*Use 'auto'"):
        lstm(x=x)


@pytest.mark.parametrize("xla", [False, True])
def test_sizes_that_are_unknown_at_first_are_refused_by_the_library(xla, native):
    @tf.function(jit_compile=xla, input_signature=[tf.TensorSpec((None, 5), "float32")])
    def program(h_0):
        return lstm(h_0=h_0)

    assert program(np.zeros((2, 5), "float32"))[0].shape == (4, 2, 5)
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.InternalError)):
        program(np.zeros((3, 5), "float32"))


def test_the_reset_gate_before_the_product_needs_native_code(native):
    given = [np.zeros(s, "float32") for s in ((4, 2, 3), (2, 5), (3, 15), (5, 15))]
    with pytest.raises(ValueError, match="no other kernel.*Use the Keras layer"):
        kernels.gru(*given, reset_after=False, implementation="fused")
    with pytest.raises(ValueError, match="there is one bias"):
        kernels.gru(*given, None, np.zeros(15, "float32"), reset_after=False)


def test_an_unknown_implementation_is_refused():
    with pytest.raises(ValueError, match="must be one of .*implementation='fast'"):
        given = [np.zeros(s, "float32") for s in ((4, 2, 3), (2, 5), (3, 5), (5, 5))]
        kernels.simple_rnn(*given, implementation="fast")
