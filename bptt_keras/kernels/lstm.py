"""The recurrence of an LSTM, with a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.kernels.fused.equations import Equations, Slopes
from bptt_keras.kernels.fused.feature_major import Kept, wide
from bptt_keras.kernels.fused.recurrence import run
from bptt_keras.types import Tensor


def lstm(
    x: Tensor,
    h_0: Tensor,
    c_0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    save: bool = True,
    implementation: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM along time.

        z_t = x_t W + h_{t-1} U + b,          split into z_i, z_f, z_g, z_o
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    A row that `reset` flags at step t takes h_{t-1} = c_{t-1} = 0. A row that `mask`
    switches off at step t keeps h_t = h_{t-1} and c_t = c_{t-1}.

    How the fused kernel runs: because sigmoid(z) = (1 + tanh(z / 2)) / 2, and the
    weights contain the 1/2, one product gives the arguments of one tanh over all gates,

        a = tanh([W U]^T [x_t h_{t-1}]^T + b)

    The backward pass computes the gradients of these arguments, step by step, and
    multiplies them by `[W U]` for those of x_t and h_{t-1}. The gradients of W and U
    are one product each, over all steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the hidden state before the first step.
        c_0: `(batch, units)`, the cell state before the first step.
        kernel: `(features, 4 * units)`, W, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`, U.
        bias: `(4 * units,)`, b, or None for zeros.
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
        `(h_seq, h_T, c_T)` of shapes `(time, batch, units)`, `(batch, units)` and
        `(batch, units)`, in the dtype of `x`. All three are differentiable with
        respect to the first six arguments.

    Raises:
        ValueError: `implementation` cannot run here.

    Example:

        from bptt_keras.kernels.lstm import lstm

        h_seq, h_T, c_T = lstm(
            tf.zeros((7, 2, 5)),
            tf.zeros((2, 3)),
            tf.zeros((2, 3)),
            tf.zeros((5, 12)),
            tf.zeros((3, 12)),
        )

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber &
    Cummins 2000.
    """
    return run(
        _LSTM(),
        x,
        (h_0, c_0),
        (kernel, recurrent_kernel),
        (bias,),
        mask=mask,
        reset=reset,
        save=save,
        implementation=implementation,
    )


class _LSTM(Equations):
    # Gates i, f, g, o.
    scales = (0.5, 0.5, 1.0, 0.5)
    native = "lstm"

    def widths(self, units: int) -> tuple[int, ...]:
        return Kept(4 * units), Kept(units)

    def step(
        self, sums: tuple[Tensor, ...], states: tuple[Tensor, ...], *, axis: int
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        (z,), (_, c_prev) = sums, states
        a = tf.tanh(z)
        i, f, g, o = _gates(a, axis)
        c = f * c_prev + i * g
        # c_prev instead of c: the derivative needs it, and c follows from it.
        return (o * tf.tanh(c), c), ((a,), (c_prev,))

    def derivative(
        self, read: Sequence[Tensor], d_states: tuple[Tensor, ...]
    ) -> Slopes:
        a, c_prev = map(wide, read)
        d_h, d_c = d_states
        i, f, g, o = _gates(a, axis=0)
        a_i, a_f, _, a_o = tf.split(a, 4)
        tanh_c = tf.tanh(f * c_prev + i * g)
        d_c_in = d_c + d_h * o * (1 - tanh_c * tanh_c)
        d_z = (
            d_c_in * g * (0.5 - 0.5 * a_i * a_i),
            d_c_in * c_prev * (0.5 - 0.5 * a_f * a_f),
            d_c_in * i * (1 - g * g),
            d_h * tanh_c * (0.5 - 0.5 * a_o * a_o),
        )
        return Slopes(d_z, states=(None, d_c_in * f))


def _gates(a: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gates i, f, g, o from the values of the tanh."""
    i, f, g, o = tf.split(a, 4, axis)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5
