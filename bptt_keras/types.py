"""Type aliases for annotations; docstrings give the shapes."""

from __future__ import annotations

from typing import Any, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = tf.Tensor
"""A TensorFlow tensor, or what it accepts as one: a NumPy array, a variable."""

Structure: TypeAlias = Any
"""Nested lists, tuples and dicts of tensors, as for `tf.nest`."""

State: TypeAlias = dict[str, Any]
"""Named state of a model: `{layer name: structure of tensors (rows, ...)}`."""
