import sys

import keras_tuner
import pytest

import bptt_keras.tuning as tuning
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs.definition import ChangedError
from tests.tuning.made_up_jobs import begin, finish, opened, score, space, table
from tests.tuning.trained import rows, search, tuner

optuna = pytest.importorskip("optuna")

from bptt_keras.tuning.with_optuna import OptunaOracle  # noqa: E402

STATES = {"COMPLETED": "COMPLETE", "FAILED": "FAIL", "STOPPED": "PRUNED"}


def storage(folder):
    return f"sqlite:///{folder}/study.db"


def study(folder, name="job"):
    return optuna.load_study(study_name=name, storage=storage(folder))


def job(folder, hp=None, **options):
    options = {"max_trials": 5, "sampler": "random", **options}
    return opened(folder / "job", OptunaOracle, hp, **options)


def run(folder, *, reopen, fail=(), **options):
    """Runs a whole job; `reopen`: by a process that is new after every event."""

    def again(oracle=None):
        return oracle if oracle and not reopen else job(folder, **options)

    oracle = again()
    while True:
        oracle = again(oracle)
        trial, attempt = begin(oracle)
        if attempt is None:
            assert oracle.error is None
            return oracle
        name, values = trial.trial_id, dict(trial.hyperparameters.values)
        if reopen:
            oracle = again(oracle)
            trial, attempt = begin(oracle)
            assert (trial.trial_id, trial.hyperparameters.values) == (name, values)
        curve = [score(values) + 1, score(values)]
        oracle.report("w", name, attempt, kind="epoch", curve=curve[:1])
        if reopen:
            oracle = again(oracle)
            trial, attempt = begin(oracle)
        oracle.report("w", name, attempt, kind="epoch", curve=curve)
        if int(name) in fail:
            trial.status = "INVALID"
            oracle.end_trial(trial)
        else:
            finish(oracle, trial)


def told(folder):
    """What a study says of the job's trials, in their order."""
    found = {}
    for trial in study(folder).trials:
        name = trial.user_attrs.get("trial")
        if name is not None and trial.state.name != "FAIL" or name not in found:
            found[name] = (trial.params, trial.state.name, trial.value)
    return found


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.quick(1)
def test_a_job_killed_at_every_event_equals_one_that_was_not_killed(tmp_path, sampler):
    for folder in "ab":
        (tmp_path / folder).mkdir()
    # More than the random trials with which TPE begins.
    options = {"sampler": sampler, "max_trials": 13 if sampler == "tpe" else 6}
    whole = run(tmp_path / "a", reopen=False, **options)
    cut = run(tmp_path / "b", reopen=True, **options)
    assert len(whole.trials) == options["max_trials"]
    assert table(cut) == table(whole)


def test_a_study_in_a_database_follows_the_job_over_kills(tmp_path):
    oracle = run(
        tmp_path, reopen=True, fail=(1,), storage=storage(tmp_path), max_trials=3
    )
    found = told(tmp_path)
    assert [t.status for t in oracle.trials.values()].count("FAILED") == 1
    for name, trial in oracle.trials.items():
        params, state, value = found[name]
        assert params == trial.hyperparameters.values
        assert state == STATES[trial.status]
        assert value == trial.score
    # Each trial of the job stands there once, and none is left running.
    names = [t.user_attrs.get("trial") for t in study(tmp_path).trials]
    assert sorted(filter(None, names)) == sorted(oracle.trials)
    assert all(t.state.is_finished() for t in study(tmp_path).trials)
    steps = next(
        t.intermediate_values
        for t in study(tmp_path).trials
        if t.user_attrs.get("trial") == "0"
    )
    assert sorted(steps) == [0, 1]


def test_a_database_does_not_change_the_proposals(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
    memory = run(tmp_path / "a", reopen=False)
    stored = run(tmp_path / "b", reopen=False, storage=storage(tmp_path / "b"))
    assert table(memory) == table(stored)


def test_a_study_that_is_behind_catches_up_with_the_job(tmp_path):
    # A kill between the job's file and the study.
    oracle = job(tmp_path, storage=storage(tmp_path))
    trial, _ = begin(oracle)
    oracle._tell = lambda *_: None
    finish(oracle, trial)
    assert told(tmp_path)["0"][1] == "RUNNING"
    job(tmp_path, storage=storage(tmp_path))
    assert told(tmp_path)["0"][1:] == ("COMPLETE", oracle.trials["0"].score)


def test_a_trial_of_the_study_that_the_job_never_had_is_closed(tmp_path):
    oracle = job(tmp_path, storage=storage(tmp_path))
    oracle._ask("0")
    job(tmp_path, storage=storage(tmp_path))
    (trial,) = study(tmp_path).trials
    assert trial.state.name == "FAIL"


def test_a_changed_space_is_refused(tmp_path):
    job(tmp_path, storage=storage(tmp_path))
    wider = space()
    wider.Int("layers", 1, 3)
    with pytest.raises(ChangedError, match="layers was not there"):
        job(tmp_path, wider, storage=storage(tmp_path))


def test_an_extended_space_continues_in_the_same_study(tmp_path):
    oracle = job(tmp_path, storage=storage(tmp_path))
    finish(oracle, begin(oracle)[0])
    wider = space()
    wider.Int("layers", 1, 3)
    oracle = job(tmp_path, wider, storage=storage(tmp_path), extend=True)
    trial, attempt = begin(oracle)
    assert oracle.error is None and attempt == 1
    assert "layers" in trial.hyperparameters.values


def test_the_study_of_another_folder_is_refused(tmp_path):
    database = storage(tmp_path)
    for folder in "ab":
        (tmp_path / folder).mkdir()
    job(tmp_path / "a", storage=database)
    with pytest.raises(ChangedError, match=f"another folder, {tmp_path}/a/job"):
        job(tmp_path / "b", storage=database)


def test_a_study_that_no_job_made_is_refused(tmp_path):
    made = optuna.create_study(storage=storage(tmp_path), study_name="job")
    made.tell(made.ask(), 1.0)
    with pytest.raises(ChangedError, match="which it does not say"):
        job(tmp_path, storage=storage(tmp_path))


def test_the_study_has_the_direction_of_the_objective(tmp_path):
    job(
        tmp_path,
        objective=keras_tuner.Objective("score", "max"),
        storage=storage(tmp_path),
    )
    assert study(tmp_path).direction.name == "MAXIMIZE"


@pytest.mark.parametrize("reopen", [False, True])
@pytest.mark.quick(1)
def test_a_pruner_ends_a_trial_that_is_worse_than_the_others(tmp_path, reopen):
    options = {"pruner": "median", "storage": storage(tmp_path), "max_trials": 6}
    oracle = job(tmp_path, **options)
    for _ in range(5):
        trial, attempt = begin(oracle)
        for epochs in (1, 2, 3):
            curve = [1.0] * epochs
            answer = oracle.report(
                "w", trial.trial_id, attempt, kind="epoch", curve=curve
            )
            assert answer["stop"] is None
        finish(oracle, trial, 1.0)
    trial, attempt = begin(oracle)
    stops = []
    for epochs in (1, 2, 3):
        if reopen:
            oracle = job(tmp_path, **options)
            trial, attempt = begin(oracle)
        curve = [9.0] * epochs
        answer = oracle.report("w", trial.trial_id, attempt, kind="epoch", curve=curve)
        stops.append(answer["stop"])
        if answer["stop"]:
            break
    assert stops[-1] == "pruned"
    trial.status = oracles.STOPPED
    oracle.end_trial(trial)
    assert told(tmp_path)[trial.trial_id][1] == "PRUNED"
    assert oracle.finished


def test_without_a_pruner_nothing_is_pruned(tmp_path):
    oracle = job(tmp_path)
    for value in (1.0,) * 4:
        trial, attempt = begin(oracle)
        oracle.report("w", trial.trial_id, attempt, kind="epoch", curve=[value] * 3)
        finish(oracle, trial, value)
    trial, attempt = begin(oracle)
    answer = oracle.report("w", trial.trial_id, attempt, kind="epoch", curve=[9.0] * 3)
    assert answer["stop"] is None


def test_an_epoch_without_a_value_is_not_reported(tmp_path):
    oracle = job(tmp_path, pruner="median")
    trial, attempt = begin(oracle)
    curve = [float("nan"), 1.0]
    oracle.report("w", trial.trial_id, attempt, kind="epoch", curve=curve)
    finish(oracle, trial)
    (made,) = oracle._study.trials
    assert made.intermediate_values == {1: 1.0}


def test_a_space_whose_points_are_all_tried_is_exhausted(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    hp.Boolean("deep")
    oracle = job(tmp_path, hp, max_trials=50)
    while (trial := begin(oracle)[0]).status == oracles.RUNNING:
        finish(oracle, trial, 1.0)
    points = [tuple(t.hyperparameters.values.items()) for t in oracle.trials.values()]
    assert len(set(points)) == len(points) == 4
    assert oracle.error is None and oracle.finished


def test_each_kind_of_hyperparameter_is_suggested_in_its_range(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 4, 64, sampling="log")
    hp.Int("wide", 4, 12, step=4)
    hp.Float("rate", 0.1, 0.5, step=0.1)
    hp.Float("plain", 0.25, 0.75)
    hp.Fixed("fixed", 7)
    oracle = job(tmp_path, hp, max_trials=6)
    for number in range(6):
        values = begin(oracle, f"w{number}")[0].hyperparameters.values
        assert 4 <= values["units"] <= 64 and isinstance(values["units"], int)
        assert values["wide"] in (4, 8, 12)
        assert round(10 * values["rate"], 9) in (1, 2, 3, 4, 5)
        assert 0.25 <= values["plain"] <= 0.75
        assert values["fixed"] == 7


def test_the_first_trial_has_the_defaults_if_asked(tmp_path):
    oracle = job(tmp_path, defaults_first=True)
    values = begin(oracle)[0].hyperparameters.values
    assert values == {"rate": 1e-4, "units": 4, "clipping": "none"}


@pytest.mark.parametrize(
    ("name", "known"), [("sampler", "random, tpe"), ("pruner", "none, median, asha")]
)
def test_an_unknown_sampler_or_pruner_is_refused(name, known):
    with pytest.raises(ValueError, match=f"`{name}` must be one of {known}"):
        OptunaOracle(objective="val_loss", **{name: "best"})


def test_several_objectives_are_refused():
    with pytest.raises(ValueError, match="one objective"):
        OptunaOracle(objective=["val_loss", "loss"])


def test_without_optuna_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError, match=r"bptt_keras\[optuna\]"):
        tuner(tmp_path / "job", tuning.OptunaSearch, max_trials=1)


def test_a_search_prunes_and_continues(tmp_path):
    made = tuner(tmp_path / "job", tuning.OptunaSearch, max_trials=3)
    made.own_oracle.should_prune = lambda name, curve: name == "1" and len(curve) == 2
    search(made)
    assert [row["status"] for row in rows(made)] == [
        "completed",
        "pruned",
        "completed",
    ]
    assert [len(row["curve"]) for row in rows(made)] == [3, 2, 3]
    # What was pruned is known by its best epoch so far.
    assert rows(made)[1]["value"] == min(rows(made)[1]["curve"])
