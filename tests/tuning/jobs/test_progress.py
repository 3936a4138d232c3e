import time

import pytest

from bptt_keras.tuning.jobs import progress as module
from bptt_keras.tuning.jobs.progress import Interruption, Progress, WatchedTrial
from tests.tuning.made_up_jobs import opened


@pytest.fixture
def begun(tmp_path):
    """An oracle and a trial of its worker `a`."""
    oracle = opened(tmp_path / "job", max_trials=2)
    return oracle, oracle.create_trial("a").trial_id


def test_an_interruption_is_not_caught_by_user_code():
    assert not issubclass(Interruption, Exception)
    assert Interruption("budget").reason == "budget"


def test_each_epoch_reaches_the_oracle(begun):
    oracle, name = begun
    with Progress(oracle, "a", name) as progress:
        progress.epoch([0.5])
        progress.epoch([0.5, 0.25])
        progress.seeds.append(0.25)
        assert progress.end()
    assert oracle.facts[name]["curve"] == [0.5, 0.25]
    assert oracle.facts[name]["seeds"] == [0.25]
    assert oracle.facts[name]["seconds"] >= 0


def test_time_before_a_kill_is_counted(begun):
    oracle, name = begun
    with Progress(oracle, "a", name) as progress:
        progress.goes_on_after(100.0)
        progress.epoch([0.5])
    assert 100.0 <= oracle.facts[name]["seconds"] < 110.0


def test_a_trial_that_was_lost_ends_at_its_next_epoch(begun):
    oracle, name = begun
    with Progress(oracle, "a", name) as progress:
        oracle.died("a")
        with pytest.raises(Interruption) as caught:
            progress.epoch([0.5])
        assert caught.value.reason == "lost"
        assert not progress.end()


def test_a_heartbeat_reports_that_the_worker_is_alive(begun, monkeypatch):
    oracle, name = begun
    monkeypatch.setattr(module, "BEAT", 0.02)
    with Progress(oracle, "a", name):
        before = oracle.clients["a"]
        time.sleep(0.3)
        assert oracle.clients["a"] > before


def test_a_heartbeat_learns_that_a_trial_was_lost(begun, monkeypatch):
    oracle, name = begun
    monkeypatch.setattr(module, "BEAT", 0.02)
    with Progress(oracle, "a", name) as progress:
        progress.check()
        oracle.died("a")
        time.sleep(0.3)
        with pytest.raises(Interruption, match="lost"):
            WatchedTrial(progress).on_train_batch_end(0)


def test_an_error_of_the_heartbeat_ends_the_trial(begun, monkeypatch):
    oracle, name = begun
    monkeypatch.setattr(module, "BEAT", 0.02)

    def gone(*_, **__):
        raise RuntimeError("the chief is gone")

    with Progress(oracle, "a", name) as progress:
        monkeypatch.setattr(oracle, "report", gone)
        time.sleep(0.3)
        with pytest.raises(RuntimeError, match="is gone"):
            WatchedTrial(progress).on_test_batch_end(0)


def test_a_deadline_holds_within_a_batch(begun):
    oracle, name = begun
    oracle.budget = oracle.spent + 0.1
    with Progress(oracle, "a", name) as progress:
        watched = WatchedTrial(progress)
        watched.on_train_batch_end(0)
        time.sleep(0.15)
        with pytest.raises(Interruption, match="budget"):
            watched.on_train_batch_end(1)
