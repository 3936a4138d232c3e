"""Names of types that annotations share; shapes are told by docstrings."""

from __future__ import annotations

from typing import Any, TypeAlias

import tensorflow as tf

Tensor: TypeAlias = tf.Tensor
"""A tensor of TensorFlow, or what it takes for one: a NumPy array, a variable."""

Structure: TypeAlias = Any
"""Tensors in lists, tuples and dicts, nested, as `tf.nest` takes them."""

State: TypeAlias = dict[str, Any]
"""Named state of a model: `{layer name: structure of tensors (rows, ...)}`."""
