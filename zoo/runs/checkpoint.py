"""What training a checkpoint is of, and what may resume from it."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import bptt_keras as bk
from zoo.plain.changes import differences
from zoo.recipes.recipe import Training
from zoo.runs.checkpoint_files import write_training
from zoo.runs.fingerprint import digest
from zoo.system.errors import UserError

EVERY = datetime.timedelta(minutes=1)
# A training for more epochs than before has other learning rates, and goes on although
# patience had ended it. `Run` sees to it that nothing else of the recipe differs.
ACCEPTED = ("compile.optimizer", "stop_training")


class Resumable(Protocol):
    """The parts of a run that say what training it is."""

    checkpoint: Path
    data: Any
    facts: dict[str, Any]
    origin: dict[str, Any]
    out: Any
    patient_since: int
    recipe: Training


def resuming(
    run: Resumable, before: dict[str, Any] | None, print_fn: Callable[[str], Any]
) -> bk.callbacks.Resume:
    """A callback that saves a run and resumes it, once it is clear that it may.

    Args:
        run: The run.
        before: What `read_training` returned for its folder; `None`: the run begins.
        print_fn: Function of a string.

    Raises:
        UserError: If that training had other data.
    """
    folder = run.checkpoint
    training = json.loads(json.dumps(_training(run)))
    if before is not None:
        _refuse_other_data(run, before["data"], training["data"])
        training["patient_since"] = max(
            training["patient_since"], before["patient_since"]
        )
        run.patient_since = training["patient_since"]
    if training != before and bk.distribute.is_first():
        write_training(folder, training)
    return bk.callbacks.Resume(folder, every=EVERY, accept=ACCEPTED, print_fn=print_fn)


def _training(run: Resumable) -> dict[str, Any]:
    return {
        "origin": run.origin,
        "recipe": dataclasses.asdict(run.recipe),
        "data": {"sha256": digest(run.data), "facts": run.facts["data"]},
        "patient_since": run.patient_since,
    }


def _refuse_other_data(run: Resumable, before: dict, now: dict) -> None:
    if before["sha256"] == now["sha256"]:
        return
    changed = differences(before["facts"], now["facts"])
    what = "; ".join(changed) or "the same sizes, but other values"
    raise UserError(
        f"The training in {run.out} was begun with other data: {what}. "
        "Put the old data back, or begin a new training."
    )
