"""How a tuner runs trials: attempts, executions, and their results."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from bptt_keras.backend import forgetting_gradients
from bptt_keras.tuning.hypermodel import TruncatedHyperModel
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs.execution import (
    Checkpoint,
    Execution,
    copy_weights,
    restore_model,
)
from bptt_keras.tuning.jobs.objective import refuse_unlogged
from bptt_keras.tuning.jobs.progress import Interruption, Progress, WatchedTrial
from bptt_keras.tuning.jobs.service import ChiefGoneError
from bptt_keras.tuning.keras_tuner_internals import (
    OpenTuner,
    metrics_from,
)

_BEST = "checkpoint.weights.h5"


class TrialTuner(OpenTuner):
    """The part of a tuner that trains: it asks for trials and runs them.

    Attributes:
        own_oracle: `DurableOracle` of this process. `oracle` is the one that is asked:
            either the same or a `Client` of the chief.
        seed: Seed of the first execution of a trial.
        progress: `Progress` of the running trial.
    """

    own_oracle: oracles.DurableOracle
    seed: int
    progress: Progress
    _building_seed: int | None = None

    def _look(self) -> None:
        """Called when a trial begins or ends."""

    def _trials(self, args: tuple, kwargs: dict[str, Any]) -> None:
        while True:
            self.pre_create_trial()
            trial = self.oracle.create_trial(self.tuner_id)
            if trial.status == oracles.STOPPED:
                return
            if trial.status == oracles.IDLE:
                time.sleep(1.0)
                continue
            with forgetting_gradients():
                proceed = self._attempt(trial, args, kwargs)
                keras.backend.clear_session()
            if not proceed:
                return

    def _attempt(self, trial: Trial, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Runs a trial and ends it. Returns False if no more trials should run."""
        self.on_trial_begin(trial)
        self._look()
        with Progress(self.oracle, self.tuner_id, trial.trial_id) as progress:
            self.progress, metrics, cause = progress, None, ""
            try:
                metrics = self._metrics(trial, args, kwargs)
                trial.status = oracles.COMPLETED
            except Interruption as interruption:
                if interruption.reason == "pruned":
                    trial.status = oracles.STOPPED
                elif interruption.reason == "lost":
                    return True
                else:
                    progress.end("cut")
                    self._look()
                    return False
            except (ChiefGoneError, PermissionError):
                # The trial did not cause this.
                raise
            except keras_tuner.errors.FatalError as error:
                self._write_error(trial)
                progress.end("fatal", cause=_cause(error))
                raise
            except Exception as error:
                failed = isinstance(error, keras_tuner.errors.FailedTrialError)
                trial.status = oracles.FAILED if failed else "INVALID"
                cause = _cause(error)
                trial.message = cause
                self._write_error(trial)
            if not progress.end(cause=cause):
                return True
        if metrics is not None:
            self.oracle.update_trial(trial.trial_id, metrics)
        self.on_trial_end(trial)
        self._look()
        return True

    def _metrics(
        self, trial: Trial, args: tuple, kwargs: dict[str, Any]
    ) -> dict[str, float]:
        """Means over the executions of the metrics of their best epochs."""
        objective = self.own_oracle.objective
        results = self.run_trial(trial, *args, **kwargs)
        metrics = metrics_from(results, objective, "Tuner.run_trial()")
        metrics = {name: float(value) for name, value in metrics.items()}
        value = objective.get_value(metrics)
        if not abs(value) < float("inf"):
            raise keras_tuner.errors.FailedTrialError(
                f"the objective is not a number: {value}"
            )
        return {objective.name: value, **metrics}

    def run_trial(
        self, trial: Trial, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Trains the model of a trial `executions_per_trial` times.

        Returns:
            Metrics of the best epoch of each execution.
        """
        found: list[dict[str, Any]] = []
        objective = self.own_oracle.objective
        for number in range(self.executions_per_trial):
            execution = Execution(
                Path(self.get_trial_dir(trial.trial_id)) / f"execution{number}",
                objective,
                self.progress,
                self.seed + number,
                reports=number == 0,
                earlier=map(objective.get_value, found),
            )
            metrics = execution.result()
            if metrics is None:
                metrics = self.execute(trial, execution, *args, **kwargs)
                execution.done(metrics)
            found.append(metrics)
            self.progress.seeds.append(objective.get_value(metrics))
            self.progress.check()
        return found

    def execute(
        self, trial: Trial, execution: Execution, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Trains once, from the checkpoint of the execution if there is one.

        Args:
            trial: `keras_tuner.engine.trial.Trial`.
            execution: `Execution`.
            *args: As for `search`.
            **kwargs: As for `search`.

        Returns:
            Metrics of the best epoch, `{name: value}`.
        """
        values = trial.hyperparameters.values
        epochs = values.get("tuner/epochs", kwargs.get("epochs", 1))
        self._begin_from_earlier(trial, execution)
        self._building_seed = execution.seed
        model = self.checked_model(trial.hyperparameters)
        callbacks = self.copied_callbacks(kwargs.pop("callbacks", None) or [])
        self.direct_tensorboard(callbacks, trial, execution=execution.folder.name)
        best = Path(self.weights_file(trial.trial_id))
        logged = not self.has_own_fit
        checkpoint = Checkpoint(execution, best, callbacks, logged=logged)
        done = checkpoint.restore(model)
        if done and execution.reports:
            # A kill may have lost the last value.
            self.progress.epoch(checkpoint.values)
        results = None
        if done < epochs and not checkpoint.stopped:
            kwargs |= {"initial_epoch": done, "epochs": epochs}
            watched = WatchedTrial(self.progress)
            kwargs["callbacks"] = [*callbacks, watched, checkpoint]
            results = self.hypermodel.fit(trial.hyperparameters, model, *args, **kwargs)
        return self._best_of(checkpoint, results)

    @property
    def has_own_fit(self) -> bool:
        """Whether the hypermodel overrides `fit`, which may return the objective."""
        fit = getattr(type(self.hypermodel), "fit", None)
        return fit not in (keras_tuner.HyperModel.fit, TruncatedHyperModel.fit)

    def _begin_from_earlier(self, trial: Trial, execution: Execution) -> None:
        """Continues where the trial of the previous round of Hyperband ended."""
        earlier = trial.hyperparameters.values.get("tuner/trial_id")
        if not earlier or execution.checkpoint.is_dir():
            return
        best = Path(self.weights_file(trial.trial_id))
        kept = Path(self.weights_file(earlier))
        if kept.is_file() and not best.is_file():
            # It may be that no epoch of this round is better.
            copy_weights(kept, best)
        folder = Path(self.get_trial_dir(earlier)) / execution.folder.name
        objective, progress = execution.objective, execution.progress
        execution.begin_from(Execution(folder, objective, progress, 0, reports=False))

    def made_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The model that the hypermodel builds, with the seed of this execution."""
        # The seed is set here since KerasTuner has just cleared the session and seed.
        if self._building_seed is not None:
            keras.utils.set_random_seed(self._building_seed)
        return super().made_model(hp)

    def _best_of(self, checkpoint: Checkpoint, results: Any) -> dict[str, Any]:
        objective = self.own_oracle.objective
        logged = [logs for logs in checkpoint.history if objective.has_value(logs)]
        if logged:
            best = logged[0]
            for logs in logged[1:]:
                value = objective.get_value(logs)
                if objective.better_than(value, objective.get_value(best)):
                    best = logs
            # The joint name of several objectives is not in the logs.
            return {objective.name: objective.get_value(best), **best}
        returned = results is not None and not isinstance(
            results, keras.callbacks.History
        )
        if checkpoint.history and not returned:
            refuse_unlogged(objective, checkpoint.history[-1])
        return metrics_from(results, objective, "HyperModel.fit()")

    def load_model(self, trial: Trial) -> keras.Model:
        """The model of a trial, with the weights of its best epoch."""
        model = self.checked_model(trial.hyperparameters)
        weights = Path(self.weights_file(trial.trial_id))
        restore_model(model, weights, weights.with_name("build_config.json"))
        return model

    def weights_file(self, trial_id: str) -> str:
        """Path of the weights of the best epoch of a trial."""
        return os.path.join(self.get_trial_dir(trial_id), _BEST)

    def _write_error(self, trial: Trial) -> None:
        path = Path(self.get_trial_dir(trial.trial_id)) / "error.txt"
        path.write_text(traceback.format_exc(), "utf-8")


def _cause(error: Exception) -> str:
    """An exception in one line."""
    words = " ".join(str(error).split())
    if isinstance(error, keras_tuner.errors.FailedTrialError):
        return words
    return f"{type(error).__name__}: {words}"[:300]
