"""What a tuning job shows while it runs, and the files that it writes."""

from __future__ import annotations

import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import bptt_keras as bk
from zoo.tuning import hparams, report
from zoo.tuning.job import Job, Trial
from zoo.tuning.pictures import plots
from zoo.tuning.table import text_table, write_csv

CSV = "trials.csv"
# Seconds between two redraws of the table on a terminal.
REDRAW = 1.0


class Shown(bk.tuning.Results):
    """The table of a job: redrawn on a terminal, line by line in a log.

    Attributes:
        about: What the command knows about the job, for its page: `title`, `references`
            and `settings`.
    """

    def __init__(self, tuner: Any):
        super().__init__(tuner)
        self.about: dict = {"title": "", "references": {}, "settings": {}}
        self._lines, self._drawn = 0, 0.0

    @property
    def live(self) -> bool:
        """Whether the output is a terminal."""
        return sys.stdout.isatty() and self.verbose

    def job(self) -> Job:
        """The job, as tables and plots show it."""
        oracle, task = self._oracle, self._tuner.hypermodel.task
        trials = []
        for row in self.rows():
            known: dict[str, Any] = {
                k: row[k] for k in ("status", "values", "value", "epoch")
            }
            known |= {k: row[k] for k in ("seconds", "worker", "cause")}
            known |= {k: tuple(row[k]) for k in ("seeds", "curve")}
            trials.append(Trial(row["trial"], **known))
        return Job(
            self.about["title"],
            f"validation {task.METRIC.name}",
            unit=task.METRIC.unit,
            higher=task.METRIC.higher,
            space=self._tuner.hypermodel.space.describe(),
            trials=tuple(trials),
            references=self.about["references"],
            seconds=oracle.spent,
            budget=oracle.budget,
            settings=self.about["settings"],
        )

    def look(self) -> None:
        """Redraws the table, or prints what has changed."""
        if not self.live:
            super().look()
            return
        if time.monotonic() - self._drawn > REDRAW:
            self._drawn = time.monotonic()
            self.write()
            self._draw()

    def write(self) -> None:
        """Writes `best.json` and the table."""
        super().write()
        write_csv(self._tuner.folder / CSV, self.job())

    def conclude(self) -> None:
        """Shows the whole table, and writes plots, page and HParams."""
        job = self.job()
        if self.live:
            self._draw()
        elif self.verbose and job.trials:
            print(f"\n{text_table(job, _width())}")
        self._leave(job)
        super().conclude()

    def _draw(self) -> None:
        table = text_table(self.job(), _width())
        lines = table.count("\n") + 1
        # Move up to where the last table began, and clear from there.
        up = f"\033[{self._lines}F\033[J" if self._lines else ""
        room = shutil.get_terminal_size().lines - 2
        if lines > room:
            table = "\n".join(table.splitlines()[-room:])
            lines = room
        print(f"{up}{table}", flush=True)
        self._lines = lines

    def _leave(self, job: Job) -> None:
        folder = Path(self._tuner.folder)
        if job.trials:
            varied = [name for name in job.names if job.numeric(name)]
            plots.plot_against(folder / "against.png", job, varied or list(job.names))
            plots.plot_parallel(folder / "parallel.png", job)
            plots.plot_importance(folder / "importance.png", job)
            plots.plot_progress(folder / "progress.png", job)
            hparams.write_hparams(folder / "tensorboard", job)
        report.write_tuning_page(folder, job)


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 120


def finite(levels: dict) -> dict:
    """The levels that a plot can show."""
    return {name: value for name, value in levels.items() if math.isfinite(value)}
