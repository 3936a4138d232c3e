"""Everything that tuning uses of KerasTuner's private interface.

It covers names with an underscore, modules in `keras_tuner.src` and undocumented hooks,
each behind a name that says what it provides. Any release of KerasTuner may change
them, so `tests/tuning/test_keras_tuner_internals.py` has a test for each that says what
is gone (written for KerasTuner 1.4.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client
from keras_tuner.src.engine import conditions, tuner_utils
from keras_tuner.src.engine import oracle as oracle_module

# --- Tuners ------------------------------------------------------------------------


class OpenTuner(keras_tuner.Tuner):
    """KerasTuner's tuner, with public names for the methods that jobs call or override.

    A subclass overrides `tuner_file`, `weights_file` and `made_model`, and calls the
    others.
    """

    def tuner_file(self) -> str:
        """Path where KerasTuner keeps the state of the tuner, if it keeps one."""
        return super()._get_tuner_fname()

    def weights_file(self, trial_id: str) -> str:
        """Path of the weights of the best epoch of a trial."""
        return super()._get_checkpoint_fname(trial_id)

    def made_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The model that the hypermodel builds, in a session that was just cleared."""
        return super()._build_hypermodel(hp)

    def checked_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """`made_model` in a new session; refused if it is not a model or too large."""
        return self._try_build(hp)

    def copied_callbacks(self, callbacks: list) -> list:
        """Copies of the given callbacks for one training run."""
        return self._deepcopy_callbacks(callbacks)

    def direct_tensorboard(
        self, callbacks: list, trial: Any, *, execution: str
    ) -> None:
        """Gives a `TensorBoard` among the callbacks a folder for its trial."""
        self._configure_tensorboard_dir(callbacks, trial, execution)

    def _get_tuner_fname(self) -> str:
        return self.tuner_file()

    def _get_checkpoint_fname(self, trial_id: str) -> str:
        return self.weights_file(trial_id)

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return self.made_model(hp)


def metrics_from(
    results: Any, objective: keras_tuner.Objective, source: str
) -> dict[str, Any]:
    """Metrics from the result of a hypermodel or a trial.

    Args:
        results: A number, a dict, a `History`, or a list of one of these.
        objective: The objective, which must be among them.
        source: The function that returned them, for the message.

    Returns:
        `{name: value}` of the best epoch, averaged if there are several results.

    Raises:
        keras_tuner.errors.FatalError: If the results are of another kind.
    """
    tuner_utils.validate_trial_results(results, objective, source)
    return tuner_utils.convert_to_metrics_dict(results, objective)


# --- Oracles -----------------------------------------------------------------------


# To a type checker, a mixin for oracles has all attributes of an oracle.
if TYPE_CHECKING:
    from keras_tuner import Oracle as _Mixed
else:
    _Mixed = object


class OpenOracle(_Mixed):
    """Mixin for KerasTuner's oracles: they keep no files and hold no lock.

    KerasTuner writes a file for each trial, raises after some failures in a row, and
    uses a lock that an error leaves locked for all other threads. Classes with this
    mixin handle all of that differently.
    """

    def __init__(self, **options: Any):
        super().__init__(**options)
        oracle_module.LOCKS[self] = _NoLock()

    def _save_trial(self, trial: Any) -> None:
        pass

    def _check_consecutive_failures(self) -> None:
        pass


class _NoLock:
    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


def waiting_trials(oracle: keras_tuner.Oracle) -> list[str]:
    """Names of the trials that are to be run again, the next one last.

    This is the oracle's own list: trials that are added to it are assigned again.
    """
    return oracle._retry_queue


def was_tried(oracle: keras_tuner.Oracle, values: Mapping[str, Any]) -> bool:
    """Whether a trial has had these values."""
    return oracle._duplicate(values)


def next_combination(
    oracle: keras_tuner.oracles.GridSearchOracle, values: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The point of a grid that follows another; `None` after the last."""
    return oracle._get_next_combination(values)


def draw_from_seed(
    oracle: keras_tuner.oracles.BayesianOptimizationOracle, seed: int
) -> None:
    """Makes the next proposal depend on a seed and not on earlier draws."""
    oracle._random_state = np.random.RandomState(seed)


# --- Chief and workers -------------------------------------------------------------

# KerasTuner prints the first value of a condition when it is sent, a debugging relic.
conditions.print = lambda *_: None

# Prefix of the methods of KerasTuner's service.
SERVICE = "/keras_tuner.Oracle/"


def add_service(server: Any, oracle: keras_tuner.Oracle) -> None:
    """Makes a gRPC server answer for an oracle, as KerasTuner's chief does."""
    servicer = oracle_chief.OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)


def stub_of(channel: Any) -> Any:
    """KerasTuner's stub of the oracle at the other end of a gRPC channel."""
    return protos.get_service_grpc().OracleStub(channel)


class RemoteOracle(oracle_client.OracleClient):
    """An oracle whose methods call another process.

    KerasTuner's own client connects by itself, to the address in the environment.

    Args:
        oracle: An oracle of this process, for the objective.
        stub: An object with the methods of `stub_of`.
        worker: Name of this worker.
    """

    def __init__(self, oracle: keras_tuner.Oracle, stub: Any, worker: str):
        self._oracle = oracle
        self.stub = stub
        self.tuner_id = worker
        self.multi_worker, self.should_report = False, True
