"""How a `fit` gets to the batch where it resumes."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras


class Place(NamedTuple):
    """A place in a `fit`.

    Fields:
        epoch: The epoch, counted as Keras counts them.
        call: Calls of the training step within the epoch that are done.
        finished: Whether the epoch is done, with validation and callbacks.
        calls: Calls of the training step in each of the epochs before, and in this one
            if it is finished.
    """

    epoch: int
    call: int
    finished: bool
    calls: list[int]


class Course:
    """Where a `fit` is, and whether it has reached the place where it resumes.

    Keras' loop runs from its start, without training, validating or calling callbacks,
    until it is there. So everything in Keras that counts epochs and batches has counted
    all of them.

    Args:
        first: The first epoch.
        target: The place where to resume; `None`: the start.
    """

    def __init__(self, first: int, target: Place | None):
        self.target = target
        self._first = first
        self.epoch, self._call = first, 0
        self._calls: list[int] = []

    @property
    def passes_over(self) -> bool:
        """Whether the place has not been reached."""
        return self.target is not None

    @property
    def place(self) -> Place:
        """Where the `fit` is, within an epoch."""
        return Place(self.epoch, self._call, False, list(self._calls))

    @property
    def finished_place(self) -> Place:
        """Where the `fit` is, after an epoch."""
        return Place(self.epoch, self._call, True, [*self._calls, self._call])

    def begin_epoch(self, epoch: int) -> None:
        """Notes that an epoch begins."""
        if epoch > self.epoch:
            self._calls.append(self._call)
        self.epoch, self._call = epoch, 0

    def begin_call(self) -> None:
        """Notes that the training step is called.

        Raises:
            StopIteration: If the epoch is passed over and had no more batches.
        """
        if self.target is not None:
            done = self.epoch - self._first
            calls = self.target.calls
            if done < len(calls) and self._call >= calls[done]:
                raise StopIteration
        self._call += 1

    @property
    def is_last_call(self) -> bool:
        """Whether training resumes after this call."""
        target = self.target
        if target is None or target.finished:
            return False
        return (target.epoch, target.call) == (self.epoch, self._call)

    @property
    def is_last_epoch(self) -> bool:
        """Whether training resumes after this epoch."""
        target = self.target
        return target is not None and target.finished and target.epoch == self.epoch

    def arrive(self) -> None:
        """Notes that training resumes."""
        self.target = None


class CallbackList(keras.callbacks.CallbackList):
    """Calls callbacks, but not for what is passed over.

    Args:
        callbacks: List of callbacks, with the `Resume` last.
        resume: That `Resume`.
        **params: As in Keras.
    """

    def __init__(self, callbacks: list[Any], resume: Any, **params: Any):
        self._resume = resume
        super().__init__(callbacks, **params)
        # The one that saves comes after Keras' own, whose state it saves.
        self.callbacks.remove(resume)
        self.callbacks.append(resume)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """As in Keras."""
        self._resume.course.begin_epoch(epoch)
        if not self._resume.passes_over:
            super().on_epoch_begin(epoch, logs)
        elif self._resume.is_within(epoch):
            for callback in self.callbacks:
                if isinstance(callback, keras.callbacks.ProgbarLogger):
                    callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """As in Keras."""
        if self._resume.passes_over:
            self._resume.epoch_passed()
        else:
            super().on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """As in Keras."""
        if not self._resume.passes_over:
            super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """As in Keras."""
        if self._resume.passes_over:
            self._resume.batch_passed()
        else:
            super().on_train_batch_end(batch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """As in Keras, once the state of before is captured."""
        self._resume.before_test()
        super().on_test_begin(logs)
