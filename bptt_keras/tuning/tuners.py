"""KerasTuner's tuners with jobs that resume after a kill, a time limit and workers."""

from bptt_keras.tuning.durable import DurableTuner
from bptt_keras.tuning.jobs.searches import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    RandomSearchOracle,
)


class RandomSearch(DurableTuner):
    """KerasTuner's random search, in a job that resumes after a kill.

    The values of the n-th trial, and its training on a CPU, depend on the seed alone,
    no matter what was killed and how many workers there are.

    Args:
        hypermodel: Function of `keras_tuner.HyperParameters` that returns a compiled
            `keras.Model`; `keras_tuner.HyperModel`; or `TruncatedHyperModel`.
        objective: As in KerasTuner: the name of a metric, `"val_loss"` by default, or
            `keras_tuner.Objective`.
        max_trials: Most trials to run.
        directory: Parent folder of the job's folder.
        project_name: Name of the job's folder.
        overwrite: `True`: delete the contents of the folder first. `False` (default):
            resume the job in it.
        extend: Whether the job may resume if the space has changed; its trials are
            kept.
        executions_per_trial: Training runs of a trial, with the seeds `seed`,
            `seed + 1` and so on; the objective is their mean.
        seed: Integer >= 0, the seed of the search and of the training runs.
        budget: Minutes that the job may take, over all calls of `search`, or `None`.
            Running trials are then cut, within a batch, and resume with a larger
            budget.
        workers: Processes on this machine that train in parallel: each runs this
            program again up to `search`, on a share of the cores. `None` (default):
            this process trains. It has no effect if the environment names a chief
            (`KERASTUNER_ORACLE_IP` and so on, as in KerasTuner).
        defaults_first: Whether the first trial has the default values.
        secret: Shared secret of chief and workers, if other machines can reach the
            chief. Default: $BPTT_KERAS_TUNING_SECRET.
        patience: Seconds without its chief after which a worker ends.
        hyperparameters: As in KerasTuner.
        max_model_size: As in KerasTuner.
        **options: More arguments of KerasTuner's oracle, such as
            `max_retries_per_trial`.

    Attributes:
        results: `Results`: rows for a table, the best so far.
        folder: `pathlib.Path` of the job.

    Raises:
        ValueError: If a value is out of range.

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

    _ORACLE = RandomSearchOracle


class GridSearch(DurableTuner):
    """All points of a grid, in KerasTuner's order; see `RandomSearch`.

    Ranges without a step are divided into ten, as in KerasTuner. No point waits for
    another, so all workers stay busy.

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

    _ORACLE = GridSearchOracle


class BayesianOptimization(DurableTuner):
    """KerasTuner's Bayesian optimization with Gaussian processes; see `RandomSearch`.

    Proposals depend on the results so far, and so, with several workers, on the order
    in which trials end.

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

    _ORACLE = BayesianOptimizationOracle


class Hyperband(DurableTuner):
    """KerasTuner's Hyperband; see `RandomSearch`.

    Many trials train for a few epochs, and the better ones continue. They continue from
    the checkpoint of the previous round, optimizer included, not only from its weights.

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

    _ORACLE = HyperbandOracle
