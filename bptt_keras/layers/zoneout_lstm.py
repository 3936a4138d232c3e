"""LSTM whose units randomly keep their previous values."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.kernels.dropout import keep_by_timestep
from bptt_keras.kernels.recurrence import recurrence
from bptt_keras.layers._rates import checked_rate, refuse_unless_fused
from bptt_keras.layers.lstm import LSTM


@keras.saving.register_keras_serializable(package="bptt_keras")
class ZoneoutLSTM(LSTM):
    """LSTM whose units randomly keep their previous values in training.

        c'_t, h'_t = LSTM(x_t, h_{t-1}, c_{t-1});   h'_t made of c'_t
        c_t = d_c * c_{t-1} + (1 - d_c) * c'_t
        h_t = d_h * h_{t-1} + (1 - d_h) * h'_t

    In training d_c and d_h are 1 with probability `zoneout_c` and `zoneout_h`, else 0,
    drawn for each row, step and unit; in inference they are these probabilities. The
    weights are those of `LSTM`. The draws of a call come from one seed, by timestep.

    Args:
        units: positive integer, the size of h and of c.
        zoneout_h: probability that a unit keeps h, 0 to 1. Default: 0.
        zoneout_c: probability that a unit keeps c, 0 to 1. Default: 0.
        zoneout_seed: integer, for the draws. Default: None, random.
        **kwargs: those of `LSTM`, with values that the fused kernel supports.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: list of h and c, each `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: True applies zoneout and dropout.
        reset: `(batch, time)` booleans, True where a row's h and c are set to zeros
            before the step. A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h and c.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: a rate is not between 0 and 1; an option excludes the fused
            kernel; `reset` or `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.ZoneoutLSTM(4, zoneout_h=0.05, zoneout_c=0.5)
        h = layer(np.ones((2, 6, 3), "float32"), training=True)

    Source: Krueger et al., "Zoneout: Regularizing RNNs by Randomly Preserving Hidden
    Activations" (2017), section 3.
    """

    _has_cudnn = False
    _equals_cell = False

    def __init__(
        self,
        units: int,
        zoneout_h: float = 0.0,
        *,
        zoneout_c: float = 0.0,
        zoneout_seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(units, **kwargs)
        refuse_unless_fused(self)
        self.zoneout_h = checked_rate("zoneout_h", zoneout_h)
        self.zoneout_c = checked_rate("zoneout_c", zoneout_c)
        self.zoneout_seed = zoneout_seed
        self.zoneout_generator = keras.random.SeedGenerator(zoneout_seed)

    def _native_kind(self):
        return None

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        x_proj = self._project(sequences)
        rates = (self.zoneout_h, self.zoneout_c)
        keeps = self._draws(x_proj) if run.training else None

        def held(new, old, index, keeps):
            if keeps is None:
                rate = tf.constant(rates[index], new.dtype)
                return rate * old + (1 - rate) * new
            return tf.where(tf.split(keeps, 2, axis=-1)[index], old, new)

        def step(x, m, states, keeps):
            h_prev, c_prev = states
            z_i, z_f, z_g, z_o = tf.split(x + m, 4, axis=-1)
            c = tf.sigmoid(z_f) * c_prev + tf.sigmoid(z_i) * tf.tanh(z_g)
            h = tf.sigmoid(z_o) * tf.tanh(c)
            return held(h, h_prev, 0, keeps), held(c, c_prev, 1, keeps)

        return recurrence(
            step,
            x_proj,
            tuple(initial_state),
            recurrent_kernel,
            extra=keeps,
            **run.flags._asdict(),
        )

    def _draws(self, x_proj):
        """True where a unit keeps its past: `(time, batch, 2 * units)`, h first."""
        seed = tf.cast(self.zoneout_generator.next(), tf.int64)
        time, batch = tf.unstack(tf.shape(x_proj)[:2])
        keeps = []
        for index, rate in enumerate((self.zoneout_h, self.zoneout_c)):
            own = seed + tf.constant([0, index], tf.int64) * 2**32
            # Units that `keep_by_timestep` would drop keep their past here.
            fresh = keep_by_timestep((batch, time, self.units), rate, own)
            keeps.append(~tf.transpose(fresh, (1, 0, 2)))
        return tf.concat(keeps, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "zoneout_h": self.zoneout_h,
            "zoneout_c": self.zoneout_c,
            "zoneout_seed": self.zoneout_seed,
        }
