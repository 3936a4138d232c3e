"""Which processes train together, from arguments and from the environment."""

import json

import pytest

from bptt_keras.distribute.addresses import find_place

ADDRESSES = ["a:1", "b:2", "c:3"]


def of_tensorflow(kind, index, **cluster):
    known = {"cluster": cluster, "task": {"type": kind, "index": index}}
    return {"TF_CONFIG": json.dumps(known)}


def test_without_any_word_there_is_one_process():
    place = find_place(None, None, {})
    assert place.addresses == () and place.index == 0


def test_arguments_come_before_the_environment():
    place = find_place(ADDRESSES, 2, of_tensorflow("worker", 0, worker=["x:1", "y:1"]))
    assert place.addresses == ("a:1", "b:2", "c:3") and place.index == 2


def test_tf_config_names_the_processes():
    place = find_place(None, None, of_tensorflow("worker", 1, worker=ADDRESSES))
    assert place.addresses == ("a:1", "b:2", "c:3") and place.index == 1


@pytest.mark.parametrize(
    ("kind", "index", "expected"), [("chief", 0, 0), ("worker", 1, 2)]
)
def test_a_chief_comes_first(kind, index, expected):
    cluster = of_tensorflow(kind, index, chief=["a:1"], worker=["b:2", "c:3"])
    assert find_place(None, None, cluster).index == expected


def test_slurm_names_the_processes(monkeypatch):
    variables = {
        "SLURM_PROCID": "2",
        "SLURM_NTASKS": "3",
        "SLURM_STEP_NUM_TASKS": "3",
        "SLURM_STEP_NODELIST": "n[7-8]",
        "SLURM_STEP_TASKS_PER_NODE": "2,1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place = find_place(None, None, variables)
    assert place.addresses == ("n7:8476", "n7:8477", "n8:8476") and place.index == 2


@pytest.mark.parametrize(
    ("addresses", "index", "words"),
    [
        (ADDRESSES, None, "belong together"),
        (None, 1, "belong together"),
        (ADDRESSES, 3, "from 0 to 2"),
        (ADDRESSES, -1, "from 0 to 2"),
        (["a:1", "a:1"], 0, "an address of its own"),
        ([], 0, "an address of its own"),
        (["a"], 0, "'host:port'"),
        (["a:x"], 0, "'host:port'"),
        (["a:99999"], 0, "'host:port'"),
    ],
)
def test_arguments_out_of_range_are_refused(addresses, index, words):
    with pytest.raises(ValueError, match=words):
        find_place(addresses, index, {})


@pytest.mark.parametrize(
    ("addresses", "index"), [("a:1", 0), ([1], 0), (ADDRESSES, 0.5)]
)
def test_arguments_of_another_type_are_refused(addresses, index):
    with pytest.raises(TypeError):
        find_place(addresses, index, {})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": 3}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_tf_config_that_says_nothing_is_refused(text):
    with pytest.raises(ValueError, match="TF_CONFIG"):
        find_place(None, None, {"TF_CONFIG": text})
