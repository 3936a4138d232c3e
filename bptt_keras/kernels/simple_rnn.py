"""The recurrence of a simple RNN, with a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from bptt_keras.kernels.fused.equations import Equations, Slopes
from bptt_keras.kernels.fused.feature_major import wide
from bptt_keras.kernels.fused.recurrence import run
from bptt_keras.types import Tensor

# Each activation, and its derivative as a function of its value.
ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (tf.tanh, lambda h: 1 - h * h),
    "relu": (tf.nn.relu, lambda h: tf.cast(h > 0, h.dtype)),
    "linear": (tf.identity, tf.ones_like),
}


def simple_rnn(
    x: Tensor,
    h_0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    *,
    activation: str = "tanh",
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    save: bool = True,
    implementation: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run a simple (Elman) RNN along time.

        h_t = activation(x_t W + h_{t-1} U + b)

    A row that `reset` flags at step t takes h_{t-1} = 0. A row that `mask` switches
    off at step t keeps h_t = h_{t-1}.

    How the fused kernel runs: a step is one product, `[W U]^T [x_t h_{t-1}]^T`. The
    backward pass computes the gradient of the argument of the activation, and
    multiplies it by `[W U]` for those of x_t and h_{t-1}. The gradients of W and U are
    one product each, over all steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the state before the first step.
        kernel: `(features, units)`, W.
        recurrent_kernel: `(units, units)`, U.
        bias: `(units,)`, b, or None for zeros.
        activation: "tanh", "relu" or "linear".
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: Whether to save what the backward pass needs. False: the forward pass
            is faster (on a CPU), but the backward pass has to repeat it. Default:
            True.
        implementation: "native": code of the library that is built with the package,
            on a CPU, in float32 or bfloat16. "fused": loops that XLA compiles.
            "auto": native where it is possible and nothing can be saved with it.
            Default: "auto".

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x`, differentiable with respect to the first five arguments.

    Raises:
        ValueError: `activation` is not one of the three, or `implementation` cannot
            run here.

    Example:

        from bptt_keras.kernels.simple_rnn import simple_rnn

        h_seq, h_T = simple_rnn(
            tf.zeros((7, 2, 5)), tf.zeros((2, 3)), tf.zeros((5, 3)), tf.zeros((3, 3))
        )

    Source: Elman 1990.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(ACTIVATIONS)}. "
            f"Received: activation={activation!r}."
        )
    return run(
        _SimpleRNN(activation),
        x,
        (h_0,),
        (kernel, recurrent_kernel),
        (bias,),
        mask=mask,
        reset=reset,
        save=save,
        implementation=implementation,
    )


class _SimpleRNN(Equations):
    def __init__(self, activation: str):
        self._activate, self._derivative = ACTIVATIONS[activation]
        self.native = f"simple_rnn_{activation}"

    def step(
        self, sums: tuple[Tensor, ...], states: tuple[Tensor, ...], *, axis: int
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        return (self._activate(tf.cast(sums[0], states[0].dtype)),), ()

    def read(
        self, h: Tensor, h_prev: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        return (h,)

    def derivative(
        self, read: Sequence[Tensor], d_states: tuple[Tensor, ...]
    ) -> Slopes:
        (h,), (d_h,) = read, d_states
        return Slopes((d_h * wide(self._derivative(h)),), states=(None,))
