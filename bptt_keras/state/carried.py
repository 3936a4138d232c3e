"""The base class of carried layers, whose state comes from outside."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple

import keras
import tensorflow as tf

from bptt_keras.types import State, Structure, Tensor


class Pass(NamedTuple):
    """One call of the model, as each carried layer sees it.

    Fields:
        state: Named state before the first step.
        new_state: Dict that is filled with the state after the last step.
        initial: Named initial state.
        training: Boolean.
        reset: Booleans `(batch, time)`, or `None`.
        valid: Booleans `(batch, time)`, False where a row has no input, or `None`.
        called: Dict that is filled with the `Call` of each layer, by layer name.
    """

    state: State
    new_state: State
    initial: State
    training: bool
    reset: Tensor | None
    valid: Tensor | None
    called: dict[str, Call]


class Call(NamedTuple):
    """What reached a carried layer: inputs `(batch, time, ...)`, a mask or `None`."""

    inputs: Structure
    mask: Tensor | None


class Carried:
    """One layer whose state comes from outside.

    Each kind of layer defines the names of its states (`names`), their initial values
    (`initial_state`) and the `call` that replaces its own (`replaced`).

    Args:
        layer: The Keras layer.
        name: Its name, unique in the model.
        names: Names of its states, in order.
    """

    def __init__(self, layer: keras.Layer, name: str, names: Iterable[str]):
        self.layer = layer
        self.name = name
        self.names = list(names)

    def initial_state(self, batch_size: int | Tensor) -> dict[str, Tensor]:
        """`{state name: tensor (batch_size, ...)}`."""
        raise NotImplementedError

    def replaced(self, one_pass: Pass) -> AbstractContextManager[None]:
        """A context in which `call` reads the pass's state and writes the new one."""
        raise NotImplementedError

    def enter(
        self, inputs: Structure, mask: Structure, one_pass: Pass
    ) -> Tensor | None:
        """Records the call; returns the mask that applies, including `valid`.

        Raises:
            ValueError: On a second call, or if flags do not fit the sequence.
        """
        name = self.layer.name
        if self.name in one_pass.called:
            raise ValueError(
                f"Layer {name!r} is called twice in one pass, so it has two states "
                f"and one name. Make two layers of it."
            )
        one_pass.called[self.name] = Call(inputs, mask)
        steps = keras.tree.flatten(inputs)[0].shape[1]
        for flag, what in (("reset", "reset"), ("valid", "told which are valid")):
            flags = getattr(one_pass, flag)
            expected = None if flags is None else flags.shape[1]
            if None not in (steps, expected) and steps != expected:
                raise ValueError(
                    f"The sequence that reaches layer {name!r} has {steps} timesteps, "
                    f"`{flag}` has {expected}. The steps of a model that changes the "
                    f"length of its sequences cannot be {what}."
                )
        return combine_masks(mask, one_pass.valid)


def combine_masks(mask: Structure, valid: Tensor | None) -> Tensor | None:
    """The steps where both a mask and `valid` are True; either may be `None`.

    Args:
        mask: Booleans `(batch, time)` or `(batch, time, 1)`, or a structure of them,
            the first of which is used.
        valid: Booleans `(batch, time)`.
    """
    if valid is None or mask is None:
        return valid if mask is None else mask
    mask = tf.cast(keras.tree.flatten(mask)[0], tf.bool)
    if mask.shape.rank == 3:
        mask = mask[..., 0]
    return mask & valid
