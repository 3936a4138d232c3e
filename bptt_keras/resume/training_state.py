"""Everything that a training consists of at one moment."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from bptt_keras.data.origin import Origin
from bptt_keras.keras_internals import global_seeds, make_global_seeds
from bptt_keras.resume import plain, position, variables
from bptt_keras.resume.course import Place
from bptt_keras.resume.files_of_callbacks import file_sizes
from bptt_keras.resume.pacing import Background
from bptt_keras.resume.saves import ResumeError, Save, restoring
from bptt_keras.training.steps import Fit
from bptt_keras.types import Tensor

Arrays = dict[str, list[np.ndarray]]


class TrainingState:
    """Captures and restores the state of a `fit`.

    Args:
        fit: The `fit`.
        callbacks: The callbacks whose state belongs to it.
        save: The `Save` from which it resumes; `None`: it begins.
        goes_on: Whether it goes on although a callback had ended it.
    """

    def __init__(
        self,
        fit: Fit,
        callbacks: list[Any],
        save: Save | None,
        *,
        goes_on: bool = False,
    ):
        self._fit = fit
        self._callbacks = callbacks
        self._save = save
        self._goes_on = goes_on
        self._orders = position.order_holders(fit.x)
        self._known: list[Any] | None = None
        self._copies, self._reserving = variables.Copies(), Background()
        self._reserved = False
        if save is None:
            self._first_orders = self._order_states()
        else:
            self._first_orders = save.content["first_orders"]
            with restoring(save.number):
                self._set_orders(self._first_orders, pipelines=False)

    def captured(
        self, place: Place, following: position.Following, *, validating: bool = False
    ) -> Callable[[], tuple[dict[str, Any], Arrays]]:
        """The state of this moment.

        Args:
            place: Where the `fit` is.
            following: Its data.
            validating: Whether validation comes next, in which the data of training
                stay where they are; with large buffers their position is not cheap.

        Returns:
            Function that gives `(content, arrays)`: values for JSON, and arrays. It may
            be called once, while training, or validation, goes on; the arrays are
            overwritten by the next capture.
        """
        known = None if validating else self._position(following)
        arrays = plain.Arrays()
        tensors = self._values()
        # Validation updates no variable, and what it captures is seldom written.
        copies: list[np.ndarray] | None = None
        if not validating:
            with contextlib.suppress(MemoryError):  # Who writes tries again, and fails.
                copies = self._copied(tensors)
                # An update would first copy what is still held.
                tensors = []
        trainer = self._fit.trainer
        calls = sum(place.calls) + (0 if place.finished else place.call)
        count = trainer.steps_per_execution
        content = {
            "place": list(place),
            "batches": place.call * count,
            "replayed": calls * count,
            "stop_training": bool(trainer.stop_training),
            "variables": variables.describe(self._variables),
            "schedule": plain.state_of(self._fit.schedule(), arrays)[0],
            "random": _random_states(arrays),
            "callbacks": [plain.state_of(c, arrays)[0] for c in self._callbacks],
            "files": file_sizes(self._callbacks),
            "first_orders": self._first_orders,
            "way": following.way,
        }

        def complete() -> tuple[dict[str, Any], Arrays]:
            where, orders = known or self._position(following)
            groups = {
                "variables": self._copied(tensors) if copies is None else copies,
                "plain": list(arrays),
                "data": [np.frombuffer(part, np.uint8) for part in where],
            }
            return {**content, "orders": orders}, groups

        return complete

    def reserve(self) -> None:
        """Takes memory for what will be captured, once, in the background.

        All variables must exist.
        """
        if self._reserved or not self._writes:
            return
        self._reserved = True

        def take() -> None:
            with contextlib.suppress(MemoryError):  # The first capture says so.
                self._copies.reserve(self._variables, self._reserving.rest)

        self._reserving.start(take)

    @property
    def _writes(self) -> bool:
        """Whether this process writes what is captured."""
        return self._fit.group is None or self._fit.group.is_first

    def _copied(self, tensors: list[Tensor]) -> list[np.ndarray]:
        self._reserving.wait()
        return self._copies.of(tensors) if self._writes else []

    def restore(self, following: position.Following) -> None:
        """Restores all but the callbacks, which are restored when training begins.

        Args:
            following: The data, of which all batches before have been passed over.

        Raises:
            ResumeError: If the variables are other ones, or the save holds something
                else than the state of such a training.
        """
        save, self._save = self._save, None
        assert save is not None
        content, arrays = save.content, plain.Arrays(save.arrays.get("plain", []))
        if variables.describe(self._variables) != content["variables"]:
            raise ResumeError(
                "The saves are of another training: its variables have other shapes. "
                "Give this training another folder."
            )
        with restoring(save.number):
            variables.assign(self._variables, self._parts(save))
            plain.restore(self._fit.schedule(), content["schedule"], arrays)
            if following.way == position.SAVED:
                following.restore(*(part.tobytes() for part in save.arrays["data"]))
                self._set_orders(content["orders"], pipelines=True)
            _restore_random_states(content["random"], arrays)
            stopped = content["stop_training"] and not self._goes_on
            self._fit.trainer.stop_training = stopped

    def _values(self) -> list[Tensor]:
        group = self._fit.group
        if group is None:
            return variables.values_of(self._variables)
        return variables.values_of_all(self._variables, self._fit.apart(), group)

    def _parts(self, save: Save) -> list[np.ndarray]:
        arrays, group = save.arrays.get("variables", []), self._fit.group
        if group is None or len(arrays) != len(self._variables):
            return arrays
        return variables.parts_of(self._variables, arrays, self._fit.apart(), group)

    @property
    def _variables(self) -> list[Any]:
        if self._known is None:
            self._known = variables.variables_of(self._fit.holders())
        return self._known

    def _order_states(self) -> list[Any]:
        return [holder.get_state() for holder in self._orders]

    def _set_orders(self, states: list[Any], *, pipelines: bool) -> None:
        """Restores what determines orders: of pipelines, or of other data.

        Keras tells a `PyDataset` of each epoch, also of those that are passed over, so
        its state is that of the start. A pipeline is not told.
        """
        for holder, state in zip(self._orders, states, strict=True):
            if isinstance(holder, Origin) == pipelines:
                holder.set_state(state)

    def _position(self, following: position.Following) -> tuple[Any, list[Any]]:
        """The position in the data and the orders to come, of one moment."""
        # Pipelines read ahead.
        while True:
            before = self._order_states()
            where = following.position()
            after = self._order_states()
            if before == after:
                return where, after


def _random_states(arrays: plain.Arrays) -> Any:
    """The states of the generators of the process: Python's, NumPy's and Keras'."""
    generator = global_seeds()
    seeds = None if generator is None else np.asarray(generator.state)
    return plain.encoded((random.getstate(), np.random.get_state(), seeds), arrays)


def _restore_random_states(state: Any, arrays: plain.Arrays) -> None:
    python, numpy, seeds = plain.decoded(state, arrays)
    if seeds is not None:
        make_global_seeds().state.assign(seeds)
    random.setstate(python)
    np.random.set_state(numpy)
