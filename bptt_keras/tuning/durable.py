"""A job: a tuner whose search resumes after a kill, with a time limit and workers."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import Any

import filelock
import keras
import keras_tuner

from bptt_keras.files import refuse_links
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs.definition import (
    describe_data,
    describe_space,
    refuse_changes,
)
from bptt_keras.tuning.jobs.hosting import serve, supervise
from bptt_keras.tuning.jobs.objective import check_search, names_of
from bptt_keras.tuning.jobs.roles import Role
from bptt_keras.tuning.jobs.service import PATIENCE, Client
from bptt_keras.tuning.jobs.workers import end_with_parent
from bptt_keras.tuning.results import Results, TuningError
from bptt_keras.tuning.trials import TrialTuner

_LOCK = "job.lock"


class DurableTuner(TrialTuner):
    """The base class of the tuners. See `RandomSearch` for the arguments.

    `search(*args, **kwargs)` takes the arguments of `fit`, as in KerasTuner. A
    `kill -9` of any process at any time loses nothing: create the same tuner and call
    `search` again.
    """

    _ORACLE: type
    _RESULTS: type = Results

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = "val_loss",
        *,
        directory: str | os.PathLike | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        extend: bool = False,
        executions_per_trial: int = 1,
        seed: int = 0,
        budget: float | None = None,
        workers: int | None = None,
        defaults_first: bool = False,
        secret: str | None = None,
        patience: float = PATIENCE,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        max_model_size: int | None = None,
        **options: Any,
    ):
        _check(executions_per_trial, seed, budget, workers, patience)
        self.role = Role.of_this_process(secret)
        self._supervised = self.role.kind == "worker" and end_with_parent()
        if self.role.kind == "worker":
            overwrite = False
        # KerasTuner treats a seed of 0 as no seed.
        made = self._ORACLE(
            objective=objective,
            seed=seed + 1,
            hyperparameters=hyperparameters,
            **options,
        )
        made.defaults_first = defaults_first
        made.budget = None if budget is None else 60.0 * budget
        self.seed, self.workers = seed, workers
        self._extend, self._patience = extend, patience
        self._options = options
        self.own_oracle = made
        self.results = self._RESULTS(self)
        self._lock: Any = None
        super().__init__(
            oracle=made,
            hypermodel=hypermodel,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
            executions_per_trial=executions_per_trial,
            max_model_size=max_model_size,
        )
        self.folder = Path(self.project_dir)
        self.tuner_id = self.role.name
        # Only `search` asks a chief.
        self.oracle = made

    # --- What KerasTuner's base class would keep in its own files -------------------

    def tuner_file(self) -> str:
        """A path where there is no file."""
        # Without a file the space is always created anew, and then compared.
        return os.path.join(self.project_dir, "tuner.json")

    def save(self) -> None:
        """Writes the state of the job, if this process holds it."""
        self.own_oracle.save()

    def reload(self) -> None:
        """Reads the state of the job again."""
        self._open_to_read()

    # --- The search -----------------------------------------------------------------

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Runs trials until there are no more, or the time is up.

        Args:
            *args: As for `fit` of the model.
            **kwargs: As for `fit` of the model. `verbose=0` also silences the lines
                about trials.

        Raises:
            ChangedError: If the folder holds a job with another space, objective,
                data or setting.
            DamagedError: If its state cannot be read.
            TuningError: If all trials failed, or another process is running this job.
            ValueError: If `fit` could not log the objective, or there is a link in the
                folder.
        """
        args, kwargs = _named(self.hypermodel, args, kwargs)
        self.results.verbose = kwargs.get("verbose", 1) != 0
        check_search(self, args, kwargs)
        if self.role.kind == "worker":
            return self._work(args, kwargs)
        self._begin(self._describe(args, kwargs))
        try:
            if self.role.kind == "chief":
                serve(self.own_oracle, self.role, self._look)
            elif self.workers is not None:
                supervise(self.own_oracle, self.workers, self._look)
            else:
                self._train(args, kwargs)
        finally:
            self.results.look()
            self._lock.release()
        self.results.conclude()

    def _describe(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Describes the job, for JSON: a change in the description is refused."""
        objective = self.own_oracle.objective
        unlimited = {k: v for k, v in self._options.items() if k != "max_trials"}
        given = {k: v for k, v in kwargs.items() if k not in ("verbose", "callbacks")}
        extra = getattr(self.hypermodel, "definition", None)
        return {
            "tuner": type(self).__name__,
            "space": describe_space(self.own_oracle.get_space()),
            "objective": " and ".join(names_of(objective)),
            "seed": self.seed,
            "executions_per_trial": self.executions_per_trial,
            "options": describe_data(unlimited),
            "data": describe_data([*args]),
            "fit": describe_data(given),
            **(extra() if extra else {}),
        }

    def _begin(self, definition: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        refuse_links(self.folder, _LOCK, "*.json", ".*", "trial_*")
        self._lock = filelock.FileLock(self.folder / _LOCK)
        try:
            # The workers of a killed process end within seconds.
            self._lock.acquire(timeout=1)
        except filelock.Timeout:
            raise TuningError(
                f"Another process runs the job in {self.folder}. Wait for its end, or "
                "end it."
            ) from None

        def check(stored):
            refuse_changes(stored, definition, extend=self._extend, folder=self.folder)

        try:
            damaged = self.own_oracle.open(
                self.folder, definition, check, local=self.role.kind != "chief"
            )
        except BaseException:
            self._lock.release()
            raise
        if damaged:
            print(damaged, file=sys.stderr)
        self.results.begin()

    def _look(self) -> None:
        if self.role.kind != "worker":
            self.results.look()

    def _train(self, args: tuple, kwargs: dict[str, Any]) -> None:
        self.on_search_begin()
        self._trials(args, kwargs)
        self.on_search_end()

    def _work(self, args: tuple, kwargs: dict[str, Any]) -> None:
        role = self.role
        self.oracle = Client(
            self.own_oracle,
            role.address,
            role.port,
            role.name,
            role.secret,
            self._patience,
        )
        kwargs = {**kwargs, "verbose": 0} if self._supervised else kwargs
        self._train(args, kwargs)
        if self._supervised:
            # Only one process does what the program does after the search.
            sys.exit(0)

    # --- Models and results ---------------------------------------------------------

    def describe_best(self, row: dict[str, Any]) -> dict[str, Any]:
        """Content of `best.json` for the best trial, a row of `results.rows()`."""
        shown = ("value", "trial", "epoch", "seeds", "values")
        objective = self.own_oracle.objective.name
        return {"objective": objective, **{name: row[name] for name in shown}}

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The models of the best trials, with the weights of their best epochs."""
        self._open_to_read()
        return super().get_best_models(num_models)

    def get_best_hyperparameters(
        self, num_trials: int = 1
    ) -> list[keras_tuner.HyperParameters]:
        """The hyperparameters of the best trials, best first."""
        self._open_to_read()
        return super().get_best_hyperparameters(num_trials)

    def _open_to_read(self) -> None:
        known = self.own_oracle
        if not known.trials and (self.folder / oracles.STATE).exists():
            known.read(self.folder)


def _check(
    executions: int,
    seed: int,
    budget: float | None,
    workers: int | None,
    patience: float,
) -> None:
    for name, value, least in (
        ("executions_per_trial", executions, 1),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        if value is None and name == "workers":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"`{name}` must be an integer >= {least}. Received: {name}={value}."
            )
    for name, limit in (("budget", budget), ("patience", patience)):
        if limit is not None and not limit > 0:
            raise ValueError(f"`{name}` must be above 0. Received: {name}={limit}.")


def _named(
    hypermodel: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """The arguments of `fit` other than data and targets, by name."""
    fit = getattr(hypermodel, "fit", None)
    if len(args) < 3 or fit is None:
        return args, kwargs
    kinds = [p.kind for p in inspect.signature(fit).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        # A `fit` of its own.
        return args, kwargs
    names = [*inspect.signature(keras.Model.fit).parameters][3:]
    if len(args) - 2 > len(names):
        raise TypeError(f"`fit` takes no {len(args)} arguments by position.")
    named = dict(zip(names, args[2:], strict=False))
    twice = [name for name in named if name in kwargs]
    if twice:
        raise TypeError(f"`search` got `{twice[0]}` by position and by name.")
    return args[:2], {**named, **kwargs}
