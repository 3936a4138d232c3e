"""The recurrence of a GRU, with a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.kernels.fused.equations import Equations, Slopes
from bptt_keras.kernels.fused.feature_major import Kept, cut, wide
from bptt_keras.kernels.fused.recurrence import run
from bptt_keras.types import Tensor


def gru(
    x: Tensor,
    h_0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    recurrent_bias: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    reset_after: bool = True,
    save: bool = True,
    implementation: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Run a GRU along time.

        p_t = x_t W + b;   m_t = h_{t-1} U + b_r;   both split into z, r, g
        z = sigmoid(p_z + m_z);   r = sigmoid(p_r + m_r);   g = tanh(p_g + r * m_g)
        h_t = z * h_{t-1} + (1 - z) * g

    This is the form that Keras calls `reset_after=True`. With False, the reset gate is
    applied before the product, and only native code has it:

        g = tanh(p_g + (r * h_{t-1}) U_g)

    A row that `reset` flags at
    step t takes h_{t-1} = 0. A row that `mask` switches off at step t keeps
    h_t = h_{t-1}.

    How the fused kernel runs: a step is two products, for p and for m. Because
    sigmoid(z) = (1 + tanh(z / 2)) / 2, and the weights contain the 1/2, one tanh
    computes z and r. The backward pass computes the gradients of z, r, g and m_g. The
    gradients of W and U are one product each, over all steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the state before the first step.
        kernel: `(features, 3 * units)`, W, gates in the order z (update), r (reset),
            g (candidate).
        recurrent_kernel: `(units, 3 * units)`, U.
        bias: `(3 * units,)`, b, or None for zeros.
        recurrent_bias: `(3 * units,)`, b_r, or None for zeros; there is none with
            `reset_after=False`.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        reset_after: Whether the reset gate is applied after the product. Default: True.
        save: Whether to save what the backward pass needs. False: the forward pass
            is faster (on a CPU), but the backward pass has to repeat it. Default:
            True.
        implementation: "native": code of the library that is built with the package,
            on a CPU, in float32 or bfloat16. "fused": loops that XLA compiles.
            "auto": native where it is possible and nothing can be saved with it.
            Default: "auto".

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x`, differentiable with respect to the first six arguments.

    Raises:
        ValueError: `implementation` cannot run here, or `recurrent_bias` is given with
            `reset_after=False`.

    Example:

        from bptt_keras.kernels.gru import gru

        h_seq, h_T = gru(
            tf.zeros((7, 2, 5)), tf.zeros((2, 3)), tf.zeros((5, 9)), tf.zeros((3, 9))
        )

    Source: Cho et al. 2014, in cuDNN's variant, which applies the reset gate after the
    product.
    """
    if not reset_after and recurrent_bias is not None:
        raise ValueError(
            "With `reset_after=False` there is one bias. Received: a `recurrent_bias` "
            f"of shape {recurrent_bias.shape}. Add it to `bias`."
        )
    return run(
        _GRU() if reset_after else "gru_reset_before",
        x,
        (h_0,),
        (kernel, recurrent_kernel),
        (bias, recurrent_bias) if reset_after else (bias,),
        mask=mask,
        reset=reset,
        save=save,
        implementation=implementation,
    )


class _GRU(Equations):
    # Gates z, r, g; in g the reset gate is between p and m.
    scales = (0.5, 0.5, 1.0)
    native = "gru"
    joined = False

    def widths(self, units: int) -> tuple[int, ...]:
        return (Kept(4 * units),)

    def step(
        self, sums: tuple[Tensor, ...], states: tuple[Tensor, ...], *, axis: int
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        # In a vector z and r are adjacent, and one tanh computes both.
        pieces = (cut(s, 2, 1) if axis == 0 else tf.split(s, 3, axis) for s in sums)
        (*p_zr, p_g), (*m_zr, m_g) = pieces
        a = [tf.tanh(p + m) for p, m in zip(p_zr, m_zr, strict=True)]
        a_z, a_r = tf.split(a[0], 2) if axis == 0 else a
        z, r = 0.5 * a_z + 0.5, 0.5 * a_r + 0.5
        g = tf.tanh(p_g + r * m_g)
        return (z * wide(states[0]) + (1 - z) * g,), ((*a, g, m_g),)

    def read(
        self, h: Tensor, h_prev: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        return *kept, h_prev

    def derivative(
        self, read: Sequence[Tensor], d_states: tuple[Tensor, ...]
    ) -> Slopes:
        kept, h_prev = map(wide, read)
        (d_h,) = d_states
        a_z, a_r, g, m_g = tf.split(kept, 4)
        z, r = 0.5 * a_z + 0.5, 0.5 * a_r + 0.5
        d_g = d_h * (1 - z) * (1 - g * g)
        d_z = d_h * (h_prev - g) * (0.5 - 0.5 * a_z * a_z)
        d_r = d_g * m_g * (0.5 - 0.5 * a_r * a_r)
        return Slopes((d_z, d_r), p=(d_g,), m=(d_g * r,), states=(d_h * z,))
