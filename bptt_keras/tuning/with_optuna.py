"""Optuna as the engine of a job: it proposes values and prunes trials.

The job is the same as with KerasTuner: its state file is authoritative, and the study
is made to agree with it. So a kill loses nothing here either, and a study in a database
shows the content of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from bptt_keras.tuning.durable import DurableTuner
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs.definition import ChangedError, refuse_changes
from bptt_keras.tuning.jobs.oracle import DurableOracle
from bptt_keras.tuning.keras_tuner_internals import was_tried
from bptt_keras.tuning.optuna_internals import id_of

SAMPLERS = ("random", "tpe")
PRUNERS = ("none", "median", "asha")
# After this many repeated proposals in a row a space is considered exhausted.
_COLLISIONS = 20
# Attributes of studies and trials in a database.
_DEFINITION, _FOLDER, _TRIAL = "definition", "folder", "trial"


class OptunaOracle(DurableOracle, keras_tuner.Oracle):
    """Asks an Optuna study for values, and tells it their results.

    Args:
        sampler: `"tpe"` or `"random"`.
        pruner: `"none"`, `"median"` or `"asha"`.
        storage: URL of a database, or `None`: the study is kept in memory, and is
            rebuilt from the state of the job.
        **options: Arguments of `keras_tuner.Oracle`.
    """

    def __init__(
        self,
        sampler: str = "tpe",
        pruner: str = "none",
        storage: str | None = None,
        **options: Any,
    ):
        for name, value, known in (
            ("sampler", sampler, SAMPLERS),
            ("pruner", pruner, PRUNERS),
        ):
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. Received: "
                    f"{name}={value!r}."
                )
        super().__init__(**options)
        if not hasattr(self.objective, "direction") or isinstance(
            getattr(self.objective, "name_to_direction", None), dict
        ):
            raise ValueError("Optuna is given one objective. Received several.")
        self._sampler, self._pruner, self._storage = sampler, pruner, storage
        self._study: Any = None
        self._asked: dict[str, Any] = {}

    # --- The study ----------------------------------------------------------------

    def open(
        self,
        folder: Path,
        definition: dict[str, Any],
        check: Callable[[dict[str, Any]], None],
        **options: Any,
    ) -> str | None:
        """Resumes or starts a job, and makes the study agree with its state."""
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        damaged = super().open(folder, definition, check, **options)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=folder.name,
            load_if_exists=True,
            direction="maximize" if self.objective.direction == "max" else "minimize",
            pruner=_pruner(self._pruner),
        )
        if self._storage is not None:
            self._refuse_other_study(folder, definition)
            self._study.set_user_attr(_DEFINITION, json.dumps(definition))
            self._study.set_user_attr(_FOLDER, str(folder.resolve()))
        self._follow()
        return damaged

    def _refuse_other_study(self, folder: Path, definition: dict[str, Any]) -> None:
        """Refuses a study of the same name that belongs to another job."""
        known = self._study.user_attrs
        if not known and not self._study.trials:
            return
        where = f"the study {folder.name!r} of {self._storage}"
        if known.get(_FOLDER) != str(folder.resolve()):
            raise ChangedError(
                f"In {where} there is a job of another folder, "
                f"{known.get(_FOLDER, 'which it does not say')}. Give this one another "
                "name, or another database."
            )
        old = json.loads(known[_DEFINITION])
        # Whether the space may differ was checked against the state of the job.
        refuse_changes(old, definition, extend=True, folder=where)

    def _follow(self) -> None:
        """Makes the study agree with the state of the job."""
        states = _optuna().trial.TrialState
        there = {}
        for trial in self._study.get_trials(deepcopy=False):
            name = trial.user_attrs.get(_TRIAL)
            if name in self.trials and name not in there:
                there[name] = trial
            elif not trial.state.is_finished():
                # It was asked for just before a kill, and never began.
                self._study.tell(trial.number, state=states.FAIL)
        for name, trial in sorted(self.trials.items()):
            if name in there:
                made = self._handle(there[name])
            else:
                made = self._ask(name, trial.hyperparameters.values)
            self._asked[name] = made
            self._tell(trial, made)

    def _handle(self, frozen: Any) -> Any:
        return _optuna().trial.Trial(self._study, id_of(frozen))

    def _ask(self, name: str, values: Mapping[str, Any] | None = None) -> Any:
        """A trial of the study, with the given values or those of the sampler."""
        if values is not None:
            self._study.enqueue_trial(dict(values), skip_if_exists=False)
        # Seeded with the number alone, so that a kill does not change proposals.
        self._study.sampler = _sampler(self._sampler, self.seed + len(self.trials))
        made = self._study.ask()
        made.set_user_attr(_TRIAL, name)
        return made

    def _suggest(self, made: Any) -> dict[str, Any]:
        space = keras_tuner.HyperParameters()
        for entry in self.hyperparameters.space:
            space.merge([entry])
            if space.is_active(entry):
                space.values[entry.name] = _suggested(made, entry)
        return space.values

    def _tell(self, trial: Trial, made: Any) -> None:
        """Tells the study, once, how a trial ended."""
        states = _optuna().trial.TrialState
        known = self._study.trials[made.number]
        if known.state.is_finished():
            return
        if not known.params:
            self._suggest(made)
        self._report(made, self.facts[trial.trial_id]["curve"])
        if trial.status == oracles.COMPLETED:
            self._study.tell(made.number, trial.score)
        elif trial.status == oracles.FAILED:
            self._study.tell(made.number, state=states.FAIL)
        elif trial.status == oracles.STOPPED:
            self._study.tell(made.number, state=states.PRUNED)

    def _report(self, made: Any, curve: Sequence[float]) -> None:
        known = self._study.trials[made.number].intermediate_values
        for step, value in enumerate(curve):
            if step not in known and math.isfinite(value):
                made.report(value, step)

    # --- Called by KerasTuner -------------------------------------------------------

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values that the study proposes."""
        if self.defaults_first and not self.trials:
            return self._propose(trial_id, self.default_values())
        for _ in range(_COLLISIONS):
            answer = self._propose(trial_id)
            if answer is not None:
                return answer
        return {"status": oracles.STOPPED}

    def _propose(self, trial_id: str, values: Mapping[str, Any] | None = None) -> Any:
        """An answer for `populate_space`, or `None` if the values were tried before."""
        try:
            made = self._ask(trial_id, values)
            proposed = self._suggest(made)
            if was_tried(self, proposed):
                failed = _optuna().trial.TrialState.FAIL
                self._study.tell(made.number, state=failed)
                self._seed_offset()
                return None
        except Exception as error:
            self.error = error
            return {"status": oracles.STOPPED}
        self._asked[trial_id] = made
        return {"status": oracles.RUNNING, "values": proposed}

    def _seed_offset(self) -> None:
        # For another draw: the number of trials, on which it depends, is unchanged.
        self.seed += 10_000

    def end_trial(self, trial: Trial) -> None:
        """Ends a trial with its status, first in the state, then in the study."""
        with self._mutex:
            super().end_trial(trial)
            known = self.trials[trial.trial_id]
            if known.status != "INVALID" and trial.trial_id in self._asked:
                self._tell(known, self._asked[trial.trial_id])

    def should_prune(self, trial_id: str, curve: Sequence[float]) -> bool:
        """Whether the pruner ends a trial here."""
        made = self._asked[trial_id]
        self._report(made, curve)
        return self._pruner != "none" and made.should_prune()


class OptunaSearch(DurableTuner):
    """A job whose trials Optuna proposes, and prunes if they do worse.

    Requires the extra `optuna`. Takes the arguments of `RandomSearch`, and:

    Args:
        sampler: `"tpe"` (default) or `"random"`.
        pruner: `"none"` (default); `"median"`, which ends a trial whose objective is
            worse than the median of earlier trials at the same epoch; or `"asha"`,
            successive halving.
        storage: URL of a database in which the study is kept as well, such as
            `"sqlite:///study.db"`, for Optuna's dashboard.

    Raises:
        ModuleNotFoundError: If Optuna is not installed.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.OptunaSearch(
            Parabola(), objective, max_trials=3, pruner="median", directory="runs",
            project_name="optuna",
        )
        tuner.search(verbose=0)
        assert len(tuner.results.rows()) == 3

    Source: Akiba, Sano, Yanase, Ohta & Koyama (2019); Li et al. (2020) for ASHA.
    """

    _ORACLE = OptunaOracle

    def __init__(self, *args: Any, **kwargs: Any):
        _optuna()
        super().__init__(*args, **kwargs)


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "This engine needs Optuna: pip install 'bptt_keras[optuna]'", name="optuna"
        ) from None
    return optuna


def _sampler(name: str, seed: int) -> Any:
    samplers = _optuna().samplers
    if name == "random":
        return samplers.RandomSampler(seed=seed)
    return samplers.TPESampler(seed=seed, constant_liar=True)


def _pruner(name: str) -> Any:
    pruners = _optuna().pruners
    return {
        "none": pruners.NopPruner,
        "median": lambda: pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        "asha": lambda: pruners.SuccessiveHalvingPruner(reduction_factor=3),
    }[name]()


def _suggested(made: Any, entry: Any) -> Any:
    """Asks an Optuna trial for the value of a KerasTuner hyperparameter."""
    config = entry.get_config()
    name, kind = entry.name, type(entry).__name__
    if kind == "Choice":
        return made.suggest_categorical(name, config["values"])
    if kind == "Boolean":
        return made.suggest_categorical(name, [False, True])
    if kind == "Fixed":
        return config["value"]
    suggest = made.suggest_int if kind == "Int" else made.suggest_float
    step, sampling = config["step"], config["sampling"]
    if sampling == "log":
        return suggest(name, config["min_value"], config["max_value"], log=True)
    if step is None:
        return suggest(name, config["min_value"], config["max_value"])
    return suggest(name, config["min_value"], config["max_value"], step=step)
