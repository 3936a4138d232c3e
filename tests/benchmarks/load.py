"""What other processes took of the processor while a contestant worked.

    others = (cores * seconds - idle time - CPU time of the contestant) / seconds

in cores: the time in which a core was neither idle nor working for the contestant. It
went to other processes, to the system itself, or, on a virtual machine that knows of
it, to other machines ("steal").

Plain Python, because every contestant's environment imports it.
"""

import os
import time
from typing import NamedTuple

# Of one core; above it times are not comparable. Libraries whose threads wait actively
# become many times slower.
LIMIT = 0.1
STAT = "/proc/stat"


class Clocks(NamedTuple):
    """Clocks read at one moment.

    Fields:
        wall: seconds.
        own: seconds that all threads of this process have worked.
        idle: seconds that the machine's cores have been idle, added up; None where
            the system does not tell.
        cores: number of cores.
    """

    wall: float
    own: float
    idle: float | None
    cores: int


def read_clocks(stat=STAT):
    """`Clocks` of now; `stat` is the file of Linux that counts idle time."""
    try:
        with open(stat) as file:
            lines = [line.split() for line in file if line.startswith("cpu")]
    except OSError:
        return Clocks(time.perf_counter(), time.process_time(), None, 0)
    # The first line adds up the cores; its fifth column is idle time, too: that spent
    # waiting for a disk.
    ticks = int(lines[0][4]) + int(lines[0][5])
    idle = ticks / os.sysconf("SC_CLK_TCK")
    return Clocks(time.perf_counter(), time.process_time(), idle, len(lines) - 1)


def others(before, after):
    """Cores that others took between two `Clocks`, at least; None if unknown.

    Idle time is counted in ticks, so two of them may be the rounding's and are left
    out: 0.02 cores in a second.
    """
    if before.idle is None or after.idle is None:
        return None
    wall, own, idle = (after[i] - before[i] for i in range(3))
    rounding = 2 / os.sysconf("SC_CLK_TCK")
    return max(after.cores * wall - idle - own - rounding, 0.0) / wall


def repeat(turn, *, tries=6, pause=0.3):
    """Makes a turn until others leave the processor to it, each time after a pause.

    Args:
        turn: Function that returns a dict with the key `"others"`.
        tries: How often at most.
        pause: Seconds before the first one; each of the others waits twice as long.

    Returns:
        List of what it returned. All but the last were disturbed, and the last only if
        there were as many as `tries`.
    """
    made = []
    while len(made) < tries:
        time.sleep(pause * 2 ** len(made))
        made.append(turn())
        if not disturbs(made[-1]["others"]):
            break
    return made


def disturbs(cores):
    """Whether a turn in which others took so many cores, or None, is worthless."""
    return cores is not None and cores > LIMIT
