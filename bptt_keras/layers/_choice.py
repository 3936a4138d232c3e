"""Which kernel runs a drop-in layer, and why not another."""

from __future__ import annotations

from typing import Any

from bptt_keras.backend import has_gpu
from bptt_keras.kernels.native import place, probe
from bptt_keras.kernels.native.kinds import why_not
from bptt_keras.tensorflow_internals import compiled_by_xla

# 0, 1 and 2 are Keras' own values: how its loop computes the products of a step.
IMPLEMENTATIONS = ("auto", "native", "fused", "cudnn", "cell", 0, 1, 2)
KERNELS = ("native", "fused", "cudnn", "cell")

# The mixin uses attributes of the Keras layer, which type checkers cannot know.
_Layer: Any = object


class KernelChoice(_Layer):
    """Mixin of a Keras recurrent layer that chooses its kernel.

    The layer defines which activations its kernels support (`_activations_are_fused`)
    and what the native library calls it (`_native_kind`).

    The attribute `implementation` is one of `IMPLEMENTATIONS`.
    """

    implementation: str | int = "auto"
    # Whether cuDNN computes the same as the kernels.
    _has_cudnn = False

    def _native_kind(self):
        """One of the native library's `KINDS`, or `None` if it lacks the layer."""
        return None

    @property
    def fused(self) -> bool:
        """True if a hand-written kernel, native or fused, runs this configuration."""
        return self._why_not_fused() is None or self._why_not_native(xla=True) is None

    def kernel_of(self, *, xla: bool) -> str:
        """The kernel that runs a sequence without mask and resets.

        With `implementation="auto"` it is cuDNN on a GPU without XLA, else the native
        kernel, else the fused kernel, else Keras' loop over the cell. cuDNN runs only
        sequences without mask and resets; others run as on a CPU. Where a SavedModel
        may be made, in any other function than those of `fit`, `evaluate` and
        `predict` that XLA does not compile, another kernel runs in place of the native
        one.

        Args:
            xla: Whether XLA compiles the layer.

        Returns:
            "native", "fused", "cudnn" or "cell".
        """
        if self._why_not_cudnn(xla=xla) is None:
            return "cudnn"
        if self.implementation == "native" or self._why_not_native(xla=xla) is None:
            return "native"
        return self._portable_kernel()

    def why_not(self, kernel: str, *, xla: bool = True) -> str | None:
        """Why a kernel does not serve this layer here.

        Args:
            kernel: "native", "fused", "cudnn" or "cell".
            xla: Whether XLA compiles the layer. Default: True.

        Returns:
            The reason in words, or None if it does.

        Raises:
            ValueError: there is no such kernel.
        """
        if kernel not in KERNELS:
            raise ValueError(
                f"`kernel` must be one of {KERNELS}. Received: kernel={kernel!r}."
            )
        if kernel == "native":
            return self._why_not_native(xla=xla)
        if kernel == "cudnn":
            return self._why_not_cudnn(xla=xla)
        return self._why_not_fused() if kernel == "fused" else None

    def _portable_kernel(self):
        """The kernel that a saved model contains."""
        return "fused" if self._why_not_fused() is None else "cell"

    def _why_not_fused(self):
        """`None`, or why the fused kernel cannot be used, in words."""
        return self._why_not_by_hand()

    def _why_not_native(self, *, xla):
        """`None`, or why the native kernel cannot be used here, in words."""
        return self._why_never_native() or probe.why_not(xla=xla)

    def _why_never_native(self):
        """The same for any machine."""
        if self.implementation == "fused":
            return "implementation='fused'"
        reason = self._why_not_by_hand()
        return reason or why_not(self._native_kind(), self.cell.compute_dtype)

    def _why_not_by_hand(self):
        """`None`, or why no hand-written kernel runs this configuration, in words."""
        cell = self.cell
        # Keras' implementation 1 drops inputs with a separate mask for each gate.
        masks_by_gate = cell.dropout > 0 and getattr(cell, "implementation", 2) == 1
        reasons = {
            "implementation='cell'": self.implementation == "cell",
            "cuDNN is asked for": self._wants_cudnn,
            "it does not know these activations": not self._activations_are_fused(),
            "it has no recurrent dropout": cell.recurrent_dropout != 0,
            "implementation 1 drops inputs gate by gate": masks_by_gate,
            "unroll=True": self.unroll,
        }
        return next((text for text, found in reasons.items() if found), None)

    def _why_not_cudnn(self, *, xla):
        """`None`, or why cuDNN is not taken, or cannot be, in words."""
        if self._wants_cudnn:
            return None
        choices = ("auto", 0, 1, 2)
        reasons = {
            "it does not compute this layer": lambda: not self._has_cudnn,
            "XLA compiles the layer": lambda: xla,
            "there is no GPU": lambda: not has_gpu(),
            f"implementation={self.implementation!r}": lambda: (
                self.implementation not in choices
            ),
            "use_cudnn=False": lambda: getattr(self, "use_cudnn", False) is False,
            "it does not know this configuration": lambda: (
                self._why_not_fused() is not None
            ),
            "use_bias=False": lambda: not self.cell.use_bias,
            # Other precisions have not been tested with cuDNN.
            "it is taken in float32 alone": lambda: (
                self.cell.compute_dtype != "float32"
            ),
        }
        return next((text for text, found in reasons.items() if found()), None)

    def _kernel_here(self):
        """The kernel of what runs or is traced now."""
        way = place.way_here()
        if way is not None:
            return self.kernel_of(xla=way == "custom call")
        if self._why_not_cudnn(xla=compiled_by_xla()) is None:
            return "cudnn"
        return self._portable_kernel()

    @property
    def _wants_cudnn(self):
        return getattr(self, "use_cudnn", False) is True
