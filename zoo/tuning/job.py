"""A tuning job, as its tables, plots and pages show it."""

from __future__ import annotations

import dataclasses
import math

STATUSES = ("completed", "cut", "pruned", "running", "waiting", "failed")
# Statuses of trials that may be the best. A pruned trial has too few epochs.
ELIGIBLE = ("completed", "cut", "running")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination of hyperparameters, with its results so far.

    Args:
        name: Name, such as "07".
        status: waiting, running, completed, failed, pruned, or cut (by the time
            budget).
        values: Hyperparameter -> int, float, str, bool or None; only the active ones.
        value: The objective, averaged over seeds; None if unknown.
        seeds: The objective of each seed.
        epoch: The best epoch, counted from 1.
        curve: The objective of the first seed after each epoch.
        seconds: Wall time.
        worker: Name of the worker that ran it.
        cause: Cause of a failure, in one line.

    Raises:
        ValueError: If the status is not one of those above.
    """

    name: str
    status: str
    values: dict
    value: float | None
    seeds: tuple[float, ...] = ()
    epoch: int | None = None
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    worker: str = ""
    cause: str = ""

    def __post_init__(self):
        if self.status not in STATUSES:
            raise ValueError(
                f"`status` must be one of: {', '.join(STATUSES)}. "
                f"Received: status={self.status!r}"
            )

    @property
    def measured(self) -> bool:
        """Whether it has a finite objective; failed trials have none."""
        known = self.value is not None and math.isfinite(self.value)
        return known and self.status != "failed"

    @property
    def reached(self) -> float:
        """The objective; NaN if unknown."""
        return math.nan if self.value is None else self.value

    @property
    def ended(self) -> bool:
        """Whether its results are final."""
        return self.status not in ("waiting", "running")


@dataclasses.dataclass(frozen=True)
class Job:
    """All trials of a tuning job so far.

    Args:
        title: Title, such as "char-lm on my.txt".
        objective: Name of the objective, such as "validation cross-entropy".
        unit: Unit of the objective, or "".
        higher: Whether higher is better.
        space: Hyperparameter -> `{"low": ..., "high": ..., "log": bool, "step": ...}`
            or `{"choices": [...]}`.
        trials: The trials, in the order in which they were started.
        references: Name -> objective: baselines to compare with.
        seconds: Wall time of the job so far.
        budget: Time limit in seconds; None if there is none.
        settings: Tuner, seeds, epochs, data and so on, with any nesting. A text
            `train_command` is the command that trains with the best values.

    Example:
        from zoo.tuning.job import Job, Trial

        job = Job(
            "char-lm on my.txt",
            "validation cross-entropy",
            space={"units": {"low": 32, "high": 256, "log": True}},
            trials=(
                Trial("00", "completed", {"units": 64}, 2.5),
                Trial("01", "failed", {"units": 256}, None, cause="out of memory"),
            ),
        )
        assert job.best.name == "00"
    """

    title: str
    objective: str
    _: dataclasses.KW_ONLY
    unit: str = ""
    higher: bool = False
    space: dict = dataclasses.field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    references: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    budget: float | None = None
    settings: dict = dataclasses.field(default_factory=dict)

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """All trials, best first.

        First the trials that may be the best, by objective; then pruned trials, by
        objective; then those without an objective, in the order of their start, with
        failures last.
        """

        def order(trial):
            if not trial.measured:
                return 2 + (trial.status == "failed"), 0.0
            value = -trial.value if self.higher else trial.value
            return int(trial.status not in ELIGIBLE), value

        return tuple(sorted(self.trials, key=order))

    @property
    def best(self) -> Trial | None:
        """The completed, cut or running trial with the best objective, if any."""
        first = next(iter(self.ranked), None)
        if first is None or not first.measured or first.status not in ELIGIBLE:
            return None
        return first

    @property
    def failed(self) -> tuple[Trial, ...]:
        """The trials that failed."""
        return tuple(trial for trial in self.trials if trial.status == "failed")

    @property
    def names(self) -> tuple[str, ...]:
        """All hyperparameters: those of the space, then others that trials have."""
        others = (name for trial in self.trials for name in trial.values)
        return tuple(dict.fromkeys([*self.space, *others]))

    @property
    def counts(self) -> dict[str, int]:
        """The number of trials of each status that occurs."""
        found = [trial.status for trial in self.trials]
        return {s: found.count(s) for s in STATUSES if s in found}

    @property
    def left(self) -> float | None:
        """Seconds left of the budget, at least 0; None if there is no limit."""
        return None if self.budget is None else max(0.0, self.budget - self.seconds)

    def better(self, value: float, than: float) -> bool:
        """Whether one objective beats another; NaN beats nothing."""
        return value > than if self.higher else value < than

    def numeric(self, name: str) -> bool:
        """Whether a hyperparameter has a numeric axis; choices do not."""
        entry = self.space.get(name)
        if entry is not None:
            return "choices" not in entry
        values = [t.values[name] for t in self.trials if name in t.values]
        return all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in values
        )

    def choices(self, name: str) -> list:
        """Choices of a hyperparameter: those of the space, then others that occur."""
        found = list(self.space.get(name, {}).get("choices", ()))
        tried = [t.values[name] for t in self.trials if name in t.values]
        for value in tried:
            # 1, 1.0 and True are equal but different choices.
            if repr(value) not in map(repr, found):
                found.append(value)
        return found
