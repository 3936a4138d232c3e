"""The process that holds a job while workers train for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from bptt_keras.tuning.jobs.oracle import DurableOracle
from bptt_keras.tuning.jobs.progress import BEAT
from bptt_keras.tuning.jobs.roles import Role
from bptt_keras.tuning.jobs.service import Chief
from bptt_keras.tuning.jobs.workers import Workers
from bptt_keras.tuning.results import TuningError

# Seconds that a trial has to end by itself once the time of its job is up.
GRACE = 5.0


def serve(own: DurableOracle, role: Role, look: Callable[[], None]) -> None:
    """Serves workers that are started elsewhere, until the job is finished.

    Args:
        own: Oracle of the job.
        role: Role of this process, that of a chief.
        look: Called repeatedly.
    """
    chief = Chief(own, role.address, role.port, role.secret)
    try:
        while not own.finished and own.seconds_left > 0 and own.error is None:
            for worker in own.release_silent():
                print(f"{worker} is silent; its trial is given to another.")
            look()
            time.sleep(0.5)
        # The workers ask once more, and learn that nothing is left.
        end = time.monotonic() + 2 * BEAT
        while own.working and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(1.5)
    finally:
        chief.close()


def supervise(own: DurableOracle, count: int, look: Callable[[], None]) -> None:
    """Runs a chief in this process, and workers in processes of their own.

    Args:
        own: Oracle of the job.
        count: Number of workers.
        look: Called repeatedly.

    Raises:
        TuningError: If no worker will ever finish the job.
    """
    secret = secrets.token_hex(16)
    chief = Chief(own, secret=secret)
    workers = Workers(count, chief.port, secret, own.died)
    try:
        while not own.finished and own.error is None:
            if own.seconds_left <= -GRACE:
                break
            workers.tend(restart=own.seconds_left > 0)
            if own.seconds_left <= 0 and not workers.alive:
                break
            useless = workers.useless(own.clients)
            waits = own.error is None and own.seconds_left > 0
            if useless and waits and not own.finished:
                raise TuningError(useless)
            look()
            time.sleep(0.2)
        workers.wait(3.0)
    finally:
        workers.end()
        chief.close()
