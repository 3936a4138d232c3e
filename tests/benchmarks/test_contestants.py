"""Which contestants are chosen, and the options and work that they are given."""

import json

import pytest

from tests.benchmarks.contestants import TABLE, choose, contestants
from tests.benchmarks.peers import data
from tests.benchmarks.shapes import SHAPES, Shape

TINY = Shape(rows=2, window=3, units=4, windows=4)


def test_patterns_choose_in_the_order_of_the_table():
    assert choose(["torch", "keras*"])[:1] == ["keras-1"]
    assert choose(["*"]) == list(TABLE)


def test_unknown_contestant_is_refused():
    with pytest.raises(ValueError, match="Received: 'tensorflow'"):
        choose(["torch", "tensorflow"])


def test_contestant_receives_shape_and_options():
    (one,) = contestants(["keras-xla-16"], TINY, {})
    shape, options = (json.loads(text) for text in one.command[-2:])
    assert Shape(**shape) == TINY
    assert options == {"jit_compile": True, "steps_per_execution": 16}


@pytest.mark.parametrize(
    ("name", "kernel", "switch"),
    [("bptt_keras", "native", None), ("bptt_keras-fused", "fused", "0")],
)
def test_kernel_is_demanded_on_a_cpu(name, kernel, switch):
    (one,) = contestants([name], TINY, {})
    assert json.loads(one.command[-1]) == {"kernel": kernel}
    assert one.env.get("BPTT_KERAS_NATIVE") == switch
    (one,) = contestants([name], TINY, {}, "gpu")
    assert json.loads(one.command[-1]) == {}


def test_peer_runs_in_its_own_python():
    (one,) = contestants(["jax"], TINY, {"jax": "python-of-jax"})
    assert one.command[0] == "python-of-jax"


@pytest.mark.parametrize("features", [0, 5])
def test_windows_continue_where_the_last_one_ended(features):
    shape = Shape(rows=2, window=3, units=4, windows=4, features=features)
    series, targets = data.series(shape)
    x, y = data.windows(shape)
    assert x.shape[:3] == y.shape == (4, 2, 3)
    for row in range(2):
        stream = slice(row * 12, (row + 1) * 12)
        assert (x[:, row].reshape(12, -1) == series[stream].reshape(12, -1)).all()
        assert (y[:, row].reshape(12) == targets[stream]).all()


def test_target_is_the_next_id():
    ids, targets = data.series(TINY)
    assert (ids[1:] == targets[:-1]).all()


def test_floating_point_operations_are_counted():
    # Per timestep: kernel (64, 16), recurrent kernel (4, 16), last kernel (4, 96).
    assert TINY.flops == 2 * 3 * 6 * (64 * 16 + 4 * 16 + 4 * 96)


@pytest.mark.parametrize("name", SHAPES)
def test_turn_holds_whole_batches(name):
    for shape in (SHAPES[name], SHAPES[name].quick()):
        assert shape.windows % shape.batch_windows == 0
