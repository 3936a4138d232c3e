"""All that tuning takes from KerasTuner without a public name for it.

Names with an underscore, modules below `keras_tuner.src` and hooks that have no
documentation: each behind a name that says what it gives. KerasTuner may change any of
it in any release, so `tests/tuning/test_keras_tuner_internals.py` has a test for each
that says what has gone (written for KerasTuner 1.4.8).
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
    """KerasTuner's tuner, with names of ours for the methods that jobs run or replace.

    A subclass overrides `tuner_file`, `weights_file` and `made_model`, and calls the
    others.
    """

    def tuner_file(self) -> str:
        """Path where KerasTuner keeps the tuner's own state, if it keeps one."""
        return super()._get_tuner_fname()

    def weights_file(self, trial_id: str) -> str:
        """Path of the weights of a trial's best epoch."""
        return super()._get_checkpoint_fname(trial_id)

    def made_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """What the hypermodel builds, in a session that has just been cleared."""
        return super()._build_hypermodel(hp)

    def checked_model(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """`made_model` in a new session, refused if it is no model or too large."""
        return self._try_build(hp)

    def copied_callbacks(self, callbacks: list) -> list:
        """Callbacks for one training; the ones that were given serve all of them."""
        return self._deepcopy_callbacks(callbacks)

    def direct_tensorboard(
        self, callbacks: list, trial: Any, *, execution: str
    ) -> None:
        """Gives a `TensorBoard` among the callbacks a folder of its trial."""
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
    """Metrics from whatever a hypermodel or a trial has returned.

    Args:
        results: A number, a dict, a `History`, or a list of one of these.
        objective: What must be among them.
        source: The function that returned them, for the message.

    Returns:
        `{name: value}`, of the best epoch, as mean where there are several.

    Raises:
        keras_tuner.errors.FatalError: If they are none.
    """
    tuner_utils.validate_trial_results(results, objective, source)
    return tuner_utils.convert_to_metrics_dict(results, objective)


# --- Oracles -----------------------------------------------------------------------


# For a type checker what is mixed into an oracle has all that an oracle has.
if TYPE_CHECKING:
    from keras_tuner import Oracle as _Mixed
else:
    _Mixed = object


class OpenOracle(_Mixed):
    """Mixed into an oracle of KerasTuner: it keeps no files and holds no lock.

    KerasTuner writes a file a trial, raises after some failures in a row, and locks
    with a lock that an error leaves locked for all other threads. Who mixes this in
    does all of that in another way.
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

    It is the oracle's own list: what is put in there is given out again.
    """
    return oracle._retry_queue


def was_tried(oracle: keras_tuner.Oracle, values: Mapping[str, Any]) -> bool:
    """Whether a trial has had these values."""
    return oracle._duplicate(values)


def next_combination(
    oracle: keras_tuner.oracles.GridSearchOracle, values: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The point of a grid after another, `None` after the last."""
    return oracle._get_next_combination(values)


def draw_from_seed(
    oracle: keras_tuner.oracles.BayesianOptimizationOracle, seed: int
) -> None:
    """Lets the next proposal depend on a seed, and not on the draws before."""
    oracle._random_state = np.random.RandomState(seed)


# --- Chief and workers -------------------------------------------------------------

# A condition prints its first value when it is sent, left there from debugging.
conditions.print = lambda *_: None

# Prefix of the methods that KerasTuner's service has.
SERVICE = "/keras_tuner.Oracle/"


def add_service(server: Any, oracle: keras_tuner.Oracle) -> None:
    """Lets a gRPC server answer for an oracle, as KerasTuner's chief does."""
    servicer = oracle_chief.OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)


def stub_of(channel: Any) -> Any:
    """KerasTuner's methods of the oracle at the other end of a gRPC channel."""
    return protos.get_service_grpc().OracleStub(channel)


class RemoteOracle(oracle_client.OracleClient):
    """An oracle whose methods are calls of another process.

    KerasTuner's own connects by itself, to what the environment names.

    Args:
        oracle: An oracle of this process, for the objective.
        stub: What has the methods of `stub_of`.
        worker: Name of this worker.
    """

    def __init__(self, oracle: keras_tuner.Oracle, stub: Any, worker: str):
        self._oracle = oracle
        self.stub = stub
        self.tuner_id = worker
        self.multi_worker, self.should_report = False, True
