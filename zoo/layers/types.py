"""Types in the signatures of the zoo's layers."""

from __future__ import annotations

from typing import Any

# A TensorFlow tensor, a NumPy array or Keras' symbolic tensor.
Tensor = Any
# Dimensions, None where unknown.
Shape = tuple[Any, ...]
# The state that a layer carries from one timestep to the next, by name.
State = dict[str, Any]
