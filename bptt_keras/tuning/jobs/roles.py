"""The role of a process in a job, from KerasTuner's environment variables."""

from __future__ import annotations

import os
from typing import NamedTuple

from bptt_keras.tuning.jobs.service import check_address

SECRET = "BPTT_KERAS_TUNING_SECRET"
ADDRESS, PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
NAME = "KERASTUNER_TUNER_ID"
CHIEF = "chief"


class Role(NamedTuple):
    """The role of a process.

    Fields:
        kind: `"alone"`, `"chief"` or `"worker"`.
        name: Its name in the job.
        address: IP address of the chief; empty if there is none.
        port: Port of the chief; 0 if there is none.
        secret: Shared secret of chief and workers, or `None`.
    """

    kind: str
    name: str
    address: str = ""
    port: int = 0
    secret: str | None = None

    @classmethod
    def of_this_process(cls, secret: str | None = None) -> Role:
        """The role that the environment variables give.

        The variables are those of KerasTuner: `KERASTUNER_ORACLE_IP`,
        `KERASTUNER_ORACLE_PORT` and `KERASTUNER_TUNER_ID`, all three or none. The
        process named `chief`, and no other, is the chief.

        Args:
            secret: Shared secret of chief and workers. `None`:
                $BPTT_KERAS_TUNING_SECRET.

        Raises:
            ValueError: If a variable is missing, the port is invalid, or the chief
                would listen beyond this machine without a secret.
        """
        secret = secret or os.environ.get(SECRET) or None
        given = {name: os.environ.get(name, "") for name in (ADDRESS, PORT, NAME)}
        if not given[ADDRESS]:
            return cls("alone", given[NAME] or "tuner0", secret=secret)
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise ValueError(
                f"{ADDRESS} is set, so {' and '.join(missing)} must be set, too."
            )
        if not given[PORT].isdecimal() or not 0 < int(given[PORT]) < 2**16:
            raise ValueError(f"{PORT} must be a port. Received: {given[PORT]}.")
        kind = "chief" if given[NAME] == CHIEF else "worker"
        if kind == "chief":
            check_address(given[ADDRESS], secret)
        return cls(kind, given[NAME], given[ADDRESS], int(given[PORT]), secret)
