"""What the drop-in layers share: their arguments, and how their kernels are run."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.keras_internals import mask_of
from bptt_keras.kernels.loop import cell_loop
from bptt_keras.layers._choice import IMPLEMENTATIONS, KernelChoice
from bptt_keras.layers._flags import checked_mask, checked_reset
from bptt_keras.tensorflow_internals import is_recorded
from bptt_keras.types import Structure, Tensor


class RowFlags(NamedTuple):
    """Mask and reset, passed together through Keras' `call` in place of a mask."""

    mask: Tensor | None
    reset: Tensor | None


class Run(NamedTuple):
    """How a kernel runs.

    Fields:
        flags: mask and reset, each `(time, batch)` booleans or None.
        training: whether the layer is called in training.
        kernel: "native" or "fused".
    """

    flags: RowFlags
    training: bool
    kernel: str


class FusedRecurrence(KernelChoice):
    """Mixin that replaces the loop over time of a Keras recurrent layer.

    It comes before the Keras class in the list of bases. Besides what `KernelChoice`
    needs, the layer defines which bias belongs to the input projection (`_input_bias`),
    and runs the kernel (`_run_kernel`).
    """

    # Names of the states, in order.
    _states: tuple[str, ...] = ("h",)
    learn_initial_state = False
    # Whether Keras' cell computes the same as the kernel.
    _equals_cell = False

    def __init__(
        self,
        units: int,
        *args: Any,
        implementation: str | int = "auto",
        learn_initial_state: bool = False,
        **kwargs: Any,
    ):
        super().__init__(units, *args, **self._chosen(implementation, kwargs))
        self.implementation = implementation
        # Whether native code runs on this machine is checked only when the layer is
        # called, so that a model from elsewhere can be loaded.
        reason = None
        if implementation == "fused":
            reason = self._why_not_fused()
        elif implementation == "native":
            reason = self._why_never_native()
        if reason is not None:
            raise ValueError(
                f"The {implementation} kernel does not serve this layer: {reason}. "
                f"Received: implementation={implementation!r}. Change that, or leave "
                "`implementation` at 'auto'."
            )
        self.learn_initial_state = bool(learn_initial_state)
        self._initial_weights: list[Any] = []
        if self.learn_initial_state and self.stateful:
            raise ValueError(
                "`learn_initial_state` is not possible with `stateful=True`, whose "
                "variables start from zeros and pass no gradient. Received: "
                "learn_initial_state=True, stateful=True. Carry the state with "
                "`bk.TruncatedBPTT` or `bk.PureStep` instead."
            )
        # Keras disables XLA if cuDNN might run; here cuDNN has to be asked for.
        self.supports_jit = not self._wants_cudnn

    def _chosen(self, implementation, kwargs):
        """Keras' arguments, changed according to `implementation`."""
        # `in` is not enough: False equals 0, and True equals 1.
        known = implementation in IMPLEMENTATIONS
        known = known and not isinstance(implementation, bool)
        if not known:
            raise ValueError(
                f"`implementation` must be one of {IMPLEMENTATIONS}. Received: "
                f"implementation={implementation!r}."
            )
        if implementation in (0, 1, 2):
            return {**kwargs, "implementation": implementation}
        if implementation == "cudnn":
            if not self._has_cudnn or kwargs.get("use_cudnn", "auto") is False:
                raise ValueError(
                    f"cuDNN does not serve this layer. Received: "
                    f"{type(self).__name__} with implementation='cudnn', use_cudnn="
                    f"{kwargs.get('use_cudnn', 'auto')!r}."
                )
            return {**kwargs, "use_cudnn": True}
        return kwargs

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        if self.learn_initial_state:
            self._initial_weights = [
                self.add_weight(
                    shape=(self.units,), initializer="zeros", name=f"initial_{name}"
                )
                for name in self._states
            ]

    def get_initial_state(self, batch_size: int | Tensor) -> Structure:
        if not self.learn_initial_state:
            return super().get_initial_state(batch_size)
        if not self.built:
            raise RuntimeError(
                "The learned initial state is known once the layer is built. "
                f"Received: layer {self.name!r} with learn_initial_state=True and no "
                "weights. Call it on a batch first, or `build` it."
            )
        states = []
        for weight in self._initial_weights:
            rows = tf.broadcast_to(
                tf.convert_to_tensor(weight), (batch_size, self.units)
            )
            # Cast after the broadcast, whose gradient is a sum over all rows.
            states.append(tf.cast(rows, self.compute_dtype))
        return states

    def call(
        self,
        sequences: Tensor,
        initial_state: Structure = None,
        mask: Structure = None,
        training: bool = False,
        reset: Any = None,
    ) -> Structure:
        if mask is None:
            # Keras passes the mask of the inputs itself only to calls without a second
            # tensor, such as `initial_state` or `reset`.
            mask = mask_of(sequences)
        flags = RowFlags(checked_mask(mask), checked_reset(reset, sequences.shape))
        return super().call(
            sequences, initial_state=initial_state, mask=flags, training=training
        )

    def inner_loop(
        self,
        sequences: Tensor,
        initial_state: Structure,
        mask: Tensor | RowFlags | None,
        training: bool = False,
    ) -> tuple[Tensor, Tensor, Structure]:
        flags = mask if isinstance(mask, RowFlags) else RowFlags(mask, None)
        # The kernels reset to zeros.
        resets_to_weights = self.learn_initial_state and flags.reset is not None
        kernel = self._kernel_here()
        if kernel == "cudnn" and not self._wants_cudnn and flags != (None, None):
            kernel = "fused"
        by_hand = kernel in ("native", "fused")
        if by_hand and self._equals_cell and sequences.shape[1] == 1:
            # A single step, as in streaming: reordering the weights for the kernel only
            # pays off over several steps.
            return self._cell_loop(sequences, initial_state, flags, training)
        if by_hand and not resets_to_weights:
            return self._fused_loop(sequences, initial_state, flags, training, kernel)
        if kernel == "cudnn":
            if flags.reset is not None:
                raise ValueError(
                    "`reset` is not possible with cuDNN, which runs the whole sequence "
                    "at once. Received: use_cudnn=True and a `reset` of shape "
                    f"{flags.reset.shape}. Use `use_cudnn='auto'`."
                )
            return super().inner_loop(sequences, initial_state, flags.mask, training)
        if flags == (None, None):
            return keras.layers.RNN.inner_loop(
                self, sequences, initial_state, None, training
            )
        return self._cell_loop(sequences, initial_state, flags, training)

    def _fused_loop(self, sequences, initial_state, flags, training, kernel):
        dtype = self.cell.compute_dtype
        sequences = tf.cast(sequences, dtype)
        if training and self.cell.dropout > 0:
            # `RNN.call` has already drawn this mask, which is the same for all steps.
            dropped = self.cell.get_dropout_mask(sequences[:, 0, :])
            sequences = sequences * dropped[:, None]
        flags = RowFlags(*(self._time_major(flag) for flag in flags))
        weights = tf.convert_to_tensor(self.cell.recurrent_kernel)
        weights = tf.cast(self._dropped_kernel(weights, training), dtype)
        h_seq, *states = self._run_kernel(
            self._time_major(sequences),
            initial_state,
            weights,
            Run(flags, training, kernel),
        )
        if flags.mask is not None and self.zero_output_for_mask:
            h_seq = tf.where(flags.mask[..., None], h_seq, tf.zeros_like(h_seq))
        outputs = h_seq if self.return_sequences else h_seq[-1:]
        return h_seq[-1], tf.transpose(outputs, (1, 0, 2)), states

    def _saves(self, training):
        """Whether a kernel saves what its backward pass needs.

        It also does in training without a tape: states that are computed in advance, or
        recomputed, must equal those of the differentiated run to the last digit.
        """
        return training or is_recorded()

    def _dropped_kernel(self, recurrent_kernel, training):
        """Overridden by layers that drop recurrent weights in training."""
        return recurrent_kernel

    def _time_major(self, tensor):
        if tensor is None:
            return None
        if self.go_backwards:
            tensor = tf.reverse(tensor, axis=[1])
        return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])

    def _input_weights(self, dtype):
        """Kernel and bias of the input projection; the bias may be None."""
        bias = self._input_bias()
        kernel = tf.cast(tf.convert_to_tensor(self.cell.kernel), dtype)
        return kernel, None if bias is None else tf.cast(bias, dtype)

    def _project(self, sequences):
        """`x W + b` for all steps in one product: `(time, batch, gates * units)`."""
        kernel, bias = self._input_weights(sequences.dtype)
        length, batch, features = keras.ops.shape(sequences)
        x_proj = tf.matmul(tf.reshape(sequences, (-1, features)), kernel)
        if bias is not None:
            x_proj += bias
        return tf.reshape(x_proj, (length, batch, kernel.shape[-1]))

    def _input_bias(self):
        return None if self.cell.bias is None else tf.convert_to_tensor(self.cell.bias)

    def _cell_loop(self, sequences, initial_state, flags, training):
        mask, reset = flags
        if self.go_backwards:
            sequences, mask, reset = (
                None if x is None else tf.reverse(x, axis=[1])
                for x in (sequences, mask, reset)
            )
        fresh = self.get_initial_state(keras.ops.shape(sequences)[0])
        last_output, outputs, states = cell_loop(
            lambda x, states: self.cell(x, states, training=training),
            sequences,
            list(initial_state),
            mask=mask,
            reset=reset,
            initial_states=fresh,
            previous_output=initial_state[0],
            initial_output=fresh[0],
            unroll=self.unroll or sequences.shape[1] == 1,
        )
        if mask is not None and self.zero_output_for_mask:
            outputs = tf.where(mask[..., None], outputs, tf.zeros_like(outputs))
            last_output = outputs[:, -1]
        return last_output, outputs, states

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration, and the arguments that it omits.

        `use_cudnn`, `implementation` and SimpleRNN's `seed` are added only if they
        differ from the default, so that an ordinary configuration equals Keras'.
        """
        config = super().get_config()
        if getattr(self, "use_cudnn", "auto") != "auto":
            config["use_cudnn"] = self.use_cudnn
        # Recurrent dropout forces implementation 1, which the user did not choose.
        chosen = getattr(self.cell, "implementation", 2)
        if chosen != 2 and not self.cell.recurrent_dropout:
            config["implementation"] = chosen
        if self.cell.seed is not None:
            config["seed"] = self.cell.seed
        if self.implementation in ("native", "fused", "cell"):
            config["implementation"] = self.implementation
        if self.learn_initial_state:
            config["learn_initial_state"] = True
        return config
