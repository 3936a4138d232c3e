"""What a `Resume` refuses, and says, before a `fit` begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import keras

from bptt_keras.files import refuse_links
from bptt_keras.resume import position
from bptt_keras.resume.configuration import Difference, differences
from bptt_keras.resume.course import Place
from bptt_keras.resume.saves import ResumeError, Save
from bptt_keras.training.steps import Fit


def accepted_differences(
    save: Save, configuration: dict[str, Any], accept: Sequence[str], folder: Path
) -> list[Difference]:
    """The differences between a save and a training, all of them accepted.

    Args:
        save: The save.
        configuration: What the training is.
        accept: Names of what may differ.
        folder: The folder of the save.

    Raises:
        ResumeError: If there is another one.
    """
    accepted = []
    for found in differences(save.content["configuration"], configuration):
        if not found.is_within(accept):
            raise ResumeError(
                f"The saves in {folder} are of another training. The first "
                f"difference: {found}. Restore that, name it in `accept`, or give this "
                f"training another folder."
            )
        accepted.append(found)
    return accepted


def accepted_rate(optimizer: Any, accepted: Sequence[Difference]) -> float | None:
    """The learning rate, if another one than that of the saves is accepted."""
    rate = optimizer.learning_rate
    if not isinstance(rate, keras.Variable):  # A schedule, which is not saved.
        return None
    changed = any(found.path.endswith(".learning_rate") for found in accepted)
    return float(rate) if changed else None


def check_arrived(target: Place | None) -> None:
    """Raises if training has ended before it got to the place where to resume."""
    if target is not None:
        raise ResumeError(
            f"The data have ended before the place of the save: after {target.call} "
            f"steps of epoch {target.epoch + 1}. Restore the data, or give the "
            f"training another folder to begin anew."
        )


def check_epochs(epochs: int, begun: int, folder: Path) -> None:
    """Raises if fewer epochs are asked for than a training has begun."""
    if epochs < begun:
        raise ResumeError(
            f"The training in {folder} has begun epoch {begun}. Received: "
            f"epochs={epochs}. Give as many or more."
        )


def check_whole(save: Save | None, remarks: Sequence[str], folder: Path) -> None:
    """Raises if there are saves, but none is whole."""
    if save is None and remarks:
        raise ResumeError(
            f"All saves in {folder} are damaged. Give the training another folder to "
            f"begin anew."
        )


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raises if another callback says where a `fit` begins."""
    refused = [c for c in callbacks if isinstance(c, keras.callbacks.BackupAndRestore)]
    if refused:
        raise ValueError(
            "Both `BackupAndRestore` and `Resume` say where a `fit` begins. Received: "
            "both. Leave `BackupAndRestore` out."
        )


def taken(folder: Path) -> filelock.BaseFileLock:
    """Makes a folder, if it is missing, and keeps others out of it.

    Others are a second process, or a second `fit` of this one.

    Raises:
        OSError: If it cannot be written to.
        RuntimeError: If another one has it.
        ValueError: If there are links in it, through which other files would change.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refuse_links(folder, "lock", ".new-*", "save-*")
        lock = filelock.FileLock(folder / "lock", thread_local=False)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RuntimeError(
            f"Another training is saving into {folder}. Wait for its end, or give "
            f"this one a folder of its own."
        ) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise type(error)(
            error.errno, f"The `folder` of `Resume` cannot be written to: {why}", folder
        ) from None
    return lock


def remarks_on(fit: Fit, save: Save | None) -> Iterator[str]:
    """Sentences on what is resumed, and how exact that is.

    Args:
        fit: The `fit`.
        save: The `Save` from which it resumes; `None`: it begins.
    """
    if position.has_no_seed(fit.x, fit.arguments.get("shuffle")):
        yield (
            "The data are shuffled without a seed: after a resume, later passes over "
            "them have another order than without. `keras.utils.set_random_seed` fixes "
            "it."
        )
    if save is None:
        return
    place = Place(*save.content["place"])
    after = "the end" if place.finished else f"batch {save.content['batches']}"
    yield f"Resuming after {after} of epoch {place.epoch + 1}."
    if save.content["way"] == position.REPLAYED:
        yield (
            f"The position in these data cannot be saved, so the "
            f"{save.content['replayed']} batches before it are drawn once more. The "
            f"result is exact if they are the same again."
        )


def of_this_run(callback: Any) -> bool:
    """Whether a callback belongs to the processes of a run, not to the training."""
    return getattr(callback, "of_this_run", False)
