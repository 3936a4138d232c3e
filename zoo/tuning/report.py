"""The HTML page of a tuning job."""

from __future__ import annotations

import html
import os
import statistics
from pathlib import Path

import bptt_keras as bk
from zoo.plain.scales import worded
from zoo.tuning.job import Job, Trial
from zoo.tuning.pictures import plots
from zoo.tuning.table import (
    causes,
    clock,
    duration,
    number,
    objective,
    shown,
    value_text,
)

REPORT = "report.html"
COMMAND = "train_command"  # key in the settings
FIRST = 10  # trials that are always visible; the others can be unfolded


def write_tuning_page(folder: str | os.PathLike, job: Job) -> Path:
    """Writes a self-contained page about a tuning job, which may still be running.

    The page shows the result and the command that trains with it, the trials, plots,
    causes of failures, the configuration and the space. It needs no other file, no
    network and no scripts.

    Args:
        folder: Folder for `report.html`, which is replaced if it exists.
        job: The job, with any number of trials that have a result.

    Returns:
        The path of the page.

    Raises:
        ZooError: If scikit-learn is not installed.

    Example:
        from zoo.tuning.job import Job, Trial
        from zoo.tuning.report import write_tuning_page

        job = Job("a job", "loss", trials=(Trial("00", "completed", {"x": 1}, 2.5),))
        assert "<h1>Tuning a job</h1>" in write_tuning_page(".", job).read_text()
    """
    title = f"Tuning {job.title}"
    page = bk.diagnostics.page
    settings = {name: v for name, v in job.settings.items() if name != COMMAND}
    parts = [
        f'<h1>{html.escape(title)}</h1>\n<p class="lead">{_lead(job)}</p>',
        page.table("Result", _result(job)),
        _causes(job) if job.best is None else _best(job),
        _trials(job),
        *_pictures(job),
        "" if job.best is None else _causes(job),
        page.table("Configuration", page.flat(settings)),
        page.table("Space", [(n, _range(entry)) for n, entry in job.space.items()]),
    ]
    return page.write_page(Path(folder) / REPORT, title, parts)


def _lead(job: Job) -> str:
    count = f"{len(job.trials)} trial{'' if len(job.trials) == 1 else 's'}"
    kinds = ", ".join(f"{n} {status}" for status, n in job.counts.items())
    return html.escape(f"{objective(job)}; {count}" + (f": {kinds}" if kinds else ""))


def _result(job: Job) -> list[tuple[str, object]]:
    best = job.best
    rows: list[tuple[str, object]]
    if best is None:
        rows = [("result", "none: no trial has one")]
    else:
        rows = [(f"best {job.objective}", worded(best.reached, job.unit))]
        if len(best.seeds) > 1:
            ends = f"{number(min(best.seeds))} to {number(max(best.seeds))}"
            words = f"{ends}, deviation {statistics.stdev(best.seeds):.2g}"
            rows.append((f"its {len(best.seeds)} seeds", words))
        where = best.name if best.status == "completed" else _status(best)
        rows.append(("trial", where))
        if best.epoch is not None:
            rows.append(("epoch", best.epoch))
    for name, level in job.references.items():
        rows.append((name, worded(level, job.unit) + _gain(job, level)))
    rows.append(("time", duration(job.seconds)))
    if job.left is not None and job.budget is not None:
        rows.append(("time left", f"{duration(job.left)} of {duration(job.budget)}"))
    return rows


def _status(trial: Trial) -> str:
    why = {"cut": "cut by the time budget", "running": "still running"}
    return f"{trial.name}, {why[trial.status]}"


def _gain(job: Job, level: float) -> str:
    """The distance of the best trial from a level, in words."""
    if job.best is None or level == 0:
        return ""
    gain = (job.best.reached - level) / abs(level) * (1 if job.higher else -1)
    if gain == 0:
        return " (the best equals it)"
    return f" (the best is {abs(gain):.2%} {'better' if gain > 0 else 'worse'})"


def _best(job: Job) -> str:
    if job.best is None:
        return ""
    rows = [(name, shown(value)) for name, value in job.best.values.items()]
    text = bk.diagnostics.page.table("Best values", rows)
    if COMMAND in job.settings:
        command = html.escape(str(job.settings[COMMAND]))
        text += f"\n<p>To train with them:</p>\n<pre>{command}</pre>"
    return text


def _trials(job: Job) -> str:
    if not job.trials:
        return ""
    rows = [_row(job, trial) for trial in job.ranked]
    text = "<h2>Trials</h2>\n" + _table(job, rows[:FIRST])
    if len(rows) > FIRST:
        rest = len(rows) - FIRST
        text += (
            f"\n<details><summary>{rest} more trial{'' if rest == 1 else 's'}</summary>"
            f"\n{_table(job, rows[FIRST:])}\n</details>"
        )
    return text


def _table(job: Job, rows: list[str]) -> str:
    names = ["trial", "status", "value", "epoch", "time", *job.names]
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "\n".join(rows)
    return (
        '<div class="scroll"><table class="columns">'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(job: Job, trial: Trial) -> str:
    epoch = "" if trial.epoch is None else str(trial.epoch)
    time = "" if trial.status == "waiting" else clock(trial.seconds)
    cells = [trial.status, value_text(trial), epoch, time]
    cells += [shown(trial.values[n]) if n in trial.values else "" for n in job.names]
    mark = ' class="best"' if trial is job.best else ""
    text = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr{mark}><th scope="row">{html.escape(trial.name)}</th>{text}</tr>'


def _pictures(job: Job) -> list[str]:
    if not job.trials:
        return []
    sections = [("Progress", plots.progress, "Objective by trial, and the best so far")]
    if job.names:
        sections += [
            (
                "Objective by hyperparameter",
                plots.against,
                "Objective against each hyperparameter",
            ),
            ("Combinations", plots.parallel, "Hyperparameters and objective by trial"),
            ("Importance", plots.importances, "Importance of each hyperparameter"),
        ]
    return [
        f'<h2>{heading}</h2>\n<div class="scroll">'
        f"{bk.diagnostics.page.image(draw(job), words)}</div>"
        for heading, draw, words in sections
    ]


def _causes(job: Job) -> str:
    rows = []
    for cause, trials in causes(job):
        names = ", ".join(trial.name for trial in trials)
        count = f"{len(trials)} trial{'' if len(trials) == 1 else 's'}"
        rows.append((count, f"{cause} ({names})"))
    return bk.diagnostics.page.table("Causes of failures", rows)


def _range(entry: dict) -> str:
    """An entry of the space, in words."""
    if "choices" in entry:
        return ", ".join(shown(choice) for choice in entry["choices"])
    words = f"{shown(entry['low'])} to {shown(entry['high'])}"
    if entry.get("log"):
        words += ", logarithmic"
    if entry.get("step") is not None:
        words += f", in steps of {shown(entry['step'])}"
    return words
