"""How much a job's objective depends on each hyperparameter."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from zoo.system.errors import ZooError
from zoo.tuning.job import Job, Trial

FEWEST = 8  # the fewest trials to learn from
FOLDS, TREES, SHUFFLES = 4, 40, 5


@dataclasses.dataclass(frozen=True)
class Importance:
    """What a random forest learned from the trials.

    Args:
        trials: Trials with a result.
        bars: Hyperparameter -> (importance, its standard error), in the order of the
            space; None if there are too few trials.
        explained: Fraction of the variance of ranks that the forest explains on trials
            that it was not fitted to; below 0, it has learned nothing.
    """

    trials: int
    bars: dict[str, tuple[float, float]] | None
    explained: float = math.nan


def importance(job: Job) -> Importance:
    """Permutation importance of each hyperparameter in a random forest.

    The forest predicts the rank of the objective, so that a trial that diverged is
    merely the last. It is fitted to some of the trials and predicts the others; the
    importance of a hyperparameter is the increase of the squared error when its values
    are shuffled, relative to the variance of the ranks. Missing values are replaced by
    the median: the hyperparameter that decides whether another one is in use keeps the
    credit for it.

    Args:
        job: The job. Only trials that ended with a result count.

    Returns:
        An `Importance`, which is deterministic.

    Raises:
        ZooError: If scikit-learn is not installed.

    Source:
        Breiman, 2001, Random Forests, section 10, who uses out-of-bag cases.
    """
    trials = [trial for trial in job.trials if trial.ended and trial.measured]
    if len(trials) < FEWEST or not job.names:
        return Importance(len(trials), None)
    try:
        # SciPy and scikit-learn: put off.
        from scipy.stats import rankdata
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.inspection import permutation_importance
        from sklearn.model_selection import KFold
    except ImportError as error:
        raise ZooError(
            "The importance of hyperparameters needs scikit-learn. Install it with "
            '`pip install "bptt_keras[tuner]"`.'
        ) from error
    inputs = np.stack([_column(job, name, trials) for name in job.names], axis=1)
    ranks = rankdata([trial.value for trial in trials])
    ranks = (ranks - ranks.mean()) / (ranks.std() or 1.0)
    grown, errors = [], []
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    for seen, unseen in folds.split(inputs):
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0)
        forest.fit(inputs[seen], ranks[seen])
        errors.append(np.square(forest.predict(inputs[unseen]) - ranks[unseen]))
        result = permutation_importance(
            forest,
            inputs[unseen],
            ranks[unseen],
            scoring="neg_mean_squared_error",
            n_repeats=SHUFFLES,
            random_state=0,
        )
        grown.append(result.importances_mean)
    means = np.mean(grown, axis=0)
    spreads = np.std(grown, axis=0, ddof=1) / math.sqrt(FOLDS)
    bars = {
        name: (float(mean), float(spread))
        for name, mean, spread in zip(job.names, means, spreads, strict=True)
    }
    return Importance(len(trials), bars, 1 - float(np.concatenate(errors).mean()))


def _column(job: Job, name: str, trials: list[Trial]) -> np.ndarray:
    """A hyperparameter as numbers: choices by index, missing values as the median."""
    numeric = job.numeric(name)
    choices = [repr(choice) for choice in job.choices(name)]
    log = bool(job.space.get(name, {}).get("log"))

    def coded(trial):
        value = trial.values.get(name)
        if not numeric:
            known = name in trial.values
            return float(choices.index(repr(value))) if known else math.nan
        if value is None or (log and value <= 0):
            return math.nan
        return math.log(value) if log else float(value)

    column = np.array([coded(trial) for trial in trials])
    known = column[~np.isnan(column)]
    # A value that occurs, so that the median choice is a choice.
    middle = np.sort(known)[len(known) // 2] if len(known) else 0.0
    return np.where(np.isnan(column), middle, column)
