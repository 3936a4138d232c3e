"""Reports of a worker about its running trial, and the answers to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import keras

BEAT = 5.0


class Interruption(BaseException):
    """Ends a trial through no fault of its own. `except Exception` does not catch it.

    Attributes:
        reason: `"budget"`, `"pruned"` or `"lost"`.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class Progress:
    """Reports one attempt at a trial; a thread reports that the worker is alive.

    Args:
        oracle: `DurableOracle`, or the `Client` of one.
        worker: Name of the worker.
        trial_id: The trial.

    Attributes:
        seconds: Time that the trial has taken, over all attempts.
        seeds: Objective of each finished execution.
        curve: The objective after each reported epoch.
    """

    def __init__(self, oracle: Any, worker: str, trial_id: str):
        self._oracle, self._worker, self._trial = oracle, worker, trial_id
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._before = 0.0
        self._answer: dict[str, Any] = {}
        self._deadline: float | None = None
        self._error: Exception | None = None
        self._over = threading.Event()
        self.curve: list[float] = []
        self.seeds: list[float] = []
        self._accept(oracle.report(worker, trial_id, kind="begin"))
        self._attempt = self._answer["attempt"]
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def goes_on_after(self, seconds: float) -> None:
        """Sets how long the trial took before this attempt."""
        self._before = seconds

    def check(self) -> None:
        """Ends the trial if it should end; call it often.

        Raises:
            Interruption: If the trial should end, with the reason.
        """
        if self._error is not None:
            raise self._error
        reason = self._answer.get("stop")
        if reason is None and self._deadline and time.monotonic() >= self._deadline:
            reason = "budget"
        if reason is not None:
            raise Interruption(reason)

    def epoch(self, curve: Sequence[float]) -> None:
        """Reports the objective after each epoch of the first execution so far.

        Args:
            curve: The objective after every epoch, including those before a kill.

        Raises:
            Interruption: If the trial should end here.
        """
        self.tell(curve)
        self.check()

    def tell(self, curve: Sequence[float]) -> None:
        """Reports a curve without ending the trial."""
        self.curve = list(curve)
        self._send("epoch", curve=self.curve)

    def end(self, kind: str = "end", **news: Any) -> bool:
        """Reports how the attempt ended.

        Args:
            kind: `"end"`, `"cut"` or `"fatal"`.
            **news: Values to keep, such as `cause`.

        Returns:
            Whether the trial still belongs to this worker.
        """
        self._send(kind, seeds=list(self.seeds), **news)
        return self._answer["stop"] != "lost"

    def _send(self, kind: str, **news: Any) -> None:
        # One call at a time, so that answers arrive in order.
        with self._lock:
            news |= {"seconds": round(self.seconds, 2)}
            self._accept(
                self._oracle.report(
                    self._worker, self._trial, self._attempt, kind=kind, **news
                )
            )

    def _accept(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        left = answer["left"]
        self._deadline = None if left is None else time.monotonic() + left

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            try:
                self._send("beat")
            except Exception as error:  # raised where the trial runs, by `check`
                self._error = error
                return


class WatchedTrial(keras.callbacks.Callback):
    """Ends a trial at its next batch when its time is up.

    The tuners add it to every `fit`. You only need it if you write your own `execute`.

    Args:
        progress: The tuner's `progress`.

    Example:
        import bptt_keras as bk

        class OwnSearch(bk.tuning.RandomSearch):
            def execute(self, trial, execution, **kwargs):
                watched = bk.tuning.WatchedTrial(self.progress)
                history = train(trial.hyperparameters, callbacks=[watched])
                return {execution.objective.name: min(history["val_loss"])}
    """

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Ends the trial if it should end."""
        self._progress.check()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the trial if it should end."""
        self._progress.check()
