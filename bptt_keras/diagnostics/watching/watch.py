"""`TrainingWatch`: looks at a training run every few epochs and reports findings."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.activity import prepare_activity
from bptt_keras.diagnostics.measuring.bias import prepare_bias
from bptt_keras.diagnostics.measuring.data import load, timed_shape
from bptt_keras.diagnostics.measuring.measure import PreparedFlow, prepare_flow
from bptt_keras.diagnostics.measuring.problem import inner
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias
from bptt_keras.diagnostics.watching import findings
from bptt_keras.diagnostics.watching.changes import news
from bptt_keras.diagnostics.watching.looks import (
    Look,
    look_from_values,
    look_to_values,
    write_looks,
)
from bptt_keras.keras_internals import is_seed
from bptt_keras.training.clipping.optimizer import (
    find_clipped,
    innermost,
    own_clipping,
)

# The full gradient is taken over this many windows, or over this many timesteps if that
# is more and the data have them.
_WINDOWS, _LONGEST = 3, 400


class TrainingWatch(keras.callbacks.Callback):
    """Diagnoses a training run every few epochs and warns in words.

    It looks before the first update (or, if the model has no weights yet, after the
    first batch), then every `every` epochs, and at the end. Each look examines how
    gradients flow (`gradient_flow`), whether the gradient of a window points the wrong
    way (`truncation_bias` of the trainer's window, unless windows overlap or have
    random lengths), the activity of units and gates (`activity`), and the gradient
    norms and clipping in the logs. A finding is printed when it is new, once per kind,
    and retracted when a later look no longer finds it.

    Before training it reports problems that exist already: gradients that explode, are
    not finite or point the wrong way, and units that are dead or saturated. How far
    gradients reach, and so whether a window is too long or too short, changes as a
    network learns; it is reported after the first epoch (immediately in a `fit` with
    `initial_epoch`). A window is too long if a shorter one, measured beside it, is
    within 10 % of the full gradient, and "biased" if it is off by 30 % or more.

    Args:
        data: `(x, y)`, arrays `(rows, time, ...)`, or a `tf.data.Dataset` of such
            batches, as for `gradient_flow`. A few rows are enough. To judge the
            direction of a window they must be longer than the window, preferably three
            times as long; batches of a stream are joined to that length.
        every: Epochs between two looks, an integer >= 1. Default: 1.
        longest: Largest lag that is measured, as for `gradient_flow`.
        path: JSON file that is rewritten after each look, or `None`. Its folder is
            created if necessary.
        print_fn: Function of a string. Default: `print`.

    Attributes:
        looks: List of `bptt_keras.diagnostics.Look`.

    Raises:
        ValueError: If the data or the model cannot be diagnosed (when training
            begins).

    A `fit` that resumes (`initial_epoch`) with the same callback adds to its looks.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.SimpleRNN(4, return_sequences=True, activation="linear",
                recurrent_initializer=keras.initializers.Identity(1.5)),
            keras.layers.Dense(1),
        ])
        trainer = bk.TruncatedBPTT(model, window=10)
        trainer.compile(keras.optimizers.SGD(1e-9), "mse")
        x = np.random.default_rng(0).normal(size=(4, 40, 1)).astype("float32")
        watch = bk.callbacks.TrainingWatch((x, x))
        trainer.fit(x, x, verbose=0, callbacks=[watch])
        assert "exploding" in [found.kind for found in watch.looks[0].findings]
    """

    def __init__(
        self,
        data: Any,
        *,
        every: int = 1,
        longest: int | None = None,
        path: str | os.PathLike | None = None,
        print_fn: Callable[[str], Any] = print,
    ):
        super().__init__()
        self.data = data
        self.every = whole("every", every, unit="epochs")
        self.longest = longest
        self.path = None if path is None else Path(path)
        self.print_fn = print_fn
        self.looks: list[Look] = []
        # The result of `_prepared`, once training has begun.
        self._measures: Any = None
        self._ended: tuple[int, dict[str, float]] = (0, {})

    def get_state(self) -> dict[str, Any]:
        """The looks so far, for a training that is resumed."""
        looks = [look_to_values(look) for look in self.looks]
        return {"looks": looks, "ended": self._ended}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on after the looks of another `TrainingWatch`.

        Args:
            state: What its `get_state` returned.
        """
        self.looks = [look_from_values(look) for look in state["looks"]]
        self._ended = state["ended"]

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Prepares for a training run."""
        self._measures, self._ended = None, (0, {})

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Takes the first look, if there are weights."""
        if self._measures is None:
            # A training run that resumes keeps its earlier looks.
            self.looks = [look for look in self.looks if epoch and look.epoch <= epoch]
            self._ended = (epoch, {})
            if inner(self.model).built:
                self._begin()

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Takes the first look at a model that had no weights before."""
        if self._measures is None:
            self._begin()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Takes a look, if one is due."""
        if self._measures is None:
            # Training resumed after the epoch's last batch.
            self._begin()
        scalars = {k: float(v) for k, v in (logs or {}).items() if np.ndim(v) == 0}
        self._ended = (epoch + 1, scalars)
        if (epoch + 1) % self.every == 0:
            self._look()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Takes the last look, unless the last epoch already ended with one."""
        if self._measures is not None and self._ended[0] != self.looks[-1].epoch:
            self._look()

    def _begin(self) -> None:
        with _same_seeds(inner(self.model)):
            self._measures = self._prepared()
        if not self.looks:
            self._look()

    def _look(self) -> None:
        with _same_seeds(inner(self.model)):
            self._take_look()

    def _take_look(self) -> None:
        epoch, logs = self._ended
        measure_flow, measure_bias, look_at_units = self._measures
        flow, activity, window = measure_flow(), look_at_units(), self._window()
        ends = measure_flow.ends
        shorter = findings.shorter(flow, window, ends=ends) if epoch else None
        bias = self._bias(measure_bias, window, shorter)
        before = self.looks[-1].logs if self.looks else {}
        found = [
            *findings.of_flow(flow, window, ends=ends, bias=bias),
            *([] if bias is None else findings.of_bias(bias)),
            *findings.of_activity(activity),
            *findings.of_logs(logs, before, _clips(self.model.optimizer)),
            *self._unjudged(window),
        ]
        if not epoch:
            found = findings.before_training(found)
        # Gradients and logs may show the same.
        found = list({finding.kind: finding for finding in reversed(found)}.values())
        found.reverse()
        told = len(news(self.looks))
        self.looks.append(Look(epoch, flow, bias, activity, logs, found))
        for when, finding in news(self.looks)[told:]:
            # The progress bar's line is not finished yet.
            self.print_fn(f"\n{when}, {finding}")
        if self.path is not None:
            write_looks(self.path, self.looks)

    def _window(self) -> int | None:
        """Timesteps of the current window; `None` if gradients reach all timesteps.

        Windows of random length have no length to judge.
        """
        schedule: Any = getattr(self.model, "truncation", None)
        known = schedule is not None and schedule.uniform
        return schedule.window if known else None

    def _bias(
        self,
        measure: Callable[..., TruncationBias],
        window: int | None,
        shorter: int | None,
    ) -> TruncationBias | None:
        """`TruncationBias` of the window if windows do not overlap, else `None`."""
        overlaps = window is not None and self.model.truncation.lead > 0
        if window is None or overlaps or window >= self._length:
            return None
        return measure([window] if shorter is None else [shorter, window])

    def _unjudged(self, window: int | None) -> list[findings.Finding]:
        if window is None or window < self._length:
            return []
        words = (
            f"The data are {self._length} timesteps long and the window is {window}: "
            "whether its gradient points the right way is not judged. Give longer data."
        )
        return [findings.Finding("not judged", "note", words)]

    def _prepared(self) -> tuple[PreparedFlow, Callable, Callable]:
        """Functions that measure flow, bias and activity, all on the same timesteps."""
        window = self._window() or 0
        steps = max((self.longest or 100) + 4, _WINDOWS * window)
        data = load(inner(self.model), self.data, steps)
        flow = prepare_flow(self.model, data, longest=self.longest)
        _, length = timed_shape(inner(self.model), data[0])
        self._length = min(length, max(steps, _LONGEST))
        bias = prepare_bias(self.model, data, longest=self._length, cost=False)
        return flow, bias, prepare_activity(self.model, data)


@contextlib.contextmanager
def _same_seeds(model: keras.Model) -> Iterator[None]:
    """Within: dropout may draw; the training goes on as if it had not."""
    seeds = [variable for variable in model.variables if is_seed(variable)]
    before = [seed.numpy() for seed in seeds]
    try:
        yield
    finally:
        for seed, value in zip(seeds, before, strict=True):
            seed.assign(value)


def _clips(optimizer: Any) -> bool:
    clipped = find_clipped(optimizer)
    if clipped is not None:
        return bool(clipped.clipping)
    return own_clipping(innermost(optimizer)) is not None
