"""Reads, sorts and summarises the user's own table for forecasting."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.system.errors import UserError
from zoo.tables import gaps
from zoo.tables.clock import Clock
from zoo.tables.content import read_lines
from zoo.tables.fields import Fields, read_fields
from zoo.tables.layout import lay_out
from zoo.tables.time_columns import clock_of_numbers, clock_of_texts, is_named

LARGEST = 1e100  # the largest value, whose square is still finite
SHOWN = 8  # the most names in a line
MOST_TRIED = 100  # columns of text that may hold the times, unless one is named
INDEX = "index"


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of numbers over time, oldest row first, without gaps.

    Args:
        name: Name of the file.
        columns: Names of the columns.
        values: `(rows, columns)` in float64.
        clock: Times of the rows; None if the table has none.
        left_out: Names of other columns, and the reasons for leaving them out.
        notes: Remarks about how the table was changed.
    """

    name: str
    columns: tuple[str, ...]
    values: np.ndarray
    clock: Clock | None = None
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """A summary in one line."""
        parts = [f"read {self.name}: {len(self.values):,} rows"]
        parts[0] += f", {_columns(self.columns)}"
        others = dict(self.left_out)
        if self.clock is not None:
            clock = self.clock
            if others.get(clock.name) != INDEX:
                others.pop(clock.name, None)
                parts.append(f"times: {clock.name}, step {clock.step_in_words}")
            if len(clock.gaps):
                after = clock.texts(clock.times[clock.gaps[:1] - 1])[0]
                many = "gap" if len(clock.gaps) == 1 else "gaps"
                parts.append(f"{len(clock.gaps):,} {many} in time, first after {after}")
        if others:
            shown = [f"{name} ({why})" for name, why in list(others.items())[:SHOWN]]
            more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
            parts.append(f"left out: {', '.join(shown)}{more}")
        return "; ".join([*parts, *self.notes])

    def facts(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        return {} if self.clock is None else self.clock.facts()


def read_table(
    path: str | os.PathLike,
    *,
    columns_used: str | Sequence[str] | None = None,
    time: str | None = None,
    fill: str | None = None,
    decimal: str | None = None,
    heading: str | None = None,
    needed: Sequence[str] = (),
) -> Table:
    r"""Reads a table of numbers, oldest row first.

    By default it uses all columns of numbers, except those that hold the times of the
    rows or only count them, and those whose value never changes.

    Args:
        path: A CSV file: fields separated by commas, semicolons, tabs, bars or spaces,
            with or without a heading; it may be packed with gzip.
        columns_used: Names of the columns to use, in a sequence or separated by commas.
        time: Name of the column of times; "none" if there is none.
        fill: How to fill in missing values: "linear", "last" or "drop" (see
            `zoo.tables.gaps.fill`; the first two also insert rows that are missing in
            time). None: missing values are refused.
        decimal: Decimal sign, "point" or "comma"; None: infer it from the values.
        heading: "yes" or "no"; None: infer it from the first row.
        needed: Columns that a model reads: they are used as they are, even if one never
            changes.

    Raises:
        UserError: If the file cannot be read, or is not a table that can be forecast.

    Example:
        from pathlib import Path
        from zoo.tables.own_table import read_table

        rows = [f"2024-03-{day:02},{day % 7}" for day in range(1, 31)]
        Path("days.csv").write_text("\n".join(["day,load", *rows]))
        table = read_table("days.csv")
        assert table.columns == ("load",) and table.values.shape == (30, 1)
        assert table.clock.step_in_words == "1 day"
    """
    layout = lay_out(read_lines(path), heading)
    fields = read_fields(layout, decimal)
    wanted = _wanted(columns_used, fields)
    if needed:
        wanted = _needed(needed, fields)
    clock, left_out = _find_clock(fields, time, wanted)
    columns = _choose(fields, wanted, left_out)
    values = np.stack([fields.numbers[name] for name in columns], axis=1)
    notes = list(layout.notes)
    order, clock = _in_order(clock, layout.numbers, notes)
    values, lines = values[order], np.array(layout.numbers)[order]
    if fill is None:
        wrong = {
            (row, column): fields.wrong[name][place]
            for column, name in enumerate(columns)
            if fields.wrong.get(name)
            for row, place in enumerate(order)
            if place in fields.wrong[name]
        }
        gaps.require_none(values, columns, lines, wrong)
    else:
        values, clock = _filled(values, clock, fill, notes)
    if wanted is None:
        columns, values = _varied(columns, values, left_out)
    if np.abs(values).max(initial=0) > LARGEST:
        raise UserError(
            f"`--data` has values beyond {LARGEST:g}, whose squares no computer holds."
        )
    name = Path(path).name
    return Table(name, tuple(columns), values, clock, left_out, tuple(notes))


def _wanted(
    columns_used: str | Sequence[str] | None, fields: Fields
) -> list[str] | None:
    if columns_used is None:
        return None
    if isinstance(columns_used, str):
        # A name may contain commas.
        whole = columns_used.strip()
        known = whole in fields.names
        columns_used = [whole] if known else whole.split(",")
    wanted = [name.strip() for name in columns_used]
    for name in wanted:
        if name not in fields.names:
            raise UserError(
                f"`--columns-used` names no column of the table: {name!r}. There are: "
                f"{', '.join(fields.names[:50])}."
            )
        if name not in fields.numbers:
            raise UserError(
                f"`--columns-used` names a column that is no numbers: {name!r}, such "
                f"as {fields.example(name)}."
            )
    if len(set(wanted)) < len(wanted):
        raise UserError("`--columns-used` names a column twice.")
    return wanted


def _needed(needed: Sequence[str], fields: Fields) -> list[str]:
    if set(needed) <= set(fields.numbers):
        return list(needed)
    raise UserError(
        f"`--data` must have each column that the preset was trained on: "
        f"{', '.join(needed[:SHOWN])}. It has: {', '.join(list(fields.numbers)[:50])}."
    )


def _find_clock(
    fields: Fields, time: str | None, wanted: list[str] | None
) -> tuple[Clock | None, dict[str, str]]:
    """The clock, and the columns that are not forecast, with the reasons."""
    if time == "none":
        return None, {}
    if time is not None:
        return _named_clock(fields, time), {time: "time"}
    left_out: dict[str, str] = {}
    clocks: list[tuple[int, Clock]] = []
    tried = 0
    for name in fields.names:
        if wanted is not None and name in wanted:
            continue
        if name in fields.texts:
            # The first one holds the times; others, such as dates of birth, do not.
            tried += 1
            known = tried > MOST_TRIED or any(rank == 0 for rank, _ in clocks)
            texts, lines = fields.texts[name], fields.lines
            clock = None if known else clock_of_texts(name, texts, lines)
            rank, why = 0, "time"
        else:
            first = name == fields.names[0]
            clock = clock_of_numbers(name, fields.numbers[name], first=first)
            timed = clock is not None and (clock.form or is_named(name))
            rank, why = (1, "time") if timed else (2, INDEX)
        if clock is not None:
            clocks.append((rank, clock))
            left_out[name] = why
    return (min(clocks, key=lambda c: c[0])[1] if clocks else None), left_out


def _named_clock(fields: Fields, name: str) -> Clock:
    if name not in fields.names:
        raise UserError(
            f"`--time` names no column of the table: {name!r}. There are: "
            f"{', '.join(fields.names[:50])}."
        )
    if name in fields.texts:
        clock = clock_of_texts(name, fields.texts[name], fields.lines, must=True)
        return cast(Clock, clock)
    values = fields.numbers[name]
    if not np.isfinite(values).all():
        line = fields.lines[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise UserError(f"`--time {name}` has no time in line {line}.")
    return clock_of_numbers(name, values, first=True) or Clock.of(name, values, None)


def _choose(
    fields: Fields, wanted: list[str] | None, left_out: dict[str, str]
) -> list[str]:
    if wanted is not None:
        return wanted
    for name in fields.names:
        if name in left_out:
            continue
        if name not in fields.numbers:
            left_out[name] = "text"
        elif np.isnan(fields.numbers[name]).all():
            left_out[name] = "empty"
    chosen = [name for name in fields.names if name not in left_out]
    if not chosen:
        shown = ", ".join(f"{n} ({why})" for n, why in list(left_out.items())[:SHOWN])
        raise UserError(
            f"`--data` cannot be forecast: no column is a series of numbers. There "
            f"are: {shown}. Name those to use with `--columns-used`."
        )
    return chosen


def _in_order(
    clock: Clock | None, lines: list[int], notes: list[str]
) -> tuple[np.ndarray, Clock | None]:
    """Indices of the rows, oldest first, and their clock in this order."""
    if clock is None:
        return np.arange(len(lines)), None
    times = np.asarray(clock.times)
    order = np.argsort(times, kind="stable")
    same = np.flatnonzero(np.diff(times[order]).astype(float) == 0)
    if len(same):
        first, second = order[same[0]], order[same[0] + 1]
        when = clock.texts(clock.times[[first]])[0]
        raise UserError(
            f"`--data` has several rows of one time: {len(same):,}, the first in "
            f"lines {lines[first]} and {lines[second]}, {when} of "
            f"column {clock.name!r}. Keep one row a time, or say `--time none`."
        )
    if (order == np.arange(len(order))).all():
        return order, clock
    turned = (np.diff(order) == -1).all()
    notes.append("newest row first: turned round" if turned else "rows sorted by time")
    return order, Clock.of(clock.name, clock.times[order], clock.form)


def _filled(
    values: np.ndarray, clock: Clock | None, how: str, notes: list[str]
) -> tuple[np.ndarray, Clock | None]:
    if how != "drop" and clock is not None and len(clock.gaps):
        try:
            complete = clock.complete(2 * len(values))
        except (OverflowError, ValueError):  # pandas' `OutOfBoundsDatetime`
            raise UserError(
                f"`--fill {how}` cannot look for missing rows between dates that are "
                "not from 1678 to 2261. Mend the dates, or add `--time none`."
            ) from None
        if complete is not None:
            steps = np.concatenate([[0], np.cumsum(clock.steps_between())])
            whole = np.full((len(complete), values.shape[1]), np.nan)
            whole[np.rint(steps).astype(int)] = values
            notes.append(f"{len(complete) - len(values):,} missing rows put in")
            values, clock = whole, Clock.of(clock.name, complete, clock.form)
    values, filled, kept = gaps.fill(values, how)
    if filled and how == "drop" and clock is not None:
        clock = Clock.of(clock.name, clock.times[kept], clock.form)
    done = "dropped with their rows" if how == "drop" else f"filled ({how})"
    if filled:
        notes.append(f"{filled:,} missing values {done}")
    if not len(values):
        raise UserError("`--fill drop` leaves no row: each has a gap.")
    return values, clock


def _varied(
    columns: list[str], values: np.ndarray, left_out: dict[str, str]
) -> tuple[list[str], np.ndarray]:
    """Leaves out columns that never change, which would only dilute the error."""
    # The rows that are used for training.
    early = values[: max(1, round(0.6 * len(values)))]
    still = np.ptp(early, axis=0) <= 1e-12 * np.abs(early).max(axis=0, initial=0)
    for place in np.flatnonzero(still):
        always = np.ptp(values[:, place]) == 0
        why = "constant" if always else "constant where the model learns"
        left_out[columns[place]] = why
    if still.all():
        raise UserError(
            f"`--data` cannot be forecast: {_columns(columns)} of {len(values):,} rows "
            "never change where a model would learn."
        )
    kept = np.flatnonzero(~still)
    return [columns[place] for place in kept], values[:, kept]


def _columns(names: Sequence[str]) -> str:
    word = "column" if len(names) == 1 else "columns"
    if len(names) <= SHOWN:
        return f"{word} {', '.join(names)}"
    return f"{len(names):,} columns {names[0]}, {names[1]} ... {names[-1]}"
