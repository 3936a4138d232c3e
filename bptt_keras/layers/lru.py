"""The linear recurrent unit, parallel in time."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import tensorflow as tf

from bptt_keras.kernels.linear_scan import linear_scan
from bptt_keras.kernels.time_major import clear, hold
from bptt_keras.layers._parallel import ParallelRecurrence
from bptt_keras.types import Tensor

# Real and imaginary part.
_Complex: TypeAlias = tuple[Tensor, Tensor]


@keras.saving.register_keras_serializable(package="bptt_keras")
class LRU(ParallelRecurrence):
    """Linear recurrent unit: a complex diagonal recurrence, initialised on a ring.

        lambda = exp(-exp(nu_log) + i exp(theta_log))
        h_t = lambda * h_{t-1} + exp(gamma_log) * (x_t B)      (complex)
        y_t = Re(h_t C) + x_t D

    Initially lambda is uniform on the ring between `r_min` and `r_max`, with a phase
    between 0 and `max_phase`, and exp(gamma_log) = sqrt(1 - |lambda|^2). The
    recurrence runs in float32 (float64 in a float64 layer), whatever the compute
    dtype. The state contains the parts of h, `h_real` and `h_imag`, and `output`, the y
    that a masked step repeats.

    Args:
        units: positive integer, the size of y.
        state_units: positive integer, the size of h. Default: `units`.
        return_sequences: True returns y of all steps, False (default) of the last.
        r_min: 0 <= r_min < r_max. Default: 0.
        r_max: r_max < 1 makes every h stable initially. Default: 0.99. For long
            dependencies the paper uses 0.9 to 0.999.
        max_phase: largest initial phase, in radians. Default: 2 pi.
        seed: integer, for the initial lambda, B, C and D. Default: None, random.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, time, features)` floats.
        training: boolean; has no effect here.
        mask: `(batch, time)` booleans, False where a step is skipped: h does not change
            and the last y is repeated. Default: the mask attached to the inputs.

    Returns:
        `(batch, units)`, or with `return_sequences` `(batch, time, units)`.

    Raises:
        ValueError: `units` or `state_units` is not a positive integer, or the ring or
            phase is empty; `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.LRU(4, return_sequences=True, r_min=0.5, r_max=0.9)
        x = np.ones((2, 10, 3), "float32")
        whole = layer(x)
        first, state = layer.call_with_state(x[:, :6], layer.get_initial_state(2))
        second, state = layer.call_with_state(x[:, 6:], state)
        np.testing.assert_allclose(whole[:, 6:], second, atol=1e-5)

    Source: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences"
    (2023), section 3 and appendix A. There D is a diagonal in the code and a matrix in
    the text; here it is a matrix, so that `units` need not be the number of features.
    """

    def __init__(
        self,
        units: int,
        state_units: int | None = None,
        *,
        return_sequences: bool = False,
        r_min: float = 0.0,
        r_max: float = 0.99,
        max_phase: float = 6.283185307179586,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(units, return_sequences=return_sequences, **kwargs)
        state_units = units if state_units is None else state_units
        if not isinstance(state_units, int) or state_units < 1:
            raise ValueError(
                "`state_units` must be a positive integer, or None for as many as "
                f"`units`. Received: state_units={state_units!r}."
            )
        if not 0 <= r_min < r_max <= 1:
            raise ValueError(
                "The ring must lie within the unit circle: 0 <= r_min < r_max <= 1. "
                f"Received: r_min={r_min!r}, r_max={r_max!r}."
            )
        if not max_phase > 0:
            raise ValueError(
                f"`max_phase` must be positive. Received: max_phase={max_phase!r}."
            )
        self.state_units: int = state_units
        self.r_min = r_min
        self.r_max = r_max
        self.max_phase = max_phase
        self.seed = seed
        # Each is drawn from more than once and must repeat its numbers.
        seeds = [None if seed is None else seed + i for i in range(5)]
        # Zero would mean the centre of the ring, or no phase: both are -inf as logs.
        tiny = 1e-6
        self._squares, self._phases = (
            keras.initializers.RandomUniform(tiny, 1.0 - tiny, seed=s)
            for s in seeds[:2]
        )
        self._normals = [
            keras.initializers.RandomNormal(stddev=1.0, seed=s) for s in seeds[2:]
        ]

    def build(self, inputs_shape: tuple[int, ...]) -> None:
        features, hidden = inputs_shape[-1], self.state_units

        def weight(name, shape, initial):
            def initializer(shape, dtype=None):
                return tf.cast(initial(shape), dtype)

            return self.add_weight(shape=shape, name=name, initializer=initializer)

        def normal(draw, variance):
            return lambda shape: draw(shape, "float32") * variance**0.5

        self.nu_log = weight("nu_log", (hidden,), self._initial_nu_log)
        self.theta_log = weight("theta_log", (hidden,), self._initial_theta_log)
        self.gamma_log = weight("gamma_log", (hidden,), self._initial_gamma_log)
        b, c, d = self._normals
        # Real parts first, then imaginary ones: they share a variance.
        self.input_kernel = weight(
            "input_kernel", (2, features, hidden), normal(b, 0.5 / features)
        )
        self.output_kernel = weight(
            "output_kernel", (2, hidden, self.units), normal(c, 1 / hidden)
        )
        self.skip_kernel = weight(
            "skip_kernel", (features, self.units), normal(d, 1 / features)
        )

    def _initial_squares(self, shape):
        """|lambda|^2: uniform, so that lambda is uniform in area."""
        low, high = self.r_min**2, self.r_max**2
        return low + (high - low) * self._squares(shape, "float32")

    def _initial_nu_log(self, shape):
        return tf.math.log(-0.5 * tf.math.log(self._initial_squares(shape)))

    def _initial_theta_log(self, shape):
        return tf.math.log(self.max_phase * self._phases(shape, "float32"))

    def _initial_gamma_log(self, shape):
        return 0.5 * tf.math.log(1 - self._initial_squares(shape))

    def _state_sizes(self):
        return {
            "h_real": self.state_units,
            "h_imag": self.state_units,
            "output": self.units,
        }

    def _solve(self, inputs, state, mask, reset):
        nu, theta, gamma = (
            tf.exp(tf.cast(tf.convert_to_tensor(log), self._state_dtype))
            for log in (self.nu_log, self.theta_log, self.gamma_log)
        )
        radius = tf.exp(-nu)
        factor = radius * tf.cos(theta), radius * tf.sin(theta)
        b_real, b_imag, skipped = self._from_inputs(inputs)
        past = state["h_real"], state["h_imag"]
        solve = _single_step if inputs.shape[1] == 1 else _scan
        h_real, h_imag = solve(
            factor, (gamma * b_real, gamma * b_imag), past, mask=mask, reset=reset
        )
        y = self._read_out(h_real, h_imag) + skipped
        if mask is not None:
            # With factors of 0 the scan only repeats values: masked steps hold the last
            # y, and resets clear it.
            none = tf.zeros_like(y)
            y = linear_scan(none, y, state["output"], mask=mask, reset=reset)
        new_state = {
            "h_real": h_real[:, -1],
            "h_imag": h_imag[:, -1],
            "output": y[:, -1],
        }
        return y, new_state

    def _from_inputs(self, inputs):
        """B x (real and imaginary part) and D x, in one product."""
        b_real, b_imag = tf.unstack(tf.convert_to_tensor(self.input_kernel))
        skip = tf.convert_to_tensor(self.skip_kernel)
        together = tf.concat([b_real, b_imag, skip], axis=-1)
        product = tf.cast(self._project(inputs, together), self._state_dtype)
        sizes = [self.state_units, self.state_units, self.units]
        return tf.split(product, sizes, axis=-1)

    def _read_out(self, h_real, h_imag):
        """The real part of C h, in one product."""
        c_real, c_imag = tf.unstack(tf.convert_to_tensor(self.output_kernel))
        parts = tf.concat([h_real, h_imag], axis=-1)
        parts = tf.cast(parts, self.compute_dtype)
        product = self._project(parts, tf.concat([c_real, -c_imag], axis=0))
        return tf.cast(product, self._state_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "state_units": self.state_units,
            "r_min": self.r_min,
            "r_max": self.r_max,
            "max_phase": self.max_phase,
            "seed": self.seed,
        }


def _scan(
    factor: _Complex, x: _Complex, past: _Complex, **flags: Tensor | None
) -> _Complex:
    """All steps of h, `(batch, time, units)`, as real and imaginary parts."""
    h = linear_scan(tf.complex(*factor), tf.complex(*x), tf.complex(*past), **flags)
    return tf.math.real(h), tf.math.imag(h)


def _single_step(
    factor: _Complex,
    x: _Complex,
    past: _Complex,
    *,
    mask: Tensor | None,
    reset: Tensor | None,
) -> _Complex:
    """The same for one step, without complex numbers, which few runtimes have."""
    real, imag = (clear(None if reset is None else reset[:, 0], h) for h in past)
    new = (
        factor[0] * real - factor[1] * imag + x[0][:, 0],
        factor[0] * imag + factor[1] * real + x[1][:, 0],
    )
    keep = None if mask is None else mask[:, 0]
    h_real, h_imag = (
        hold(keep, n, old)[:, None] for n, old in zip(new, (real, imag), strict=True)
    )
    return h_real, h_imag
