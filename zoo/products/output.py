"""A forecast as a table, as CSV and as text."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np

from zoo.tables.clock import Clock

SHOWN = 12, 6  # timesteps and columns that are printed
# A spreadsheet takes texts that begin so for formulas, which may run a program.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclasses.dataclass(frozen=True)
class ForecastTable:
    """A table of the forecast columns.

    Args:
        headings: Headings of the times and of the columns.
        times: Times of the timesteps, as texts.
        values: `(timesteps, columns)`.
    """

    headings: list[str]
    times: list[str]
    values: np.ndarray

    @classmethod
    def of(
        cls,
        clock: Clock | None,
        names: list[str],
        ahead: np.ndarray,
        widths: np.ndarray | None,
    ) -> ForecastTable:
        """Puts times, forecasts and intervals side by side.

        Args:
            clock: Clock of the table that was forecast; None: timesteps are numbered
                from 1.
            names: Names of the columns.
            ahead: Forecasts, `(timesteps, columns)`.
            widths: Half-widths of the intervals, in the same shape; None: no intervals.
                They become the columns NAME_low and NAME_high.
        """
        count = len(ahead)
        if clock is None:
            headings, times = ["step"], [str(step) for step in range(1, count + 1)]
        else:
            headings, times = [clock.name], clock.texts(clock.after(count))
        columns = []
        taken = {*headings, *names}
        for place, name in enumerate(names):
            headings.append(name)
            columns.append(ahead[:, place])
            for end, sign in (("low", -1), ("high", 1)):
                if widths is not None:
                    heading = f"{name}_{end}"
                    while heading in taken:
                        heading += "_"
                    taken.add(heading)
                    headings.append(heading)
                    columns.append(ahead[:, place] + sign * widths[:, place])
        return cls(headings, times, np.stack(columns, axis=1))

    def csv(self) -> str:
        """The CSV. A heading that a spreadsheet would run is prefixed with a quote."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            f"'{name}" if name.startswith(_FORMULA) else name for name in self.headings
        )
        for time, row in zip(self.times, self.values, strict=True):
            writer.writerow([time, *(f"{value:.7g}" for value in row)])
        return text.getvalue()

    def shown(self) -> str:
        """The first rows and columns, aligned, and how many more there are."""
        rows, columns = SHOWN
        lines = [self.headings[: columns + 1]] + [
            [time, *(f"{value:.5g}" for value in row[:columns])]
            for time, row in zip(self.times[:rows], self.values[:rows], strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = "\n".join(
            "  " + "  ".join(f"{v:>{w}}" for v, w in zip(line, widths, strict=True))
            for line in lines
        )
        if self.values.shape[0] > rows or self.values.shape[1] > columns:
            many = f"{self.values.shape[0]} timesteps, {self.values.shape[1]} columns"
            text += f"\n  ... ({many})"
        return text
