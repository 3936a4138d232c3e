"""Base classes of layers whose recurrence is linear in the state."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.keras_internals import mask_of
from bptt_keras.kernels.linear_scan import linear_scan
from bptt_keras.kernels.projection import project
from bptt_keras.layers._flags import checked_mask, checked_reset
from bptt_keras.types import Structure, Tensor


class ParallelRecurrence(keras.layers.Layer):
    """Layer that follows the state protocol and computes all steps in parallel.

    A subclass defines `_state_sizes()`, a dict from names to widths, and
    `_solve(inputs, state, mask, reset)`, which returns the outputs of all steps,
    `(batch, time, units)`, and the new state.
    """

    def __init__(self, units: int, *, return_sequences: bool, **kwargs: Any):
        if not isinstance(units, int) or units < 1:
            raise ValueError(
                f"`units` must be a positive integer. Received: units={units!r}."
            )
        super().__init__(**kwargs)
        self.units = units
        self.return_sequences = return_sequences
        self.supports_masking = True

    @property
    def _state_dtype(self):
        """Dtype of the state: half precision is too coarse to accumulate over time."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def kernel_of(self, *, xla: bool) -> str:
        """The kernel that runs a sequence: always a scan, parallel in time."""
        return "scan"

    def get_initial_state(self, batch_size: int | Tensor) -> dict[str, Tensor]:
        """The state from which every row starts: zeros.

        Args:
            batch_size: number of rows, an integer or a scalar integer tensor.

        Returns:
            Dict from names to `(batch_size, ...)` tensors.
        """
        return {
            name: tf.zeros((batch_size, size), self._state_dtype)
            for name, size in self._state_sizes().items()
        }

    def call(
        self, inputs: Tensor, training: bool = False, mask: Tensor | None = None
    ) -> Tensor:
        state = self.get_initial_state(tf.shape(inputs)[0])
        outputs, _ = self.call_with_state(inputs, state, training=training, mask=mask)
        return outputs

    def call_with_state(
        self,
        inputs: Tensor,
        state: dict[str, Tensor],
        *,
        training: bool = False,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs from a given state and returns the new one.

        Args:
            inputs: `(batch, time, features)` floats.
            state: what `get_initial_state` or an earlier call returned.
            training: boolean; has no effect here.
            mask: `(batch, time)` booleans, False where a step is skipped: the state
                does not change and the last output is repeated. Default: the mask
                attached to the inputs.
            reset: `(batch, time)` booleans, True where a row is reset to the initial
                state before the step, or None. A masked step resets too.

        Returns:
            `(outputs, new_state)`: outputs as from a plain call, and a dict like
            `state`.

        Raises:
            RuntimeError: the layer is not built.
            TypeError: `reset` is not boolean.
            ValueError: `state` has other names; `reset` or `mask` is not
                `(batch, time)`.
        """
        if not self.built:
            raise RuntimeError(
                f"Layer {self.name!r} has no weights yet. Call it once on a batch, or "
                "`build` it, before `call_with_state`."
            )
        if set(state) != set(self._state_sizes()):
            raise ValueError(
                "`state` must be a dict as `get_initial_state` returns. Expected the "
                f"names {list(self._state_sizes())}. Received: {list(state)}."
            )
        if mask is None:
            mask = mask_of(inputs)
        inputs = tf.cast(inputs, self.compute_dtype)
        mask, reset = checked_mask(mask), checked_reset(reset, inputs.shape)
        state = {name: tf.cast(s, self._state_dtype) for name, s in state.items()}
        outputs, new_state = self._solve(inputs, state, mask, reset)
        outputs = tf.cast(outputs, self.compute_dtype)
        return outputs if self.return_sequences else outputs[:, -1], new_state

    def _project(self, inputs, kernel, bias=None):
        """`inputs @ kernel + bias` for all steps, in one product."""
        weights = [kernel] if bias is None else [kernel, bias]
        weights = [tf.cast(tf.convert_to_tensor(w), inputs.dtype) for w in weights]
        return project(inputs, *weights)

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        if self.return_sequences:
            return (*inputs_shape[:2], self.units)
        return (inputs_shape[0], self.units)

    def compute_mask(
        self, inputs: Structure, mask: Tensor | None = None
    ) -> Tensor | None:
        return mask if self.return_sequences else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "return_sequences": self.return_sequences,
        }


class MinimalRecurrence(ParallelRecurrence):
    """A `ParallelRecurrence` with one kernel, whose gates depend only on the inputs.

    A subclass sets `_gates`, the number of blocks of `units` columns in the kernel, and
    defines `_factors(*blocks)`, which returns a_t and b_t of
    `h_t = a_t h_{t-1} + b_t`.
    """

    def __init__(
        self,
        units: int,
        *,
        return_sequences: bool = False,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(units, return_sequences=return_sequences, **kwargs)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        width = self._gates * self.units
        self.kernel = self.add_weight(
            shape=(inputs_shape[-1], width),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(width,),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
            )

    def _state_sizes(self):
        return {"h": self.units}

    def _solve(self, inputs, state, mask, reset):
        x_proj = self._project(inputs, self.kernel, self.bias)
        blocks = tf.split(tf.cast(x_proj, self._state_dtype), self._gates, axis=-1)
        h = linear_scan(*self._factors(*blocks), state["h"], mask=mask, reset=reset)
        return h, {"h": h[:, -1]}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
        }
