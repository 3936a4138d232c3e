"""The subject of a diagnosis: a model, its loss and data, timestep by timestep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.diagnostics.measuring.data import load, map_timed, timed_shape
from bptt_keras.keras_internals import given_loss
from bptt_keras.state import PureStep, floats
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.types import State, Structure, Tensor


class Problem:
    """A model and data, with the losses of single timesteps.

    The model runs in inference mode, without dropout, and is not changed.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes.
        data: `(x, y)`, or a `tf.data.Dataset` of such batches.
        loss: Loss of one timestep; `None`: the one that `model` was compiled with;
            False: none is needed.
        steps: Timesteps wanted of a stream.
        asked_by: Name of the public function that asks, for messages.

    Attributes:
        step: `PureStep` of the model.
        x: Inputs, structure of tensors `(rows, time, ...)`.
        y: Targets, a tensor.
        rows: Number of rows.
        length: Timesteps.
        timed: Whether outputs, and targets, have a time axis.

    Raises:
        TypeError: If `model` or `data` is of the wrong type.
        ValueError: If there is no loss, no state or more than one output, or the data
            are unsuitable.
    """

    def __init__(
        self, model: keras.Model, data: Any, loss: Any, *, steps: int, asked_by: str
    ):
        self._asked_by = asked_by
        self._values = _no_loss if loss is False else self._loss_of(model, loss)
        self.step = PureStep(inner(model))
        self.x, self.y = load(self.step.model, data, steps)
        if tf.nest.is_nested(self.y):
            raise ValueError(
                f"`{asked_by}` takes models with one output. Received: several targets."
            )
        self.rows, self.length = timed_shape(self.step.model, self.x)
        self.timed = self._has_time()
        self._check_targets()
        # Traced, because run eagerly it would run the whole model to get a mask. A
        # `partial`: TensorFlow warns of a method that several objects have traced.
        self._mask = tf.function(functools.partial(self.step.mask), autograph=False)
        self.check_valid(self.x)
        # Run eagerly, layers would loop over time one timestep after the other.
        self._run = tf.function(self.step, autograph=False, reduce_retracing=True)

    def inputs(self, start: int, stop: int) -> Structure:
        """The inputs of some timesteps."""
        return map_timed(self.step.model, lambda a: a[:, start:stop], self.x)

    def advance(self, start: int, stop: int, state: State) -> State:
        """The state after some timesteps, from the state before them."""
        return self._run(self.inputs(start, stop), state)[1] if stop > start else state

    def check_valid(self, x: Structure) -> None:
        """Checks that the model itself masks no timesteps.

        Args:
            x: Inputs, structure of tensors.

        Raises:
            ValueError: If it masks some.
        """
        mask = self._mask(x)
        if mask is not None and not bool(tf.reduce_all(mask)):
            raise ValueError(
                "Diagnoses take timesteps that are all valid. Received: data of which "
                "the model masks some, as padding. Cut the sequences to a common "
                "length."
            )

    def targets(self, start: int, stop: int) -> Tensor:
        """The targets of some timesteps; all targets if they have no time axis."""
        return self.y[:, start:stop] if self.timed else self.y

    def losses(self, y: Tensor, outputs: Tensor) -> Tensor:
        """Loss of each row at each timestep: `(rows, time)`, or `(rows,)`.

        Args:
            y: Targets `(rows, time, ...)`, or `(rows, ...)` without a time axis.
            outputs: Outputs of the model for their inputs.
        """
        if not self.timed:
            return self._values(y, outputs)
        lead = tf.shape(outputs)[:2]
        flat = self._values(_merged(y), _merged(outputs))
        return tf.reshape(flat, lead)

    def _loss_of(
        self, model: keras.Model, loss: Any
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """Function `(y, outputs) -> (rows,)`, of one timestep."""
        name = f"`{self._asked_by}`"
        if loss is None:
            loss = given_loss(model)
        if loss is None:
            raise ValueError(
                f"{name} needs a loss. Received: loss=None and a model that was not "
                "compiled with one."
            )
        while isinstance(loss, dict | list | tuple) and len(loss) == 1:
            (loss,) = loss.values() if isinstance(loss, dict) else loss
        if isinstance(loss, dict | list | tuple):
            raise ValueError(
                f"{name} takes one loss. Received: loss={loss!r}. Pass `loss=`."
            )
        function = keras.losses.get(loss)
        call = function.call if isinstance(function, keras.losses.Loss) else function

        def values(y, outputs):
            losses = call(y, outputs)
            return tf.reduce_mean(tf.reshape(losses, (tf.shape(losses)[0], -1)), axis=1)

        return values

    def _has_time(self) -> bool:
        """Whether the model has outputs at each timestep."""
        if self.length < 2:
            raise ValueError(
                f"`{self._asked_by}` needs at least 2 timesteps. Received: data with "
                f"{self.length}."
            )
        shapes = []
        for length in (1, 2):
            part = tf.nest.map_structure(lambda a: a[:1], self.inputs(0, length))
            outputs, state = self.step(part, self.step.initial_state(1))
            if tf.nest.is_nested(outputs):
                raise ValueError(
                    f"`{self._asked_by}` takes models with one output. Received: a "
                    f"model with {len(tf.nest.flatten(outputs))}."
                )
            shapes.append(tuple(outputs.shape))
        if not floats(state):
            raise ValueError(
                "This model has no state through which gradients could flow: it has "
                "no recurrent layer."
            )
        return len(shapes[0]) > 1 and (shapes[0][1], shapes[1][1]) == (1, 2)

    def _check_targets(self) -> None:
        axes = 2 if self.timed else 1
        expected = (self.rows, self.length)[:axes]
        if tuple(self.y.shape[:axes]) != expected:
            words = "(rows, time, ...)" if self.timed else "(rows, ...)"
            raise ValueError(
                f"`y` must be `{words}` like the inputs, {expected} here. Received: "
                f"shape {tuple(self.y.shape)}."
            )


def inner(model: keras.Model) -> keras.Model:
    """The model inside a trainer, or the model itself."""
    return model.model if isinstance(model, TruncatedBPTT) else model


def _no_loss(y: Tensor, outputs: Tensor) -> Tensor:
    raise RuntimeError("No loss was asked for.")


def _merged(tensor: Tensor) -> Tensor:
    """Merges rows and timesteps into one axis."""
    shape = tf.shape(tensor)
    merged = tf.reshape(tensor, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    merged.set_shape([None, *tensor.shape[2:]])
    return merged
