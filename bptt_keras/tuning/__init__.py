"""Hyperparameter tuning of truncated BPTT with KerasTuner, in jobs that survive kills.

Requires the extra `tuner`: `pip install 'bptt_keras[tuner]'`.
"""

try:
    import keras_tuner  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"`bptt_keras.tuning` needs {error.name}: pip install 'bptt_keras[tuner]'",
        name=error.name,
    ) from None

from bptt_keras.tuning.hypermodel import TruncatedHyperModel
from bptt_keras.tuning.jobs.definition import ChangedError
from bptt_keras.tuning.jobs.progress import WatchedTrial
from bptt_keras.tuning.jobs.service import ChiefGoneError
from bptt_keras.tuning.jobs.store import DamagedError
from bptt_keras.tuning.ranges import Range
from bptt_keras.tuning.results import Results, TuningError
from bptt_keras.tuning.tuners import (
    BayesianOptimization,
    GridSearch,
    Hyperband,
    RandomSearch,
)
from bptt_keras.tuning.with_optuna import OptunaSearch

__all__ = [
    "BayesianOptimization",
    "ChangedError",
    "ChiefGoneError",
    "DamagedError",
    "GridSearch",
    "Hyperband",
    "OptunaSearch",
    "RandomSearch",
    "Range",
    "Results",
    "TruncatedHyperModel",
    "TuningError",
    "WatchedTrial",
]
