"""Rounds of contestants that compute nothing."""

import sys

import pytest

from tests.benchmarks.rounds import Contestant, race

ROUNDS = 3


def fake(name, how="well", seconds=0.001):
    command = (sys.executable, "-m", "tests.benchmarks.fake_worker", how, str(seconds))
    return Contestant(name, command)


@pytest.fixture(scope="module")
def results():
    """One race of good contestants and of some that fail in their own ways."""
    return race(
        [
            fake("slow", seconds=0.02),
            fake("raises", "raises"),
            fake("exits", "exits"),
            fake("hangs", "hangs"),
            fake("prints", "prints"),
            Contestant("missing", ("./no-such-python",)),
            fake("fast", seconds=0.005),
        ],
        ROUNDS,
        timeout=1.5,
        pause=0.0,
        say=lambda line: None,
    )


def test_good_contestants_answer_every_round(results):
    for name in ("slow", "fast"):
        assert results[name]["error"] is None
        assert len(results[name]["rounds"]) == ROUNDS
        assert results[name]["first"] > 0
        assert results[name]["peak_mib"] > 0
        assert results[name]["versions"] == {"Fake": "well"}
    # The first update and the warm-up came before.
    assert results["fast"]["rounds"][0]["loss"] == pytest.approx(1 / 3)


def test_seconds_are_those_of_a_window(results):
    assert all(turn["seconds"] >= 0.02 for turn in results["slow"]["rounds"])
    assert min(t["seconds"] for t in results["fast"]["rounds"]) < 0.02


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("raises", "ValueError: the first line"),
        ("exits", "no such thing"),
        ("hangs", "no answer in 1.5 seconds"),
        ("prints", "no answer in JSON: hello"),
        ("missing", "FileNotFoundError"),
    ],
)
def test_failure_is_one_line_and_others_continue(results, name, error):
    assert results[name]["error"].startswith(error)
    assert "\n" not in results[name]["error"]
