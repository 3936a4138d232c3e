"""The trials of a tuning job as CSV and as text."""

from __future__ import annotations

import csv
import io
import os
import re
import statistics
import textwrap
from collections.abc import Sequence

from zoo.plain.scales import headings
from zoo.system.files import write_text
from zoo.tuning.job import Job, Trial

MARK = "*"  # of the best trial


def write_csv(path: str | os.PathLike, job: Job) -> None:
    """Writes the trials as a CSV file, atomically.

    Columns are trial, status, value, the value of each seed, epoch, seconds, worker,
    the hyperparameters in the order of the space, and cause. Unknown and inactive
    values are empty. Numbers are written with full precision.

    Args:
        path: The file, replaced if it exists. Its folder must exist.
        job: The job.

    Example:
        from zoo.tuning.job import Job, Trial
        from zoo.tuning.table import write_csv

        trial = Trial("00", "completed", {"units": 64}, 2.5, seeds=(2.25, 2.75))
        write_csv("trials.csv", Job("a job", "loss", trials=(trial,)))
        assert open("trials.csv").read().splitlines() == [
            "trial,status,value,value_seed_0,value_seed_1,epoch,seconds,worker,units,"
            "cause",
            "00,completed,2.5,2.25,2.75,,0.0,,64,",
        ]
    """
    seeds = range(max((len(trial.seeds) for trial in job.trials), default=0))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["trial", "status", "value", *(f"value_seed_{i}" for i in seeds)]
        + ["epoch", "seconds", "worker", *job.names, "cause"]
    )
    for trial in job.trials:
        values = [str(trial.values[n]) if n in trial.values else "" for n in job.names]
        of_seeds = [*map(_exact, trial.seeds), *[""] * (len(seeds) - len(trial.seeds))]
        writer.writerow(
            [trial.name, trial.status, _exact(trial.value), *of_seeds]
            + ["" if trial.epoch is None else trial.epoch, _exact(trial.seconds)]
            + [trial.worker, *values, trial.cause]
        )
    write_text(path, text.getvalue())


def text_table(job: Job, width: int = 80) -> str:
    """The trials as a table for a terminal, in the order of their start.

    The best so far is marked. A failed trial shows its cause in place of numbers.
    Hyperparameters that do not fit are left out.

    Args:
        job: The job.
        width: Columns of the terminal.

    Returns:
        Lines of at most `width` characters: the objective, the trials, and finally the
        counts, the best trial and the remaining time.

    Example:
        from zoo.tuning.job import Job, Trial
        from zoo.tuning.table import text_table

        trial = Trial("00", "completed", {"units": 64}, 2.5, seconds=75)
        print(text_table(Job("a job", "loss", trials=(trial,), seconds=80)))
    """
    columns = [["  trial"], ["status"], ["value"], ["epoch"], ["time"]]
    for trial in job.trials:
        first = MARK if trial is job.best else " "
        row = [f"{first} {trial.name}", trial.status, value_text(trial)]
        row.append("" if trial.epoch is None else str(trial.epoch))
        row.append("" if trial.status == "waiting" else clock(trial.seconds))
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    columns = [_aligned(column, right=i > 1) for i, column in enumerate(columns)]
    columns += _values(job, width - sum(len(column[0]) + 2 for column in columns))
    rows = list(zip(*columns, strict=True))
    for index, trial in enumerate(job.trials, start=1):
        if trial.status == "failed":
            rows[index] = (*rows[index][:2], cause_text(trial))
    lines = [cut("  ".join(row).rstrip(), width) for row in rows]
    last = textwrap.fill(summary(job), width, subsequent_indent="  ")
    return "\n".join([cut(objective(job), width), *lines, last])


def causes_table(job: Job, width: int = 80) -> str:
    """The causes of failures, the most frequent first; "" if nothing failed.

    Args:
        job: The job.
        width: Columns of the terminal.
    """
    groups = causes(job)
    if not groups:
        return ""
    size = max(len(str(len(trials))) for _, trials in groups)
    lines = [f"{len(job.failed)} of {len(job.trials)} trials failed:"]
    for cause, trials in groups:
        lines.append(cut(f"  {len(trials):{size}} x  {cause}", width))
        names = ", ".join(trial.name for trial in trials)
        lines.append(cut(f"  {'':{size}}    trial{_s(trials)} {names}", width))
    return "\n".join(lines)


def causes(job: Job) -> list[tuple[str, list[Trial]]]:
    """The failed trials by cause, the most frequent first.

    Causes that differ only in numbers, such as shapes, count as one, in the words of
    the first trial.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in job.failed:
        kind = re.sub(r"\d+(\.\d+)?", "0", cause_text(trial))
        groups.setdefault(kind, []).append(trial)
    found = [(cause_text(trials[0]), trials) for trials in groups.values()]
    return sorted(found, key=lambda pair: -len(pair[1]))


def summary(job: Job) -> str:
    """One line: the best so far, the time, and the number of trials."""
    parts = ["no result yet"]
    if job.best is not None:
        unit = headings(job.unit, "")[0]
        best = f"best {number(job.best.reached)} {unit}".rstrip()
        parts = [f"{best} (trial {job.best.name})"]
    if job.left is None or job.budget is None:
        parts.append(f"{duration(job.seconds)} so far")
    else:
        parts.append(f"{duration(job.left)} of {duration(job.budget)} left")
    kinds = ", ".join(f"{n} {status}" for status, n in job.counts.items())
    count = f"{len(job.trials)} trial{_s(job.trials)}"
    return "; ".join([*parts, f"{count}: {kinds}" if kinds else count])


def objective(job: Job) -> str:
    """The objective with its unit, and whether lower or higher is better."""
    unit = f" ({job.unit})" if job.unit else ""
    return f"{job.objective}{unit}, {'higher' if job.higher else 'lower'} is better"


def value_text(trial: Trial) -> str:
    """The objective with its spread over seeds; "" if there is none."""
    if trial.value is None:
        return ""
    text = number(trial.value)
    if len(trial.seeds) > 1:
        text += f" ± {statistics.stdev(trial.seeds):.2g}"
    return text


def cause_text(trial: Trial) -> str:
    """The cause of a trial's failure, in one line."""
    return " ".join(trial.cause.split()) or "of unknown cause"


def number(value: float) -> str:
    """An objective with four decimals or four digits."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    return f"{value:.4f}" if plain else f"{value:.4g}"


def shown(value: object) -> str:
    """A value of a hyperparameter, floats with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def clock(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """A duration in words, in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def cut(line: str, width: int) -> str:
    """A line cut to at most `width` characters."""
    return line if len(line) <= width else line[: max(0, width - 3)] + "..."


def _values(job: Job, room: int) -> list[list[str]]:
    """Columns of hyperparameters, as many as fit."""
    columns: list[list[str]] = []
    for position, name in enumerate(job.names, start=1):
        cells = [
            shown(trial.values[name])
            if name in trial.values and trial.status != "failed"
            else ""
            for trial in job.trials
        ]
        column = _aligned([name, *cells], right=True)
        dots = 5 if position < len(job.names) else 0
        if len(column[0]) + dots > room:
            fit = ["..."] + [""] * len(job.trials)
            return [*columns, fit] if room >= 3 else columns
        columns.append(column)
        room -= len(column[0]) + 2
    return columns


def _aligned(cells: Sequence[str], *, right: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in cells]


def _exact(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _s(things: Sequence) -> str:
    return "" if len(things) == 1 else "s"
