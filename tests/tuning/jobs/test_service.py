import socket
import threading
import time

import grpc
import keras_tuner
import pytest

import bptt_keras.tuning as tuning
from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs import service
from bptt_keras.tuning.jobs.progress import Interruption, Progress
from bptt_keras.tuning.jobs.service import Chief, Client, check_address
from tests.tuning.made_up_jobs import begin, finish, opened, table
from tests.tuning.trained import search, tuner

SECRET = "shared"
OBJECTIVE = keras_tuner.Objective("score", "min")


@pytest.fixture
def oracle(tmp_path):
    return opened(tmp_path / "job", max_trials=4, local=False)


@pytest.fixture
def chief(oracle):
    made = Chief(oracle, secret=SECRET)
    yield made
    made.close(0)


def client(oracle, chief, worker="a", secret=SECRET, patience=5.0):
    port = chief if isinstance(chief, int) else chief.port
    return Client(oracle, "127.0.0.1", port, worker, secret, patience)


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


# --- Work ----------------------------------------------------------------------------


def test_a_job_over_grpc_equals_a_local_job(tmp_path, oracle, chief):
    worker = client(oracle, chief)
    while (trial := worker.create_trial("a")).status == oracles.RUNNING:
        attempt = worker.report("a", trial.trial_id, kind="begin")["attempt"]
        worker.report("a", trial.trial_id, attempt, kind="epoch", curve=[1.0])
        finish(worker, trial)
    alone = opened(tmp_path / "alone", max_trials=4)
    while (trial := begin(alone)[0]).status == oracles.RUNNING:
        finish(alone, trial)
    assert table(oracle) == table(alone)
    assert oracle.finished


def test_the_order_of_values_survives_transfer_to_a_worker(oracle, chief):
    worker = client(oracle, chief)
    trial = worker.create_trial("a")
    order = list(oracle.trials[trial.trial_id].hyperparameters.values)
    worker.report("a", trial.trial_id, kind="begin")
    finish(worker, trial)
    assert list(oracle.trials[trial.trial_id].hyperparameters.values) == order


def test_each_worker_has_its_own_trial(oracle, chief):
    names = {client(oracle, chief, name).create_trial(name).trial_id for name in "abcd"}
    assert len(names) == 4


def test_a_worker_that_asks_again_gets_its_trial_again(oracle, chief):
    first = client(oracle, chief).create_trial("a")
    again = client(oracle, chief).create_trial("a")
    assert again.trial_id == first.trial_id
    assert again.hyperparameters.values == first.hyperparameters.values


def test_why_a_trial_failed_reaches_the_chief(oracle, chief):
    worker = client(oracle, chief)
    trial = worker.create_trial("a")
    with Progress(worker, "a", trial.trial_id) as progress:
        assert progress.end(cause="ValueError: of the worker")
    trial.status = "INVALID"
    worker.end_trial(trial)
    assert oracle.trials[trial.trial_id].status == oracles.FAILED
    assert oracle.facts[trial.trial_id]["cause"] == "ValueError: of the worker"


def test_a_budget_ends_the_trial_of_a_worker(oracle, chief):
    worker = client(oracle, chief)
    trial = worker.create_trial("a")
    oracle.budget = oracle.spent + 0.3
    with Progress(worker, "a", trial.trial_id) as progress:
        progress.epoch([1.0])
        # It knows by its own clock, without asking.
        time.sleep(0.4)
        with pytest.raises(Interruption) as caught:
            progress.check()
    assert caught.value.reason == "budget"


def test_a_failing_call_does_not_lock_out_the_others(oracle, chief):
    worker = client(oracle, chief)
    for _ in range(5):
        # More than there are threads that serve.
        with pytest.raises(RuntimeError, match="The chief at 127.0.0.1:.* failed"):
            worker.update_trial("no such", {"val_loss": 1.0})
        with pytest.raises(RuntimeError, match="no such"):
            worker.report("a", "no such")
    trial = worker.create_trial("a")
    worker.report("a", trial.trial_id, kind="begin")
    with pytest.raises(RuntimeError, match="val_loss"):
        worker.update_trial(trial.trial_id, {"loss": 1.0})
    began = time.monotonic()
    assert client(oracle, chief, "b").create_trial("b").status == oracles.RUNNING
    finish(worker, trial)
    assert time.monotonic() - began < 4
    assert oracle.trials[trial.trial_id].status == oracles.COMPLETED


def test_an_idle_worker_asks_once_a_second_at_most(
    tmp_path, oracle, chief, monkeypatch
):
    asked = []

    def create(worker):
        asked.append(time.monotonic())
        idle = len(asked) < 4
        trial = oracle._stopped()
        trial.status = oracles.IDLE if idle else oracles.STOPPED
        return trial

    monkeypatch.setattr(oracle, "create_trial", create)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(chief.port))
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "a")
    waits = []
    monkeypatch.setattr("bptt_keras.tuning.trials.time.sleep", waits.append)
    search(tuner(tmp_path / "worker", secret=SECRET))
    assert len(asked) == 4
    assert [wait for wait in waits if wait >= 1.0] == [1.0] * 3


def test_an_error_in_every_trial_ends_the_job_of_all_workers(
    oracle, chief, monkeypatch
):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", str(chief.port))
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "a")
    folder = oracle._store.path.parent
    made = tuner(folder, secret=SECRET, objective=OBJECTIVE)
    with pytest.raises(ValueError, match="score is not in the logs"):
        search(made)
    assert "score is not in the logs" in str(oracle.error)
    assert client(oracle, chief, "b").create_trial("b").status == oracles.STOPPED
    assert not oracle.working


# --- Secrets -------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["other", None, ""])
def test_a_wrong_secret_is_refused(oracle, chief, secret):
    with pytest.raises(PermissionError, match="another shared secret"):
        client(oracle, chief, secret=secret).create_trial("a")
    with pytest.raises(PermissionError):
        client(oracle, chief, secret=secret).report("a", None)
    assert oracle.trials == {} and oracle.clients == {}


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::", "host.example"])
def test_beyond_this_machine_there_must_be_a_secret(oracle, address):
    with pytest.raises(ValueError, match="BPTT_KERAS_TUNING_SECRET"):
        Chief(oracle, address)
    with pytest.raises(ValueError):
        check_address(address, "")
    check_address(address, SECRET)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_this_machine_there_need_not_be_one(address):
    check_address(address, None)


def test_a_signature_counts_once_and_for_one_method(monkeypatch):
    guard = service._Guard(SECRET)
    signed = service._signed("/a/Report", SECRET)
    assert not guard._accepts("/a/EndTrial", signed)
    assert guard._accepts("/a/Report", signed)
    assert not guard._accepts("/a/Report", signed)
    assert guard._accepts("/a/Report", service._signed("/a/Report", SECRET))


@pytest.mark.parametrize("given", ["", "1", "1.2", "x.y.z", "..", "ä.b.c"])
def test_an_invalid_signature_is_refused(given):
    assert not service._Guard(SECRET)._accepts("/a/Report", given)


def test_an_old_signature_is_refused(monkeypatch):
    guard = service._Guard(SECRET)
    real = time.time
    for shift, accepted in ((400, False), (-400, False), (200, True)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda shift=shift: real() - shift)
            signed = service._signed("/a/Report", SECRET)
        assert guard._accepts("/a/Report", signed) == accepted


def test_a_replayed_call_is_refused_over_grpc(oracle, chief):
    channel = grpc.insecure_channel(f"127.0.0.1:{chief.port}")
    name = "/bptt_keras.Tuning/Report"
    call = channel.unary_unary(name, request_serializer=service._encoded)
    signed = [("bptt-keras-signature", service._signed(name, SECRET))]
    request = {"worker": "a", "trial_id": None}
    assert call(request, metadata=signed, timeout=5)
    with pytest.raises(grpc.RpcError) as caught:
        call(request, metadata=signed, timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    channel.close()


# --- A chief that is gone ------------------------------------------------------------


def test_a_worker_without_its_chief_says_so_and_ends(oracle, capsys):
    began = time.monotonic()
    with pytest.raises(tuning.ChiefGoneError, match="has not answered"):
        client(oracle, free_port(), patience=0.5).create_trial("a")
    assert 0.4 < time.monotonic() - began < 5
    told = capsys.readouterr().err
    assert told.count("does not answer. Asking again for 0 s") == 1


def test_a_chief_that_hangs_counts_as_gone(oracle, chief, capsys, monkeypatch):
    monkeypatch.setattr(service, "_ATTEMPT", 0.2)
    with oracle._mutex, pytest.raises(tuning.ChiefGoneError):
        client(oracle, chief, patience=0.5).create_trial("a")
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", [1.0, pytest.param(15.0, marks=pytest.mark.slow)])
def test_a_worker_continues_with_a_chief_that_comes_back(oracle, seconds):
    chief = Chief(oracle, secret=SECRET)
    worker = client(oracle, chief, patience=30.0)
    trial = worker.create_trial("a")
    attempt = worker.report("a", trial.trial_id, kind="begin")["attempt"]
    chief.close(0)
    answers = []

    def ask():
        answers.append(worker.report("a", trial.trial_id, attempt))
        answers.append(time.monotonic())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    # After many of them gRPC would wait ever longer between attempts.
    time.sleep(seconds)
    assert not answers
    back = Chief(oracle, port=chief.port, secret=SECRET)
    since = time.monotonic()
    thread.join(20)
    back.close(0)
    assert answers and answers[0]["stop"] is None
    assert answers[1] - since < 2.5


def test_two_chiefs_cannot_have_one_port(oracle, chief):
    with pytest.raises(OSError, match="cannot listen"):
        Chief(oracle, port=chief.port, secret=SECRET)


def test_an_ipv6_address_is_put_in_brackets():
    assert service._joined("::1", 80) == "[::1]:80"
    assert service._joined("127.0.0.1", 80) == "127.0.0.1:80"
