"""A tuning job in TensorBoard's table of hyperparameters."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.system.errors import UserError, ZooError
from zoo.system.reading import read_json
from zoo.tuning.job import Job, Trial

RECORD = "written.json"  # beside event files: what they hold
KINDS = {"bool": bool, "int": int, "float": float, "str": str}


def write_hparams(folder: str | os.PathLike, job: Job) -> None:
    """Writes event files for TensorBoard's HParams: a run per trial, and the space.

    A trial is written once, when it has ended, into a folder of its name. It is written
    again only if it has changed, for example if it was cut and then continued. Runs of
    trials that the job no longer has are removed. So this can be called after each
    trial, even while TensorBoard is reading.

    Each run has the objective (the mean over seeds, at the best epoch), `seconds`, and
    the objective of the first seed after each epoch as `by epoch`. Hyperparameters
    whose choices have different types, such as 100 and None, are texts.

    Args:
        folder: Folder for these runs only; created if missing.
        job: The job.

    Raises:
        ZooError: If TensorFlow or TensorBoard is not installed.

    Example:
        from zoo.tuning.hparams import write_hparams
        from zoo.tuning.job import Job, Trial

        job = Job("a job", "loss", trials=(Trial("00", "completed", {"x": 1}, 2.5),))
        write_hparams("hparams", job)       # tensorboard --logdir hparams
    """
    _check()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_space(folder, job)
    ended = {trial.name: trial for trial in job.trials if trial.ended}
    for record in folder.glob(f"*/{RECORD}"):
        if record.parent.name not in ended:
            shutil.rmtree(record.parent)
    for name, trial in ended.items():
        known = dataclasses.asdict(trial) | {"values": _values(job, trial)}
        known["objective"] = job.objective
        if _recorded(folder / name) == _plain(known):
            continue
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            run = Path(temporary, name)
            _events(run, functools.partial(_write_trial, job, trial))
            _record(run, known)
            shutil.rmtree(folder / name, ignore_errors=True)
            os.replace(run, folder / name)


def _check() -> None:
    try:
        # TensorBoard: put off.
        import tensorboard.plugins.hparams.api  # noqa: F401
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise ZooError(
            "Event files for TensorBoard need TensorFlow and TensorBoard. Install them "
            'with `pip install "bptt_keras[cpu,tuner]"`.'
        ) from error


def _write_space(folder: Path, job: Job) -> None:
    """Writes the experiment, unless the same one has been written."""
    # TensorBoard: put off.
    from tensorboard.plugins.hparams import api

    known = {
        "objective": [job.objective, job.unit],
        "space": {name: [_kind(job, name), job.space.get(name)] for name in job.names},
    }
    if _recorded(folder) == _plain(known):
        return
    hparams = [api.HParam(name, _domain(job, name)) for name in job.names]
    shown = f"{job.objective} ({job.unit})" if job.unit else job.objective
    metrics = [
        api.Metric(job.objective, display_name=shown),
        api.Metric("seconds", display_name="seconds"),
    ]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
        _events(Path(temporary), lambda: api.hparams_config(hparams, metrics))
        old = list(folder.glob("events.*"))
        for file in Path(temporary).glob("events.*"):
            os.replace(file, folder / file.name)
    for file in old:
        file.unlink()
    _record(folder, known)


def _write_trial(job: Job, trial: Trial) -> None:
    """Writes a trial to the default writer."""
    # TensorFlow: put off.
    import tensorflow as tf
    from tensorboard.plugins.hparams import api, api_pb2, summary

    end = time.time()
    api.hparams(
        _values(job, trial), trial_id=trial.name, start_time_secs=end - trial.seconds
    )
    if trial.value is not None:
        tf.summary.scalar(job.objective, trial.value, step=trial.epoch or 0)
    tf.summary.scalar("seconds", trial.seconds, step=0)
    for epoch, value in enumerate(trial.curve, start=1):
        tf.summary.scalar(f"{job.objective} by epoch", value, step=epoch)
    failed = trial.status == "failed"
    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    last = summary.session_end_pb(status, end_time_secs=end)
    tf.summary.experimental.write_raw_pb(last.SerializeToString(), step=0)
    if failed and trial.cause:
        tf.summary.text("cause", trial.cause, step=0)


def _events(folder: Path, write: Callable[[], None]) -> None:
    """Calls `write` with a writer of event files in `folder` as the default."""
    # TensorFlow: put off.
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(), tf.summary.record_if(True):
        write()
    writer.close()


def _kind(job: Job, name: str) -> str:
    """The type under which TensorBoard shows all values of a hyperparameter."""
    values = job.choices(name)
    if job.numeric(name):
        entry = job.space.get(name, {})
        values = [
            v for v in [*values, *map(entry.get, ("low", "high"))] if v is not None
        ]
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and kinds <= {bool, int, float}:
        return kinds.pop().__name__
    return "float" if kinds and kinds <= {int, float} else "str"


def _values(job: Job, trial: Trial) -> dict:
    """A trial's hyperparameters, converted to their types."""
    return {
        name: KINDS[_kind(job, name)](value)
        for name, value in trial.values.items()
        if value is not None or not job.numeric(name)
    }


def _domain(job: Job, name: str) -> Any:
    # TensorBoard: put off.
    from tensorboard.plugins.hparams import api

    kind, entry = KINDS[_kind(job, name)], job.space.get(name, {})
    if "low" in entry and "high" in entry and kind in (int, float):
        interval = api.IntInterval if kind is int else api.RealInterval
        return interval(kind(entry["low"]), kind(entry["high"]))
    values = [v for v in job.choices(name) if v is not None or not job.numeric(name)]
    return api.Discrete(sorted({kind(v) for v in values}), dtype=kind)


def _plain(known: dict) -> Any:
    """The values after a round trip through JSON."""
    return json.loads(json.dumps(known, default=str))


def _record(folder: Path, known: dict) -> None:
    (folder / RECORD).write_text(json.dumps(known, default=str), encoding="utf-8")


def _recorded(folder: Path) -> Any:
    """What a folder's event files hold; None if unknown."""
    try:
        return read_json(folder / RECORD)
    except UserError:
        return None
