"""Tuners of KerasTuner whose jobs go on after a kill, with a time limit and workers."""

from bptt_keras.tuning.durable import DurableTuner
from bptt_keras.tuning.jobs.searches import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    RandomSearchOracle,
)


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

    _ORACLE = RandomSearchOracle


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

    _ORACLE = GridSearchOracle


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

    _ORACLE = BayesianOptimizationOracle


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

    _ORACLE = HyperbandOracle
