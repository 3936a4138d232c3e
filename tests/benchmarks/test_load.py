"""What other processes took: from clocks that are known, and beside a busy process."""

import os
import subprocess
import sys
import time

import pytest

from tests.benchmarks import load
from tests.benchmarks.load import Clocks, others

TICK = 1 / os.sysconf("SC_CLK_TCK")
STAT = """cpu  1000 0 200 {idle} {waiting} 0 6 {stolen} 0 0
cpu0 500 0 100 1500 50 0 3 2 0 0
cpu1 500 0 100 1500 50 0 3 2 0 0
intr 12345
"""


def after(wall, own, idle):
    """Clocks of two cores, that much later."""
    return Clocks(wall, own, idle, cores=2)


START = after(0.0, 0.0, 0.0)


def test_others_took_what_is_neither_idle_nor_own():
    # Of 4 core-seconds 1 was own and 2 were idle.
    assert others(START, after(2.0, 1.0, 2.0)) == pytest.approx(0.5 - TICK)


def test_rounding_of_ticks_is_not_taken_for_others():
    assert others(START, after(0.1, 0.1, 0.1 - 2 * TICK)) == pytest.approx(0)
    # A tick may also be counted twice.
    assert others(START, after(0.1, 0.1, 0.1 + TICK)) == 0.0


def test_time_of_waiting_for_a_disk_is_idle(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(idle=3000, waiting=100, stolen=4))
    clocks = load.read_clocks(stat)
    assert clocks.idle == pytest.approx(3100 * TICK)
    assert clocks.cores == 2


def test_stolen_time_is_load(tmp_path):
    # A second of two cores: the contestant works on one, the other is stolen by half.
    stat = tmp_path / "stat"
    seen = []
    for idle, stolen in [(3000, 4), (3000 + 0.5 / TICK, 4 + 0.5 / TICK)]:
        text = STAT.format(idle=round(idle), waiting=100, stolen=round(stolen))
        stat.write_text(text)
        seen.append(load.read_clocks(stat))
    before, then = seen
    own, wall = before.own + 1.0, before.wall + 1.0
    then = then._replace(own=own, wall=wall)
    assert others(before, then) == pytest.approx(0.5 - 2 * TICK)


def test_system_that_does_not_tell_leaves_it_unknown(tmp_path):
    clocks = load.read_clocks(tmp_path / "missing")
    assert others(clocks, clocks) is None
    assert not load.disturbs(None)


def test_more_than_a_tenth_of_a_core_disturbs():
    assert load.disturbs(0.11)
    assert not load.disturbs(0.09)


@pytest.mark.skipif(not os.path.exists(load.STAT), reason="Linux tells, others do not")
def test_busy_process_beside_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            before = load.read_clocks()
            time.sleep(1.0)
            assert load.disturbs(others(before, load.read_clocks()))
        finally:
            busy.kill()
