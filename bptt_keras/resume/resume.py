"""`Resume`: saves a `fit` while it runs, and resumes it exactly where it was."""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import filelock
import keras
import tensorflow as tf

from bptt_keras.arguments import is_whole
from bptt_keras.process_group import ProcessGroup
from bptt_keras.resume import plain, position, saves
from bptt_keras.resume.beginning import (
    accepted_differences,
    accepted_rate,
    check_arrived,
    check_callbacks,
    check_epochs,
    check_whole,
    of_this_run,
    remarks_on,
    taken,
)
from bptt_keras.resume.configuration import configuration
from bptt_keras.resume.course import CallbackList, Course, Place
from bptt_keras.resume.files_of_callbacks import (
    append_to_files,
    cut_files,
)
from bptt_keras.resume.pacing import Background, Interval
from bptt_keras.resume.signals import Signals
from bptt_keras.resume.training_state import TrainingState
from bptt_keras.training.steps import Fit, Lead
from bptt_keras.types import Structure


class Resume(Lead):
    """Saves a `fit` of a `TruncatedBPTT` while it runs, and resumes it exactly.

    If the process ends, by an error, a signal or a power cut, run the same program
    again: `fit` then goes on from the last save, in the middle of an epoch, and ends
    with the same weights, history and logs as if it had never been interrupted.

    Saved are weights, the optimizer, the state that windows carry, gradients that wait
    for an update, the averages of the epoch, the position in the data, all random
    states, the schedule of windows, the history of adaptive clipping and the state of
    all callbacks. A save is written in the background. It is complete or not there, the
    one before it is kept, and a damaged one is detected and the one before it used.

    How the position in the data is taken up again:

        arrays, streams, pack, most tf.data     saved: at once, anywhere
        lists of sequences, PyDataset           by number: at once, anywhere
        generators, from_generator,             replayed: all batches before it are
        shuffled or multi-worker PyDataset      drawn once more, and a message says so

    A second process with the same folder, another model, other data and other arguments
    of `fit` are refused; `epochs` may grow. SIGTERM and SIGINT (Ctrl-C) end a training
    after the current batch and one more save; a second signal ends it at once.

    A callback with the methods `get_state()` and `set_state(state)` says itself what
    its state is: numbers, text, arrays, `None`, and lists, tuples and dicts of these.
    Of others, all attributes of these kinds are saved, and a message names the rest
    before training.

    Args:
        folder: Folder for the saves, of this training alone; it is created.
        every: An integer: updates of the weights between two saves. Or a
            `datetime.timedelta`: the time between them. Default: one minute. Saves come
            after a batch, and at the end of the training. One that is still being
            written puts off the next.
        accept: Names of what may differ from the training that was saved, as a refusal
            names them: `"compile.optimizer"` accepts any other settings of the
            optimizer, `"compile.optimizer.config.weight_decay"` that one. And
            `"stop_training"`: a training that a callback had ended goes on.
        print_fn: Function of a string. Default: `print`.

    Raises:
        TypeError: If `every` is neither an integer nor a `datetime.timedelta`, or
            `accept` no list of names.
        ValueError: If it is not positive.
        ResumeError: When `fit` begins, if the saves are of another training (the
            message names the first difference), or all of them are damaged.
        RuntimeError: When `fit` begins, if another process saves into the folder.

    Example:
        import tempfile
        import keras, numpy as np, bptt_keras as bk

        folder, x = tempfile.mkdtemp(), np.random.default_rng(0).normal(size=(8, 60, 1))

        def train(epochs):
            keras.utils.set_random_seed(0)
            model = keras.Sequential([
                keras.layers.Input((None, 1)),
                bk.layers.GRU(4, return_sequences=True),
                keras.layers.Dense(1),
            ])
            trainer = bk.TruncatedBPTT(model, window=20)
            trainer.compile("adam", "mse")
            resume = bk.callbacks.Resume(folder, every=3, print_fn=lambda text: None)
            return trainer.fit(x, x, batch_size=4, epochs=epochs, verbose=0,
                               callbacks=[resume]).history["loss"]

        first = train(epochs=2)
        assert train(epochs=3)[:2] == first            # the third epoch is trained
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        every: int | datetime.timedelta = datetime.timedelta(minutes=1),
        accept: Sequence[str] = (),
        print_fn: Callable[[str], Any] = print,
    ):
        super().__init__()
        self.folder = Path(folder)
        timed = isinstance(every, datetime.timedelta)
        if not timed and not is_whole(every):
            raise TypeError(
                f"`every` must be an integer number of updates or a "
                f"datetime.timedelta. Received: every={every!r} of type "
                f"{type(every).__name__}."
            )
        if every <= (datetime.timedelta(0) if timed else 0):  # type: ignore[operator]
            raise ValueError(f"`every` must be positive. Received: every={every!r}.")
        if isinstance(accept, str) or not all(isinstance(n, str) for n in accept):
            raise TypeError(
                f"`accept` must be a list of names. Received: accept={accept!r}."
            )
        self.every = every
        self.accept = tuple(accept)
        self.print_fn = print_fn
        self.course = Course(0, None)
        self._lock: filelock.BaseFileLock | None = None
        self._signals: Signals | None = None
        self._writer = Background()
        self._following: position.Following | None = None
        self._save: saves.Save | None = None
        self._waiting: Callable[[], Any] | None = None

    # --- The start of a `fit` ----------------------------------------------------

    def begin(self, fit: Fit) -> dict[str, Any]:
        """See `Lead`."""
        given = fit.arguments["callbacks"]
        listed = isinstance(given, keras.callbacks.CallbackList)
        callbacks = given.callbacks if listed else keras.tree.flatten(given)
        check_callbacks(callbacks)
        group, self._fit = fit.group, fit
        if group is None or group.is_first:
            self._lock = taken(self.folder)
            saves.remove_unfinished(self.folder)
        self._trainer = fit.trainer
        others = [c for c in callbacks if c is not self and not of_this_run(c)]
        self._configuration = configuration(fit, others)
        save, remarks = saves.newest(self.folder)
        for remark in remarks:
            self._say(remark)
        check_whole(save, remarks, self.folder)
        if group is not None:
            known = "none" if save is None else str(save.number)
            group.require_same({f"save in {self.folder}": known})
        first = fit.arguments.get("initial_epoch") or 0
        self._number = 0 if save is None else save.number
        self._save, target = save, None
        if save is not None:
            self._accepted = accepted_differences(
                save, self._configuration, self.accept, self.folder
            )
            target = Place(*save.content["place"])
            check_epochs(fit.arguments["epochs"], target.epoch + 1, self.folder)
        self.course = Course(first, target)
        self._offset = position.offset_of(fit.x, fit.arguments.get("shuffle"))
        self._told, self._prepared = save is not None, False
        self._interval = Interval(self.every, self._updates())
        for sentence in remarks_on(fit, save):
            self._say(sentence)
        made = self._callback_list(callbacks)
        self._state = TrainingState(
            fit, self._others, save, goes_on="stop_training" in self.accept
        )
        x = fit.x if self._offset is None else self._offset
        return {"x": x, "callbacks": made}

    def _callback_list(self, callbacks: list[Any]) -> CallbackList:
        arguments = self._fit.arguments
        verbose = arguments["verbose"]
        made = CallbackList(
            callbacks,
            self,
            add_history=True,
            add_progbar=verbose != 0,
            model=self._trainer,
            verbose=verbose,
            epochs=arguments["epochs"],
            steps=None,
        )
        # A progress bar is only of its own process.
        passing = (Resume, keras.callbacks.ProgbarLogger)
        others = [c for c in made.callbacks if not isinstance(c, passing)]
        self._others = [c for c in others if not of_this_run(c)]
        if self._save is not None:
            cut_files(self._others, self._save.content["files"])
        return made

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the callbacks, of which this is the last."""
        self._signals = Signals(
            lambda: self._say("Saving, then ending. Again: ends at once.")
        )
        missing = plain.left_out(self._others)
        if missing:
            self._say(
                f"Not saved, because they are neither numbers nor arrays: "
                f"{', '.join(missing)}. Give the callback `get_state()` and "
                f"`set_state(state)`."
            )
        if self._save is not None:
            arrays = plain.Arrays(self._save.arrays.get("plain", []))
            states = self._save.content["callbacks"]
            with saves.restoring(self._save.number):
                for callback, state in zip(self._others, states, strict=True):
                    plain.restore(callback, state, arrays)
                append_to_files(self._others, self._save.content["files"])

    def on_train_end(self, logs: Any = None) -> None:
        """Refuses a save of a place that the data do not have."""
        check_arrived(self.course.target)

    # --- On the way --------------------------------------------------------------

    @property
    def passes_over(self) -> bool:
        """See `Lead`."""
        return self.course.passes_over

    def is_within(self, epoch: int) -> bool:
        """Whether training resumes within an epoch."""
        target = self.course.target
        return target is not None and not target.finished and target.epoch == epoch

    def follow(self, dataset: tf.data.Dataset) -> Any:
        """See `Lead`."""
        if self._following is not None:  # The second dataset is that of validation.
            return dataset
        replayed = position.is_replayed(self._fit.x)
        way = None if self._save is None else self._save.content["way"]
        self._following = position.Following(
            dataset, self._offset, replayed=replayed or way == position.REPLAYED
        )
        return self._following

    def step(self, run: Callable[[Any], Structure], batches: Any) -> Structure:
        """See `Lead`."""
        self.course.begin_call()
        count = self._trainer.steps_per_execution
        if not self.passes_over:
            iterator = batches.iterator()
            if not self._told:
                self._tell_of_data()
            logs = run(iterator)
            batches.taken += count
            return logs
        if not self._prepared:
            # Keras asks for metrics after each epoch, also after one without training.
            self._prepared = True
            self._fit.prepare(batches.element_spec)
        batches.pass_over(count)
        if not self.course.is_last_call:
            return {}
        self._arrive()
        return self._trainer.get_metrics_result()

    def batch_passed(self) -> None:
        """Called after a batch that was passed over."""
        if self.course.is_last_call:
            self.course.arrive()

    def epoch_passed(self) -> None:
        """Called after an epoch that was passed over."""
        if self.course.is_last_epoch:
            self._arrive()
            self.course.arrive()

    def _arrive(self) -> None:
        rate = accepted_rate(self._trainer.optimizer, self._accepted)
        self._state.restore(self._followed)
        if rate is not None:
            self._trainer.optimizer.learning_rate = rate
        self._interval = Interval(self.every, self._updates())

    @property
    def _followed(self) -> position.Following:
        if self._following is None:
            raise RuntimeError("`Resume` has no data: Keras has not asked for any.")
        return self._following

    def _tell_of_data(self) -> None:
        self._told, following = True, self._followed
        reason = following.why_not_saved()
        if following.way == position.REPLAYED:
            why = f" ({reason})" if reason else ""
            self._say(
                f"The position in these data cannot be saved{why}: a training that "
                f"resumes will draw all batches before it once more."
            )

    # --- Saving ------------------------------------------------------------------

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves, if that is due."""
        self._state.reserve()
        group = self._fit.group
        if group is not None:
            self._save_together(group)
        elif self._interrupted():
            self._write_last(self._captured(self.course.place))
        elif self._is_due():
            self._start(self._captured(self.course.place))

    def _save_together(self, group: ProcessGroup) -> None:
        """Saves, if the first process has found it due, at the same batch in all."""
        if group.has_agreed("end"):
            self._write_last(self._captured(self.course.place))
        if group.has_agreed("save"):
            self._start(self._captured(self.course.place))
        group.wish("end", self._interrupted())
        group.wish("save", group.is_first and self._is_due())

    def before_test(self) -> None:
        """Captures the state, which validation and its callbacks would change."""
        # Within `evaluate`, or in one of several processes, which end together only
        # after a batch of training.
        if self._following is None or self._fit.group is not None:
            return
        self._waiting = self._captured(self.course.place, validating=True)
        if self._interrupted():
            self._write_last(self._waiting)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves what was captured before validation, if a signal has come."""
        if self._interrupted() and self._waiting is not None:
            self._write_last(self._waiting)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if that is due or nothing follows."""
        self._waiting = None
        place = self.course.finished_place
        last = epoch + 1 >= self._fit.arguments["epochs"] or self._trainer.stop_training
        alone = self._fit.group is None
        if alone and self._interrupted():
            self._write_last(self._captured(place))
        elif last:
            self._start(self._captured(place))
            self._settle()
        elif alone and self._is_due():
            self._start(self._captured(place))

    def end(self) -> None:
        """See `Lead`."""
        self._settle()
        if self._signals is not None:
            self._signals.restore()
            self._signals = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._following = self._save = self._waiting = None
        self.course.arrive()

    def _captured(self, place: Place, *, validating: bool = False) -> Callable[[], Any]:
        """A function that writes the state of this moment."""
        if not validating:
            self._settle()  # What is being written would be overwritten.
        state = self._state.captured(place, self._followed, validating=validating)
        self._number += 1
        number, folder, known = self._number, self.folder, self._configuration
        group = self._fit.group

        def write() -> None:
            if group is not None and not group.is_first:
                return
            content, arrays = state()
            content["configuration"] = known
            save = saves.Save(number, content, arrays)
            saves.write(folder, save, self._writer.rest)

        return write

    def _start(self, write: Callable[[], Any]) -> None:
        self._settle()
        self._interval = Interval(self.every, self._updates())
        self._writer.start(write)

    def _write_last(self, write: Callable[[], Any]) -> None:
        self._start(write)
        self._settle()
        assert self._signals is not None
        self._signals.obey()

    def _settle(self) -> None:
        try:
            self._writer.wait()
        except (MemoryError, OSError) as error:
            warnings.warn(
                f"The training could not be saved in {self.folder}: {error}. It goes "
                f"on, and the save before that is kept.",
                stacklevel=2,
            )

    def _is_due(self) -> bool:
        """Whether to save now; not while the last save is still being written."""
        due = self._interval.is_over(self._updates())
        if due and self._writer.busy:
            self._writer.hurry()
            return False
        return due

    def _interrupted(self) -> bool:
        return self._signals is not None and self._signals.received is not None

    def _updates(self) -> int:
        return int(self._trainer.optimizer.iterations)

    def _say(self, text: str) -> None:
        group = self._fit.group
        if group is None or group.is_first:
            self.print_fn(text)
