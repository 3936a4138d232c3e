"""Trainings in several processes: `--workers N`, or as the environment says."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from zoo.cli.options import Keyword
from zoo.system.errors import UserError, ZooError
from zoo.system.locks import alone_in
from zoo.system.quiet import import_tensorflow

Workers = Annotated[
    int | None,
    Keyword(
        "train in N processes of this machine, each with its rows of every batch; the "
        "result is that of one",
        "N",
    ),
]


def is_worker() -> bool:
    """Whether this process is one of several that train together."""
    return "TF_CONFIG" in os.environ or int(os.environ.get("SLURM_NTASKS", "1")) > 1


def is_first_worker() -> bool:
    """Whether this is the process that prints and writes."""
    if not is_worker():
        return True
    # Put off: it imports TensorFlow.
    import bptt_keras as bk

    return bk.distribute.is_first()


def start_workers(arguments: Sequence[str], workers: int) -> int:
    """Runs the command in several processes; returns the exit code.

    Args:
        arguments: Those of the command.
        workers: Number of processes.

    Raises:
        UserError: If the number is below 1.
    """
    if workers < 1:
        raise UserError(f"`--workers` must be at least 1. Received: {workers}")
    import_tensorflow()
    # Put off: it imports TensorFlow.
    import bptt_keras as bk

    return bk.distribute.launch(
        [sys.executable, "-m", "zoo.cli.main", *arguments], workers
    )


def join_workers(workers: int | None) -> None:
    """Makes this process one of those that train together, if there are several.

    Args:
        workers: The number that was asked for, or `None`.

    Raises:
        UserError: If the environment gives another number.
        ZooError: If the others cannot be reached.
    """
    if not is_worker():
        return
    import_tensorflow()
    # Put off: it imports TensorFlow.
    import bptt_keras as bk

    try:
        bk.distribute.initialize()
    except bk.distribute.DistributeError as error:
        raise ZooError(str(error)) from None
    except ValueError as error:
        raise UserError(str(error)) from None
    count = bk.distribute.process_count()
    if workers is not None and workers != count:
        raise UserError(
            f"The environment says that {count} processes train together, and "
            f"`--workers` {workers}. Leave `--workers` out."
        )


@contextlib.contextmanager
def own_folder(out: Path) -> Iterator[Path]:
    """Within: the folder to write to, with nobody else in it.

    Args:
        out: That of the training, which the first process has.
    """
    if is_first_worker():
        with alone_in(out):
            yield out
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
