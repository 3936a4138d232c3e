"""Made-up tuning jobs."""

import dataclasses

from zoo.tuning.job import Job, Trial

SPACE = {
    "layer": {"choices": ["lstm", "gru"]},
    "units": {"low": 32, "high": 256, "log": True},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "window": {"choices": [25, 100, None]},
    "clip": {"low": 0.5, "high": 2.0, "log": False},
}
VALUES = {"layer": "gru", "units": 64, "learning_rate": 0.1 / 3, "window": None}
TRIALS = (
    Trial("00", "completed", VALUES, 2.5, (2.25, 2.75), 3, (3.0, 2.5), 75.0, "a"),
    Trial("01", "failed", VALUES | {"clip": 1.0}, None, seconds=5.0, cause="no <room>"),
    Trial("02", "completed", VALUES | {"layer": "lstm"}, 2.0, (2.0,), 1),
    Trial("03", "pruned", VALUES, 1.5, (1.5,), 1),
    Trial("04", "completed", VALUES, 1e6, (1e6,), 1),
    Trial("05", "completed", VALUES, float("nan")),
    Trial("06", "cut", VALUES, 2.125),
    Trial("07", "running", VALUES, None),
    Trial("08", "waiting", VALUES, None),
)


def job(trials=TRIALS, **changes):
    """A job with a trial of each kind."""
    made = Job(
        "char-lm on <mine>",
        "validation cross-entropy",
        unit="nats per character",
        space=SPACE,
        trials=tuple(trials),
        references={"default recipe": 2.25},
        seconds=90.0,
        budget=3690.0,
        settings={"tuner": "random", "train_command": "train --recipe 'a & b'"},
    )
    return dataclasses.replace(made, **changes)


def measured(values, of=None, **changes):
    """A job of completed trials with these objectives."""
    return job(
        [
            Trial(f"{i:02}", "completed", of(i) if of else VALUES, value)
            for i, value in enumerate(values)
        ],
        **changes,
    )


ALL_FAILED = [dataclasses.replace(TRIALS[1], name=f"{i:02}") for i in range(3)]
# Jobs that anything which shows a job must be able to show.
JOBS = {
    "mixed": job(),
    "higher": job(higher=True, unit=""),
    "without trials": job([]),
    "one": job(TRIALS[:1]),
    "all failed": job(ALL_FAILED),
    "over decades": measured([10.0**-i for i in range(6)]),
    "no space": job(space={}),
    "no hyperparameters": Job("x", "loss", trials=(Trial("a", "completed", {}, 1.0),)),
    "alike": measured([2.0] * 9),
}
