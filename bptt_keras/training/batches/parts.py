"""What `x` may contain besides the inputs: flags, lengths, masks and keys."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.types import Tensor

_KEYS = ("inputs", "reset", "position", "lengths", "mask", "key")


class Parts(NamedTuple):
    """The entries of `x` as the user passed them; `None` if absent."""

    inputs: Any
    reset: Any = None
    position: Any = None
    lengths: Any = None
    mask: Any = None
    key: Any = None

    @property
    def continues(self) -> bool:
        """Whether its rows continue those of the previous batch."""
        return self.reset is not None or self.key is not None


def split_inputs(x: Any) -> Parts:
    """Splits `{"inputs": x, "reset": r, ...}` into its parts.

    Args:
        x: Anything that `fit` accepts as `x`. A dict with the key `"inputs"` and
            otherwise only fields of `Parts` is split; anything else is the model's
            input itself.

    Returns:
        `Parts`.

    Raises:
        ValueError: If `x` has `"reset"`, `"position"` or `"lengths"`, but no
            `"inputs"` or also unknown keys; or both `"lengths"` and `"mask"`.
    """
    if not isinstance(x, dict) or not set(x) & set(_KEYS):
        return Parts(x)
    if "inputs" not in x or set(x) - set(_KEYS):
        # A model's own inputs may be called "inputs", "mask" or "key".
        if not {"reset", "position", "lengths"} & set(x):
            return Parts(x)
        raise ValueError(
            f"A dict with `reset`, `position` or `lengths` must hold the model's input "
            f"under `inputs`, and of other keys only `mask` and `key`. Received: keys "
            f"{sorted(x)}. Put the inputs of a model with several into one dict: "
            f"{{'inputs': {{...}}, 'reset': ...}}."
        )
    if "lengths" in x and "mask" in x:
        raise ValueError(
            "`lengths` and `mask` both say which timesteps are valid. Received: both. "
            "Leave one of them out."
        )
    return Parts(**x)


def check_flags(parts: Parts, first: Any) -> None:
    """Raises if a part differs from the inputs in its rows or timesteps.

    Args:
        parts: `Parts`.
        first: Tensor `(batch, time, ...)`, one of the inputs.

    Raises:
        ValueError: If so; names the part and both shapes.
    """
    grids = {
        "reset": ((1, 2), "(batch,) or (batch, time)"),
        "key": ((1, 2), "(batch,) or (batch, time)"),
        "position": ((1,), "(batch,)"),
        "lengths": ((1,), "(batch,)"),
        "mask": ((2,), "(batch, time)"),
    }
    for name, (ranks, words) in grids.items():
        part = getattr(parts, name)
        if part is None:
            continue
        if not hasattr(part, "shape"):
            part = tf.convert_to_tensor(part)
        shape = tf.TensorShape(part.shape)
        rank = shape.rank
        if rank not in ranks or not shape.is_compatible_with(first.shape[:rank]):
            raise ValueError(
                f"`{name}` must have the shape {words}. Received: {name} with shape "
                f"{tuple(shape)} beside inputs with shape {tuple(first.shape)}."
            )


def valid_steps(parts: Parts, first: Tensor) -> Tensor | None:
    """Booleans `(batch, time)` from lengths or mask, or `None`.

    Args:
        parts: `Parts`.
        first: Tensor `(batch, time, ...)`, one of the inputs.
    """
    if parts.mask is not None:
        return tf.cast(parts.mask, tf.bool)
    if parts.lengths is None:
        return None
    steps = tf.shape(first)[1]
    lengths = tf.convert_to_tensor(parts.lengths)
    inside = (lengths >= 0) & (lengths <= tf.cast(steps, lengths.dtype))
    check = require(
        tf.reduce_all(inside),
        "`lengths` must lie between 0 and the number of timesteps. Received: lengths "
        "outside.",
    )
    with tf.control_dependencies([check]):
        valid = tf.sequence_mask(lengths, steps)
    valid.set_shape(first.shape[:2])
    return valid


def keys_as_integers(key: Any) -> Tensor | None:
    """Keys as integers, which a variable can hold on any device.

    Args:
        key: Integers or strings, or `None`.

    Raises:
        TypeError: If the keys are anything else.
    """
    if key is None:
        return None
    key = tf.convert_to_tensor(key)
    if key.dtype == tf.string:
        return tf.strings.to_hash_bucket_strong(key, 2**62, [0x5EED, 0xB997])
    if not key.dtype.is_integer:
        raise TypeError(
            f"`key` must hold integers or strings. Received: key of dtype "
            f"{key.dtype.name}."
        )
    return tf.cast(key, tf.int64)
