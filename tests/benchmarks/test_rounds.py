"""Rounds of contestants that compute nothing."""

import os
import subprocess
import sys

import pytest

from tests.benchmarks import load
from tests.benchmarks.rounds import Contestant, race

ROUNDS = 3
QUIET, BUSY = 0.0, 0.5


def fake(name, how="well", seconds=0.001, loads=(QUIET,)):
    """A contestant; see `fake_worker`."""
    numbers = map(str, (seconds, *loads))
    command = (sys.executable, "-m", "tests.benchmarks.fake_worker", how, *numbers)
    return Contestant(name, command)


def quick_race(*contestants, rounds=2, tries=3):
    return race(
        contestants, rounds, tries=tries, pause=0.0, timeout=30, say=lambda line: None
    )


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
        assert results[name]["kernel"] == "none"
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


def test_disturbed_turn_is_repeated_until_it_is_quiet():
    # The warm-up; the first round, twice repeated; the second round.
    loads = (BUSY, BUSY, BUSY, QUIET, QUIET)
    rounds = quick_race(fake("a", loads=loads))["a"]["rounds"]
    assert [turn["others"] for turn in rounds] == [QUIET, QUIET]
    # One update and four turns came before the last one.
    assert rounds[-1]["loss"] == pytest.approx(1 / 6)


def test_last_repetition_counts_when_it_never_gets_quiet():
    results = quick_race(fake("a", loads=(BUSY,)), fake("b"), tries=3)
    rounds = results["a"]["rounds"]
    assert [turn["others"] for turn in rounds] == [BUSY, BUSY]
    # One update, one warm-up, a round of three turns, and one that is not repeated.
    assert rounds[-1]["loss"] == pytest.approx(1 / 6)
    assert results["b"]["rounds"][-1]["loss"] == pytest.approx(1 / 4)


@pytest.mark.skipif(not os.path.exists(load.STAT), reason="Linux tells, others do not")
def test_busy_process_beside_disturbs_every_turn():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            results = quick_race(fake("a", seconds=0.25, loads=()), tries=2)
        finally:
            busy.kill()
    assert all(load.disturbs(turn["others"]) for turn in results["a"]["rounds"])
