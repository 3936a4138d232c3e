"""Each private feature of KerasTuner that tuning relies on still exists."""

import concurrent.futures
import threading

import grpc
import keras
import keras_tuner
import numpy as np
import pytest

from bptt_keras.tuning import keras_tuner_internals as internals


def space(*values):
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", list(values or (1, 2, 3)))
    return hp


def oracle_of(folder, kind="RandomSearchOracle", **options):
    """An oracle of KerasTuner with what the package mixes in."""
    base = getattr(keras_tuner.oracles, kind)
    made = type("Made", (internals.OpenOracle, base), {})(
        objective=keras_tuner.Objective("loss", "min"),
        hyperparameters=space(),
        **options,
    )
    made._set_project_dir(str(folder), "job")
    return made


# --- Tuners ------------------------------------------------------------------------


class Tuner(internals.OpenTuner):
    def __init__(self, folder, **options):
        self.asked = []
        super().__init__(
            oracle=keras_tuner.oracles.RandomSearchOracle("loss", max_trials=1),
            hypermodel=build,
            directory=folder,
            project_name="job",
            **options,
        )

    def tuner_file(self):
        self.asked.append("tuner")
        return super().tuner_file()

    def weights_file(self, trial_id):
        self.asked.append("weights")
        return super().weights_file(trial_id)

    def made_model(self, hp):
        self.asked.append("model")
        return super().made_model(hp)


def build(hp):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("n", 1, 2))])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def test_a_tuner_asks_for_its_file_when_it_is_made(tmp_path):
    assert "tuner" in Tuner(tmp_path).asked, (
        "KerasTuner's tuners no longer look for their state at `_get_tuner_fname`"
    )


def test_models_are_made_by_the_hook_and_checked(tmp_path):
    tuner = Tuner(tmp_path)
    model = tuner.checked_model(tuner.oracle.get_space())
    assert isinstance(model, keras.Model) and "model" in tuner.asked, (
        "KerasTuner's `_try_build` no longer builds by `_build_hypermodel`"
    )
    small = Tuner(tmp_path / "small", max_model_size=1)
    with pytest.raises(keras_tuner.errors.FailedTrialError) as raised:
        small.checked_model(small.oracle.get_space())
    assert "Oversized" in str(raised.value), (
        "KerasTuner's `_try_build` no longer refuses models that are too large"
    )


def test_the_weights_of_a_trial_are_looked_for_where_the_hook_says(tmp_path):
    tuner = Tuner(tmp_path)
    trial = tuner.oracle.create_trial("w")
    model = tuner.checked_model(trial.hyperparameters)
    build_config = tuner._get_build_config_fname(trial.trial_id)
    keras_tuner.src.utils.save_json(build_config, model.get_build_config())
    model.save_weights(tuner.weights_file(trial.trial_id))
    tuner.asked.clear()
    tuner.load_model(trial)
    assert "weights" in tuner.asked, (
        "KerasTuner's tuners no longer find weights by `_get_checkpoint_fname`"
    )


def test_callbacks_are_copied(tmp_path):
    given = [keras.callbacks.EarlyStopping(patience=7)]
    (copy,) = Tuner(tmp_path).copied_callbacks(given)
    assert copy is not given[0] and copy.patience == 7, (
        "KerasTuner's `_deepcopy_callbacks` no longer copies callbacks"
    )


def test_tensorboard_gets_a_folder_for_its_trial(tmp_path):
    tuner = Tuner(tmp_path)
    trial = tuner.oracle.create_trial("w")
    callbacks = [keras.callbacks.TensorBoard(str(tmp_path / "logs"))]
    tuner.direct_tensorboard(callbacks, trial, execution="first")
    folder = callbacks[0].log_dir
    assert trial.trial_id in folder and "first" in folder, (
        "KerasTuner's `_configure_tensorboard_dir` no longer sets the folder"
    )


@pytest.mark.parametrize("results", [0.5, {"loss": 0.5}, [{"loss": 0.25}, 0.75]])
def test_results_become_metrics(results):
    objective = keras_tuner.Objective("loss", "min")
    if isinstance(results, list):
        results = [r if isinstance(r, dict) else {"loss": r} for r in results]
    found = internals.metrics_from(results, objective, "fit")
    assert found["loss"] == 0.5, "KerasTuner's `convert_to_metrics_dict` has changed"


def test_an_invalid_result_is_refused():
    objective = keras_tuner.Objective("loss", "min")
    with pytest.raises(keras_tuner.errors.FatalError) as raised:
        internals.metrics_from({"accuracy": 1.0}, objective, "HyperModel.fit()")
    assert "HyperModel.fit()" in str(raised.value), (
        "KerasTuner's `validate_trial_results` no longer names what has returned them"
    )


# --- Oracles -----------------------------------------------------------------------


def ended(oracle, status, **metrics):
    """A trial of the oracle that has ended so."""
    trial = oracle.create_trial("w")
    if metrics:
        oracle.update_trial(trial.trial_id, metrics)
    trial.status = status
    oracle.end_trial(trial)
    return trial


def test_an_oracle_keeps_no_files_of_trials(tmp_path):
    ended(oracle_of(tmp_path, max_trials=9), "COMPLETED", loss=1.0)
    assert not [*tmp_path.rglob("trial.json")], (
        "KerasTuner's oracles no longer write trials by `_save_trial`"
    )


def test_failures_in_a_row_raise_nothing(tmp_path):
    oracle = oracle_of(tmp_path, max_trials=9, max_consecutive_failed_trials=1)
    try:
        ended(oracle, "FAILED")
    except RuntimeError:
        pytest.fail("KerasTuner no longer counts in `_check_consecutive_failures`")


def test_an_error_leaves_no_lock_behind(tmp_path):
    oracle = oracle_of(tmp_path, max_trials=9)
    with pytest.raises(KeyError):
        oracle.update_trial("no such trial", {})
    thread = threading.Thread(target=oracle.create_trial, args=["w"], daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "KerasTuner no longer locks with `oracle.LOCKS`"


def test_a_trial_added_to_the_waiting_ones_is_assigned_again(tmp_path):
    oracle = oracle_of(tmp_path, max_trials=9)
    trial = oracle.create_trial("a")
    del oracle.ongoing_trials["a"]
    internals.waiting_trials(oracle).insert(0, trial.trial_id)
    assert oracle.create_trial("b").trial_id == trial.trial_id, (
        "KerasTuner's oracles no longer keep the trials to run again in `_retry_queue`"
    )
    assert not internals.waiting_trials(oracle)


def test_values_that_were_tried_are_known(tmp_path):
    oracle = oracle_of(tmp_path, max_trials=9)
    values = oracle.create_trial("w").hyperparameters.values
    other = {"units": 1 if values["units"] != 1 else 2}
    told = [internals.was_tried(oracle, v) for v in (dict(values), other)]
    assert told[0], "KerasTuner's `_duplicate` no longer knows values that were tried"


def test_a_grid_is_walked_point_by_point(tmp_path):
    oracle = oracle_of(tmp_path, "GridSearchOracle")
    points, values = [], {"units": 1}
    while values is not None:
        points.append(values["units"])
        values = internals.next_combination(oracle, values)
    assert points == [1, 2, 3], (
        "KerasTuner's `_get_next_combination` no longer walks the grid in order"
    )


def test_proposals_depend_on_the_seed_that_is_set(tmp_path):
    def proposed(seed):
        hp = keras_tuner.HyperParameters()
        hp.Float("x", 0.0, 1.0)
        oracle = keras_tuner.oracles.BayesianOptimizationOracle(
            "loss", hyperparameters=hp, max_trials=9, num_initial_points=2, seed=1
        )
        oracle.objective = keras_tuner.Objective("loss", "min")
        oracle._set_project_dir(str(tmp_path), "job")
        for loss in (1.0, 2.0, 3.0):
            ended(oracle, "COMPLETED", loss=loss)
        internals.draw_from_seed(oracle, seed)
        return oracle.create_trial("w").hyperparameters.values["x"]

    assert proposed(5) == proposed(5)
    found = np.random.RandomState(5).uniform()
    oracle = keras_tuner.oracles.BayesianOptimizationOracle("loss", seed=1)
    assert hasattr(oracle, "_random_state"), (
        "KerasTuner's Bayesian optimization no longer draws from `_random_state`"
    )
    internals.draw_from_seed(oracle, 5)
    assert oracle._random_state.uniform() == found


# --- Chief and workers -------------------------------------------------------------


@pytest.fixture
def served(tmp_path):
    """An oracle, and the channel to a server that answers for it."""
    oracle = oracle_of(tmp_path, max_trials=2)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    internals.add_service(server, oracle)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield oracle, channel
    server.stop(None)


def test_a_remote_oracle_runs_the_trials_of_the_chiefs(served):
    oracle, channel = served
    remote = internals.RemoteOracle(oracle, internals.stub_of(channel), "worker-3")
    trial = remote.create_trial("worker-3")
    remote.update_trial(trial.trial_id, {"loss": 1.0})
    trial.status = "COMPLETED"
    remote.end_trial(trial)
    assert oracle.trials[trial.trial_id].status == "COMPLETED", (
        "KerasTuner's service no longer has the methods by which workers run trials"
    )
    assert remote.objective is oracle.objective, (
        "KerasTuner's client no longer asks its own `_oracle` for the objective"
    )
    assert remote.tuner_id == "worker-3"


def test_the_service_has_the_name_that_calls_are_signed_with(served):
    _, channel = served
    names = []

    class Names(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            names.append(details.method)
            return continuation(details, request)

    stub = internals.stub_of(grpc.intercept_channel(channel, Names()))
    internals.RemoteOracle(None, stub, "w").get_space()
    name = names[0] if isinstance(names[0], str) else names[0].decode()
    assert name == f"{internals.SERVICE}GetSpace", (
        "KerasTuner's service has another name"
    )


def test_conditions_are_sent_without_printing(capsys):
    hp = space()
    with hp.conditional_scope("units", [2]):
        hp.Int("more", 1, 2)
    hp.to_proto()
    assert not capsys.readouterr().out, (
        "KerasTuner prints conditions by another way than `print` of their module"
    )
