import dataclasses
import sys

import numpy as np
import pytest

from tests.zoo.tuning.made_up import JOBS, TRIALS, job
from zoo.system.errors import ZooError
from zoo.tuning.hparams import write_hparams

pytest.importorskip("tensorboard")


def events(folder):
    """Event files and when they were written."""
    return {
        path.relative_to(folder): path.stat().st_mtime_ns
        for path in folder.rglob("events.*")
    }


def accumulated(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def hparams(folder, tag):
    """What the plugin's data of a run say, as its message."""
    from tensorboard.plugins.hparams import metadata

    content = accumulated(folder).summary_metadata
    data = content[tag].plugin_data.content
    parse = {
        metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
        metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
        metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
    }
    return parse[tag](data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs") / "hparams"
    write_hparams(folder, job())
    return folder


def test_each_trial_that_ended_is_a_run_with_one_file(written):
    ended = {
        trial.name for trial in TRIALS if trial.status not in ("running", "waiting")
    }
    assert {path.name for path in written.iterdir() if path.is_dir()} == ended
    assert len(events(written)) == len(ended) + 1
    assert [path.name for path in written.parent.iterdir()] == ["hparams"]


def test_the_space_is_that_of_the_experiment(written):
    experiment = hparams(written, "_hparams_/experiment")
    infos = {info.name: info for info in experiment.hparam_infos}
    assert list(infos) == list(job().names)
    assert list(infos["layer"].domain_discrete) == ["gru", "lstm"]
    assert list(infos["window"].domain_discrete) == ["100", "25", "None"]
    interval = infos["units"].domain_interval
    assert (interval.min_value, interval.max_value) == (32, 256)
    assert experiment.metric_infos[0].name.tag == "validation cross-entropy"


def test_a_run_has_its_values_objective_and_curve(written):
    start = hparams(written / "00", "_hparams_/session_start_info")
    assert start.group_name == "00"
    assert start.hparams["learning_rate"].number_value == 0.1 / 3
    assert start.hparams["window"].string_value == "None"
    assert "clip" not in start.hparams
    found = accumulated(written / "00")
    for tag, points in (
        ("validation cross-entropy", [(3, 2.5)]),
        ("validation cross-entropy by epoch", [(1, 3.0), (2, 2.5)]),
        ("seconds", [(0, 75.0)]),
    ):
        read = [(e.step, float(_number(e))) for e in found.Tensors(tag)]
        assert read == points


def _number(event):
    from tensorboard.util.tensor_util import make_ndarray

    return np.ravel(make_ndarray(event.tensor_proto))[0]


def test_failures_are_failures(written):
    from tensorboard.plugins.hparams import api_pb2

    statuses = {
        name: hparams(written / name, "_hparams_/session_end_info").status
        for name in ("00", "01", "06")
    }
    good, bad = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    assert statuses == {"00": good, "01": bad, "06": good}


def test_written_runs_are_kept_and_new_ones_added(tmp_path):
    write_hparams(tmp_path / "a", job(TRIALS[:2]))
    before = events(tmp_path / "a")
    write_hparams(tmp_path / "a", job(TRIALS[:2]))
    assert events(tmp_path / "a") == before
    write_hparams(tmp_path / "a", job(TRIALS[:3]))
    after = events(tmp_path / "a")
    assert before.items() <= after.items() and len(after) == len(before) + 1


def test_a_resumed_trial_is_written_again(tmp_path):
    write_hparams(tmp_path / "a", job([TRIALS[6]]))
    on = dataclasses.replace(TRIALS[6], status="completed", value=1.75, epoch=9)
    write_hparams(tmp_path / "a", job([on]))
    (event,) = accumulated(tmp_path / "a/06").Tensors("validation cross-entropy")
    assert (event.step, _number(event)) == (9, 1.75)
    assert len(events(tmp_path / "a")) == 2


def test_another_space_replaces_the_old_one(tmp_path):
    write_hparams(tmp_path / "a", job([]))
    write_hparams(tmp_path / "a", job([], space={"x": {"low": 0.0, "high": 1.0}}))
    experiment = hparams(tmp_path / "a", "_hparams_/experiment")
    assert [info.name for info in experiment.hparam_infos] == ["x"]
    assert len(events(tmp_path / "a")) == 1


def test_runs_of_trials_that_are_gone_are_removed_and_nothing_else(tmp_path):
    write_hparams(tmp_path / "a", job(TRIALS[:1]))
    (tmp_path / "a/mine").mkdir()
    write_hparams(tmp_path / "a", job(TRIALS[2:3]))
    assert {path.name for path in (tmp_path / "a").iterdir() if path.is_dir()} == {
        "02",
        "mine",
    }


@pytest.mark.parametrize("name", ["without trials", "no space", "no hyperparameters"])
def test_every_job_can_be_written(tmp_path, name):
    write_hparams(tmp_path / "a", JOBS[name])
    assert events(tmp_path / "a")


def test_without_tensorboard_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams.api", None)
    with pytest.raises(ZooError, match=r"bptt_keras\[cpu,tuner\]"):
        write_hparams(tmp_path / "a", job())
