"""What layers of the zoo take and give."""

from __future__ import annotations

from typing import Any

# A tensor of TensorFlow, a NumPy array or what Keras makes of them while it builds.
Tensor = Any
# Extents, None for those that are not known.
Shape = tuple[Any, ...]
# What a layer keeps from one timestep to the next, by name.
State = dict[str, Any]
