"""Tuners of KerasTuner whose jobs go on after a kill, with a time limit and workers."""

import inspect
import os
import secrets
import sys
import time
import traceback
from pathlib import Path

import filelock
import keras
import keras_tuner

from bptt_keras.backend import forgetting_gradients
from bptt_keras.keras_internals import COMPILED_METRICS, given_metrics
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.tuning.hypermodel import TruncatedHyperModel, asks_to_validate
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs.definition import (
    describe_data,
    describe_space,
    refuse_changes,
)
from bptt_keras.tuning.jobs.execution import (
    Checkpoint,
    Execution,
    copy_weights,
    names_of,
    refuse_unlogged,
    restore_model,
)
from bptt_keras.tuning.jobs.progress import BEAT, Interruption, Progress, WatchedTrial
from bptt_keras.tuning.jobs.roles import Role
from bptt_keras.tuning.jobs.service import PATIENCE, Chief, ChiefGoneError, Client
from bptt_keras.tuning.jobs.workers import Workers, end_with_parent
from bptt_keras.tuning.keras_tuner_internals import OpenTuner, metrics_from
from bptt_keras.tuning.results import Results, TuningError

_LOCK = "job.lock"
_BEST = "checkpoint.weights.h5"
# Seconds that a trial has to end by itself when the time of its job is up.
GRACE = 5.0


class DurableTuner(OpenTuner):
    """What the tuners here share. See `RandomSearch` for the arguments.

    `search(*args, **kwargs)` takes what `fit` takes, as KerasTuner's does. A
    `kill -9` of any process, at any time, loses nothing: make the same tuner and call
    `search` again.
    """

    _ORACLE: type
    _RESULTS: type = Results

    def __init__(
        self,
        hypermodel=None,
        objective="val_loss",
        *,
        directory=None,
        project_name=None,
        overwrite=False,
        extend=False,
        executions_per_trial=1,
        seed=0,
        budget=None,
        workers=None,
        defaults_first=False,
        secret=None,
        patience=PATIENCE,
        hyperparameters=None,
        max_model_size=None,
        **options,
    ):
        self._check(executions_per_trial, seed, budget, workers, patience)
        self.role = Role.of_this_process(secret)
        self._supervised = self.role.kind == "worker" and end_with_parent()
        if self.role.kind == "worker":
            overwrite = False
        # KerasTuner takes a seed of 0 for none.
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
        self._lock = self._building_seed = None
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
        # Asking a chief begins with `search`.
        self.oracle = made

    @staticmethod
    def _check(executions, seed, budget, workers, patience):
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
        for name, value in (("budget", budget), ("patience", patience)):
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be above 0. Received: {name}={value}.")

    # --- What KerasTuner's base class would keep in files of its own ----------------

    def tuner_file(self):
        """A path without a file."""
        # There is none: so that the space is always made, and then compared.
        return os.path.join(self.project_dir, "tuner.json")

    def save(self):
        """Writes the state of the job, if it is this process that has it."""
        self.own_oracle.save()

    def reload(self):
        """Reads the state of the job again."""
        self._open_to_read()

    # --- The search -----------------------------------------------------------------

    def search(self, *args, **kwargs):
        """Runs trials until there are no more, or the time is up.

        Args:
            *args: As for `fit` of the model.
            **kwargs: As for `fit` of the model. `verbose`: 0 is silent about trials,
                too.

        Raises:
            ChangedError: If the folder holds a job with another space, objective,
                data or setting.
            DamagedError: If its state cannot be read.
            TuningError: If all trials failed, or another process runs this job.
            ValueError: If the objective is none that `fit` could log.
        """
        args, kwargs = _named(self.hypermodel, args, kwargs)
        self.results.verbose = kwargs.get("verbose", 1) != 0
        self._check_search(args, kwargs)
        if self.role.kind == "worker":
            return self._work(args, kwargs)
        self._begin(self._describe(args, kwargs))
        try:
            if self.role.kind == "chief":
                self._serve()
            elif self.workers is not None:
                self._supervise()
            else:
                self._train(args, kwargs)
        finally:
            self.results.look()
            self._lock.release()
        self.results.conclude()

    def _check_search(self, args, kwargs):
        """Refuses what no trial could do, before the first."""
        checked = getattr(self.hypermodel, "check_search", None)
        if checked is not None:
            checked(self.own_oracle.get_space(), args, kwargs)
        taken = getattr(self.hypermodel, "validates", None)
        validates = taken(args, kwargs) if taken else asks_to_validate(kwargs)
        for name in names_of(self.own_oracle.objective):
            if name.startswith("val_") and not validates:
                raise ValueError(
                    f"The objective is {name}, but there are no validation data. Pass "
                    "`validation_data` to `search`, or choose another objective."
                )
        if not self._says_itself and not kwargs.get("callbacks"):
            self._check_measured()

    def _check_measured(self):
        """Refuses an objective that the model is not compiled with.

        What a model does not tell of its logs, the first epoch will.
        """
        names = names_of(self.own_oracle.objective)
        if all(name.removeprefix("val_").endswith("loss") for name in names):
            return
        try:
            model = self.checked_model(self.own_oracle.get_space())
        except Exception:
            # The trial with these values will say why.
            return
        known = _measured(model)
        for name in names if known is not None else ():
            own = name.removeprefix("val_")
            if own.endswith("loss"):
                continue
            # With several outputs their names come before.
            if not any(own == one or own.endswith(f"_{one}") for one in known):
                raise ValueError(
                    f"The objective is {name}, which the model does not measure: its "
                    f"logs have {', '.join(['loss', *sorted(known)])}. Compile it with "
                    "such a metric, or choose another objective."
                )

    def _describe(self, args, kwargs):
        """What the job is, for JSON: a change of it is refused."""
        objective = self.own_oracle.objective
        unlimited = {k: v for k, v in self._options.items() if k != "max_trials"}
        told = {k: v for k, v in kwargs.items() if k not in ("verbose", "callbacks")}
        extra = getattr(self.hypermodel, "definition", None)
        return {
            "tuner": type(self).__name__,
            "space": describe_space(self.own_oracle.get_space()),
            "objective": " and ".join(names_of(objective)),
            "seed": self.seed,
            "executions_per_trial": self.executions_per_trial,
            "options": describe_data(unlimited),
            "data": describe_data([*args]),
            "fit": describe_data(told),
            **(extra() if extra else {}),
        }

    def _begin(self, definition):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.folder / _LOCK)
        try:
            # Workers of a process that was killed end within seconds.
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

    def _train(self, args, kwargs):
        self.on_search_begin()
        self._trials(args, kwargs)
        self.on_search_end()

    def _serve(self):
        """Serves workers that others start, until all is done."""
        role, own = self.role, self.own_oracle
        chief = Chief(own, role.address, role.port, role.secret)
        try:
            while not own.finished and own.seconds_left > 0 and own.error is None:
                for worker in own.release_silent():
                    print(f"{worker} is silent; its trial is given to another.")
                self.results.look()
                time.sleep(0.5)
            # The workers ask once more, and are told that there is nothing left.
            end = time.monotonic() + 2 * BEAT
            while own.working and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(1.5)
        finally:
            chief.close()

    def _supervise(self):
        """Runs a chief here, and as many workers as processes of their own."""
        own = self.own_oracle
        secret = secrets.token_hex(16)
        chief = Chief(own, secret=secret)
        workers = Workers(self.workers, chief.port, secret, own.died)
        try:
            while not own.finished and own.error is None:
                if own.seconds_left <= -GRACE:
                    break
                workers.tend(restart=own.seconds_left > 0)
                if own.seconds_left <= 0 and not workers.alive:
                    break
                useless = workers.useless(own.clients)
                waits = own.error is None and own.seconds_left > 0
                if useless and waits and not own.finished:
                    raise TuningError(useless)
                self.results.look()
                time.sleep(0.2)
            workers.wait(3.0)
        finally:
            workers.end()
            chief.close()

    def _work(self, args, kwargs):
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
            # What the program does after the search, one process does.
            sys.exit(0)

    def _trials(self, args, kwargs):
        while True:
            self.pre_create_trial()
            trial = self.oracle.create_trial(self.tuner_id)
            if trial.status == oracles.STOPPED:
                return
            if trial.status == oracles.IDLE:
                time.sleep(1.0)
                continue
            with forgetting_gradients():
                goes_on = self._attempt(trial, args, kwargs)
                keras.backend.clear_session()
            if not goes_on:
                return

    def _attempt(self, trial, args, kwargs):
        """Runs a trial and ends it; False: nothing more is to be run."""
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
                # Nothing that the trial has done.
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

    def _metrics(self, trial, args, kwargs):
        """Means over the executions, of their best epochs."""
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

    def run_trial(self, trial, *args, **kwargs):
        """Trains a trial's model as often as `executions_per_trial` says.

        Returns:
            Metrics of the best epoch of each execution.
        """
        found = []
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

    def execute(self, trial, execution, *args, **kwargs):
        """Trains once, from the execution's checkpoint if there is one.

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
        logged = not self._says_itself
        checkpoint = Checkpoint(execution, best, callbacks, logged=logged)
        done = checkpoint.restore(model)
        if done and execution.reports:
            # Of which a kill may have lost the last.
            self.progress.epoch(checkpoint.values)
        results = None
        if done < epochs and not checkpoint.stopped:
            kwargs |= {"initial_epoch": done, "epochs": epochs}
            watched = WatchedTrial(self.progress)
            kwargs["callbacks"] = [*callbacks, watched, checkpoint]
            results = self.hypermodel.fit(trial.hyperparameters, model, *args, **kwargs)
        return self._best_of(checkpoint, results)

    @property
    def _says_itself(self):
        """Whether the model's `fit` is one of its own, and may return the objective."""
        fit = getattr(type(self.hypermodel), "fit", None)
        return fit not in (keras_tuner.HyperModel.fit, TruncatedHyperModel.fit)

    def _begin_from_earlier(self, trial, execution):
        """Hyperband: begins where the trial of the round before ended."""
        earlier = trial.hyperparameters.values.get("tuner/trial_id")
        if not earlier or execution.checkpoint.is_dir():
            return
        best = Path(self.weights_file(trial.trial_id))
        kept = Path(self.weights_file(earlier))
        if kept.is_file() and not best.is_file():
            # No epoch of this round may be better.
            copy_weights(kept, best)
        folder = Path(self.get_trial_dir(earlier)) / execution.folder.name
        execution.begin_from(Execution(folder, None, None, 0, reports=False))

    def made_model(self, hp):
        """What the hypermodel builds, from the seed of the execution that runs."""
        # Here, since KerasTuner has cleared the session, and the seed with it, before.
        if self._building_seed is not None:
            keras.utils.set_random_seed(self._building_seed)
        return super().made_model(hp)

    def _best_of(self, checkpoint, results):
        objective = self.own_oracle.objective
        logged = [logs for logs in checkpoint.history if objective.has_value(logs)]
        if logged:
            best = logged[0]
            for logs in logged[1:]:
                value = objective.get_value(logs)
                if objective.better_than(value, objective.get_value(best)):
                    best = logs
            # Several objectives together have a name that is not in the logs.
            return {objective.name: objective.get_value(best), **best}
        returned = results is not None and not isinstance(
            results, keras.callbacks.History
        )
        if checkpoint.history and not returned:
            refuse_unlogged(objective, checkpoint.history[-1])
        return metrics_from(results, objective, "HyperModel.fit()")

    # --- Models and results ---------------------------------------------------------

    def describe_best(self, row):
        """What `best.json` says of the best trial, a row of `results.rows()`."""
        told = ("value", "trial", "epoch", "seeds", "values")
        objective = self.own_oracle.objective.name
        return {"objective": objective, **{name: row[name] for name in told}}

    def get_best_models(self, num_models=1):
        """The best trials' models, with the weights of their best epochs."""
        self._open_to_read()
        return super().get_best_models(num_models)

    def get_best_hyperparameters(self, num_trials=1):
        """The best trials' hyperparameters, best first."""
        self._open_to_read()
        return super().get_best_hyperparameters(num_trials)

    def _open_to_read(self):
        known = self.own_oracle
        if not known.trials and (self.folder / oracles.STATE).exists():
            known.read(self.folder)

    def load_model(self, trial):
        """A trial's model, with the weights of its best epoch."""
        model = self.checked_model(trial.hyperparameters)
        weights = Path(self.weights_file(trial.trial_id))
        restore_model(model, weights, weights.with_name("build_config.json"))
        return model

    def weights_file(self, trial_id):
        """Path of the weights of a trial's best epoch."""
        return os.path.join(self.get_trial_dir(trial_id), _BEST)

    def _write_error(self, trial):
        path = Path(self.get_trial_dir(trial.trial_id)) / "error.txt"
        path.write_text(traceback.format_exc(), "utf-8")

    def _look(self):
        if self.role.kind != "worker":
            self.results.look()


def _named(hypermodel, args, kwargs):
    """Arguments of `fit` beyond data and targets by their names."""
    fit = getattr(hypermodel, "fit", None)
    if len(args) < 3 or fit is None:
        return args, kwargs
    kinds = [p.kind for p in inspect.signature(fit).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        # Of its own.
        return args, kwargs
    names = [*inspect.signature(keras.Model.fit).parameters][3:]
    if len(args) - 2 > len(names):
        raise TypeError(f"`fit` takes no {len(args)} arguments by position.")
    named = dict(zip(names, args[2:], strict=False))
    twice = [name for name in named if name in kwargs]
    if twice:
        raise TypeError(f"`search` got `{twice[0]}` by position and by name.")
    return args[:2], {**named, **kwargs}


def _measured(model):
    """Names of the metrics that a model logs; `None`: it does not tell."""
    kind = type(model)
    plain = (kind.fit, kind.train_step) == (keras.Model.fit, keras.Model.train_step)
    if not (plain or isinstance(model, TruncatedBPTT)) or not model.compiled:
        return None
    # Keras has them under names only once it has seen targets.
    known = {metric.name for metric in model.metrics}
    for metric in given_metrics(model):
        if metric is None:
            continue
        name = metric if isinstance(metric, str) else getattr(metric, "name", None)
        name = name or getattr(metric, "__name__", None)
        if name is None:
            return None
        known.add(name)
    return known - {"loss", COMPILED_METRICS}


def _cause(error):
    """An exception in one line."""
    words = " ".join(str(error).split())
    if isinstance(error, keras_tuner.errors.FailedTrialError):
        return words
    return f"{type(error).__name__}: {words}"[:300]


class RandomSearch(DurableTuner):
    """Random search of KerasTuner, in a job that goes on after a kill.

    The values of the n-th trial, and its training on a CPU, depend on the seed alone,
    whatever was killed and however many workers there are.

    Args:
        hypermodel: Function of `keras_tuner.HyperParameters` that returns a compiled
            `keras.Model`; `keras_tuner.HyperModel`; or `TruncatedHyperModel`.
        objective: As in KerasTuner: the name of a metric, `"val_loss"` by default, or
            `keras_tuner.Objective`.
        max_trials: Trials at most.
        directory: Folder above the job's.
        project_name: Name of the job's folder.
        overwrite: `True`: what the folder holds is removed first. `False` (default):
            the job there goes on.
        extend: Whether it may go on in a space that has changed; its trials stay.
        executions_per_trial: Trainings of a trial, with the seeds `seed`, `seed + 1`
            and so on; the objective is their mean.
        seed: Integer >= 0, of the search and of the trainings.
        budget: Minutes that the job may take, over all calls of `search`, or `None`.
            What is in work then is cut, within a batch, and goes on with a larger one.
        workers: Processes on this machine that train side by side: this program runs
            again in each, up to `search`, with a share of the cores. `None` (default):
            this process trains. Without effect where the environment names a chief
            (`KERASTUNER_ORACLE_IP` and so on, as in KerasTuner).
        defaults_first: Whether the first trial has the default values.
        secret: What chief and workers share, if others can reach the chief; default:
            $BPTT_KERAS_TUNING_SECRET.
        patience: Seconds after which a worker without its chief ends.
        hyperparameters: As in KerasTuner.
        max_model_size: As in KerasTuner.
        **options: More of KerasTuner's oracle, such as `max_retries_per_trial`.

    Attributes:
        results: `Results`: rows for a table, the best so far.
        folder: `pathlib.Path` of the job.

    Raises:
        ValueError: If a value is out of its bounds.

    Example:
        import keras, numpy as np, bptt_keras as bk

        def build(hp):
            units = hp.Int("units", 2, 8)
            model = keras.Sequential(
                [bk.layers.SimpleRNN(units, return_sequences=True),
                 keras.layers.Dense(1)]
            )
            rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
            trainer = bk.TruncatedBPTT(model, window=6)
            trainer.compile(keras.optimizers.Adam(rate), "mse")
            return trainer

        x = np.random.default_rng(0).normal(size=(8, 24, 1)).astype("float32")
        y = x.cumsum(1)
        for trials in (1, 2):             # the second call goes on with the first
            tuner = bk.tuning.RandomSearch(
                build, "val_loss", max_trials=trials, directory="runs",
                project_name="sums",
            )
            tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
        assert [row["status"] for row in tuner.results.rows()] == ["completed"] * 2

    Source: Bergstra & Bengio (2012); O'Malley et al. (2019), KerasTuner.
    """

    _ORACLE = oracles.RandomSearchOracle


class GridSearch(DurableTuner):
    """All points of a grid, in KerasTuner's order; see `RandomSearch`.

    Ranges without a step are cut into ten, as in KerasTuner. No point waits for
    another, so all workers have work.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.GridSearch(
            Parabola(), objective, directory="runs", project_name="grid"
        )
        tuner.search(verbose=0)
        assert len(tuner.results.rows()) == 9
        assert tuner.results.best["values"] == {"x": 0}
    """

    _ORACLE = oracles.GridSearchOracle


class BayesianOptimization(DurableTuner):
    """Gaussian processes of KerasTuner; see `RandomSearch`.

    What is proposed depends on the results that are there, so with several workers on
    their order.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.BayesianOptimization(
            Parabola(), objective, max_trials=4, num_initial_points=2,
            directory="runs", project_name="bayesian",
        )
        tuner.search(verbose=0)
        assert len(tuner.results.rows()) == 4

    Source: Snoek, Larochelle & Adams (2012).
    """

    _ORACLE = oracles.BayesianOptimizationOracle


class Hyperband(DurableTuner):
    """Hyperband of KerasTuner; see `RandomSearch`.

    Many trials train for a few epochs, the better ones go on. They go on from the
    checkpoint of the round before, optimizer included, and not only from its weights.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        tuner = bk.tuning.Hyperband(
            Parabola(), objective, max_epochs=3, directory="runs", project_name="bands"
        )
        tuner.search(verbose=0)
        assert tuner.results.best["status"] == "completed"

    Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar (2018).
    """

    _ORACLE = oracles.HyperbandOracle
