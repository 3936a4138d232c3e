"""KerasTuner's oracles with a state that survives kills, and with strict limits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trials

from bptt_keras.tuning.jobs.state import check_state, restoring
from bptt_keras.tuning.jobs.store import Store
from bptt_keras.tuning.keras_tuner_internals import (
    OpenOracle,
    waiting_trials,
)

STATE = "job.json"
# A trial whose process dies this many times without progress has failed.
DEATHS = 5
# Seconds of silence after which the trial of a worker is given to another.
SILENCE = 60.0
RUNNING, IDLE, STOPPED = "RUNNING", "IDLE", "STOPPED"
COMPLETED, FAILED = "COMPLETED", "FAILED"


class DurableOracle(OpenOracle):
    """Mixin for KerasTuner's oracles: one state file, and every trial ends once.

    The search is that of the oracle. This class adds the following: the whole state
    (trials, random state, who works on what) is one file that is replaced after every
    event; a trial whose worker is gone is assigned again, under the same name, to
    resume from its checkpoint; a result that arrives twice, or from a worker that lost
    its trial, counts once; the job has a time limit; and a trial that fails does not
    end the job.

    Attributes:
        facts: `{trial: what happened to it}`, for tables: `worker`, `attempts`,
            `deaths`, `seconds`, `cause`, `curve` and `seeds`.
        defaults_first: Whether the first trial has the default values.
        budget: Seconds that the job may take, or `None`.
        clients: `{worker: time when it was last heard from}`.
    """

    hyperparameters: keras_tuner.HyperParameters

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.defaults_first = False
        self.facts: dict[str, dict[str, Any]] = {}
        self.clients: dict[str, float] = {}
        self.budget: float | None = None
        self.error: Exception | None = None
        self._mutex = threading.RLock()
        self._store: Store | None = None
        self._definition: dict[str, Any] = {}
        self._exhausted = False
        self._spent = 0.0
        self._began: float | None = None
        self._written = 0.0
        self.verbose = 0

    # --- The file -----------------------------------------------------------------

    def open(
        self,
        folder: Path,
        definition: dict[str, Any],
        check: Callable[[dict[str, Any]], None],
        *,
        local: bool = True,
    ) -> str | None:
        """Resumes the job in a folder, or starts a new one.

        Args:
            folder: Folder of the job.
            definition: Definition of the job, for JSON.
            check: Called with the stored definition; raises if the job may not resume.
            local: Whether all workers of an earlier run are gone, so that their trials
                are assigned again immediately.

        Returns:
            A sentence about a damaged file, or `None`.
        """
        store = Store(folder / STATE)
        self._definition = definition
        damaged = None
        if store.exists():
            state, damaged = store.read()
            with restoring(store.path):
                check_state(state)
            check(state["definition"])
            space = self.hyperparameters
            with restoring(store.path):
                self.set_state(state)
            if state["definition"]["space"] != definition["space"]:
                # Extended. Otherwise the stored space has what trials added to it.
                self.hyperparameters = space
            for worker in list(self.ongoing_trials):
                if local:
                    self._release(worker)
                else:
                    # Its silence is counted from now.
                    self._heard(worker)
        self.error, self._exhausted = None, False
        self._store = store
        self._began = time.monotonic()
        self.save()
        return damaged

    def read(self, folder: Path) -> None:
        """Reads the job in a folder without resuming it."""
        store = Store(folder / STATE)
        state, _ = store.read()
        with restoring(store.path):
            check_state(state)
            self._definition = state["definition"]
            self.set_state(state)

    def get_state(self) -> dict[str, Any]:
        """The whole state of the job, for JSON."""
        return {
            **super().get_state(),
            "definition": self._definition,
            "trials": [entry.get_state() for entry in self.trials.values()],
            "facts": self.facts,
            "spent": self.spent,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state that `get_state` returned."""
        self.trials = {
            entry["trial_id"]: trials.Trial.from_state(entry)
            for entry in state["trials"]
        }
        # KerasTuner may have saved a trial just before it had any.
        known = state["facts"]
        self.facts = {n: _no_facts() | known.get(n, {}) for n in self.trials}
        self._spent = state["spent"]
        super().set_state(state)

    def save(self) -> None:
        """Writes the state; KerasTuner also calls it in the middle of an event."""
        if self._store is not None:
            self._store.write(self.get_state())
            self._written = time.monotonic()

    # --- Time ---------------------------------------------------------------------

    @property
    def spent(self) -> float:
        """Seconds that the job has taken, including those before a kill."""
        since = 0.0 if self._began is None else time.monotonic() - self._began
        return self._spent + since

    @property
    def seconds_left(self) -> float:
        """Seconds left of the budget; infinite without one."""
        return math.inf if self.budget is None else self.budget - self.spent

    def looking(self) -> AbstractContextManager:
        """Blocks changes by workers: `with oracle.looking(): ...`."""
        return self._mutex

    @property
    def working(self) -> bool:
        """Whether a worker has a trial."""
        return bool(self.ongoing_trials)

    @property
    def finished(self) -> bool:
        """Whether no trial is left to begin or resume, and none is running."""
        full = self.max_trials and len(self.trials) >= self.max_trials
        with self._mutex:
            waiting = self.ongoing_trials or waiting_trials(self)
            return bool((full or self._exhausted) and not waiting)

    # --- Trials -------------------------------------------------------------------

    def create_trial(self, tuner_id: str) -> trials.Trial:
        """A trial for a worker: its own, interrupted; a waiting one; or a new one."""
        with self._mutex:
            self._heard(tuner_id)
            if self.seconds_left <= 0 or self.error is not None:
                return self._stopped()
            mine = self.ongoing_trials.get(tuner_id)
            # A worker that asks twice because the answer was slow has not died.
            again = mine is not None and self.facts[mine.trial_id]["begun"]
            trial = super().create_trial(tuner_id)
            if trial.status == STOPPED:
                self._exhausted = True
            if trial.status == RUNNING:
                facts = self.facts.setdefault(trial.trial_id, _no_facts())
                facts |= {"worker": tuner_id, "cut": False, "begun": False}
                if again:
                    facts["deaths"] += 1
                facts["attempts"] += 1
                if facts["deaths"] >= DEATHS:
                    trial.status, trial.message = FAILED, _died(facts["deaths"])
                    facts["cause"] = trial.message
                    self.end_trial(trial)
                    return self.create_trial(tuner_id)
                self.save()
            return trial

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes the values of a new trial.

        An error of the oracle ends the job, and is kept.
        """
        try:
            if self.defaults_first and not self.trials:
                return {"status": RUNNING, "values": self.default_values()}
            return super().populate_space(trial_id)
        except Exception as error:
            self.error = error
            return {"status": STOPPED}

    def default_values(
        self, given: Mapping[str, Any] | Iterable = ()
    ) -> dict[str, Any]:
        """The default values of the hyperparameters that these values make active.

        Args:
            given: Values that replace defaults, `{name: value}`.
        """
        given = dict(given)
        space = keras_tuner.HyperParameters()
        # One after another, because a condition depends on earlier values.
        for entry in self.hyperparameters.space:
            space.merge([entry])
            if space.is_active(entry):
                space.values[entry.name] = given.get(entry.name, entry.default)
        return space.values

    def report(
        self,
        worker: str,
        trial_id: str | None,
        attempt: int | None = None,
        *,
        kind: str = "beat",
        **news: Any,
    ) -> dict[str, Any]:
        """Receives a worker's report on its trial, and answers what it should do.

        Args:
            worker: Name of the worker.
            trial_id: The trial, or `None` if the worker only reports that it is alive.
            attempt: Number of the attempt in progress; `None` when it begins.
            kind: `"begin"`, `"beat"`, `"epoch"`, `"cut"`, `"end"`, or `"fatal"` for an
                error that would occur in every trial and ends the job.
            **news: `curve`, `seeds`, `seconds` or `cause`, which are kept.

        Returns:
            `{"attempt": number, "left": seconds or None, "stop": reason or None}`.
        """
        with self._mutex:
            self._heard(worker)
            left = self.seconds_left
            answer: dict[str, Any] = {
                "attempt": attempt,
                "stop": None,
                "left": _finite(left),
            }
            if trial_id is None:
                return answer
            facts = self.facts[trial_id]
            mine = self.ongoing_trials.get(worker)
            owns = mine is not None and mine.trial_id == trial_id
            if not owns or attempt not in (None, facts["attempts"]):
                return {**answer, "stop": "lost"}
            if kind == "epoch" and len(news["curve"]) > len(facts["curve"]):
                facts["deaths"] = 0
            facts.update(news)
            facts["begun"] = True
            if kind == "fatal":
                self.error = keras_tuner.errors.FatalError(facts["cause"])
                facts["cause"] = ""
            if kind in ("cut", "fatal"):
                facts["cut"] = kind == "cut"
                self._release(worker)
                self.save()
            elif time.monotonic() - self._written > 1:
                self.save()
            if left <= 0:
                answer["stop"] = "budget"
            elif kind == "epoch" and self.should_prune(trial_id, news["curve"]):
                answer["stop"] = "pruned"
            return {**answer, "attempt": facts["attempts"]}

    def should_prune(self, trial_id: str, curve: Sequence[float]) -> bool:
        """Whether a trial should end here; KerasTuner's oracles never say so."""
        return False

    def end_trial(self, trial: trials.Trial) -> None:
        """Ends a trial with its status; a trial that has ended is not changed."""
        with self._mutex:
            worker = self._worker_of(trial.trial_id)
            if worker is None:
                return
            known = self.trials[trial.trial_id]
            facts = self.facts[trial.trial_id]
            if trial.status == COMPLETED and not known.metrics.exists(
                self.objective.name
            ):
                # The result was lost: the trial resumes from its checkpoint.
                self._release(worker)
                self.save()
                return
            cause = trial.message or facts["cause"]
            if not set(trial.hyperparameters.values) - set(
                known.hyperparameters.values
            ):
                # The order of the space was lost on the way here.
                trial.hyperparameters = known.hyperparameters
            if trial.status != COMPLETED and cause:
                facts["cause"] = cause.strip().splitlines()[-1]
            trial.message = cause
            super().end_trial(trial)
            # KerasTuner removes it, unless the trial was assigned again.
            self.ongoing_trials.pop(worker, None)
            if known.status == FAILED and not facts["cause"]:
                facts["cause"] = "the objective is not a number"
            self.save()

    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> trials.Trial:
        """Replaces the metrics of a trial."""
        with self._mutex:
            trial = self.trials[trial_id]
            if self._worker_of(trial_id) is None:
                return trial
            before, trial.metrics = trial.metrics, type(trial.metrics)()
            try:
                super().update_trial(trial_id, metrics, step)
            except BaseException:
                trial.metrics = before
                raise
            # So a chief that is killed before the end of the trial still has them.
            self.save()
            return trial

    def get_best_trials(self, num_trials: int = 1) -> list[trials.Trial]:
        """The best completed trials, best first.

        KerasTuner would add others, which may have no weights.
        """
        best = super().get_best_trials(num_trials)
        return [trial for trial in best if trial.status == COMPLETED]

    def release_silent(self, silence: float = SILENCE) -> list[str]:
        """Takes the trials away from workers that have been silent for too long.

        Returns:
            The names of these workers.
        """
        with self._mutex:
            late = time.monotonic() - silence
            lost = [w for w in self.ongoing_trials if self.clients.get(w, 0.0) < late]
            for worker in lost:
                self.died(worker)
            return lost

    def died(self, worker: str) -> None:
        """Makes the trial of a dead worker, if it had one, available again."""
        with self._mutex:
            trial = self.ongoing_trials.get(worker)
            if trial is not None:
                self.facts[trial.trial_id]["deaths"] += 1
                self._release(worker)
                self.save()

    def _release(self, worker: str) -> None:
        trial = self.ongoing_trials.pop(worker)
        # The list is taken from its end, so this trial comes last.
        waiting_trials(self).insert(0, trial.trial_id)

    def _worker_of(self, trial_id: str) -> str | None:
        for worker, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                return worker
        return None

    def _heard(self, worker: str) -> None:
        self.clients[worker] = time.monotonic()

    def _stopped(self) -> trials.Trial:
        return trials.Trial(self.get_space(), trial_id="", status=STOPPED)


def _no_facts() -> dict[str, Any]:
    return {
        "worker": "",
        "begun": False,
        "attempts": 0,
        "deaths": 0,
        "cut": False,
        "seconds": 0.0,
        "cause": "",
        "curve": [],
        "seeds": [],
    }


def _died(times: int) -> str:
    return f"its process died {times} times without finishing an epoch"


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds
