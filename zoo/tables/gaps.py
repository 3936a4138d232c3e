"""Refuses or fills in missing values of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.system.errors import UserError

FILLS = ("linear", "last", "drop")


def require_none(
    values: np.ndarray,
    columns: list[str],
    lines: Sequence[int] | np.ndarray,
    wrong: dict[tuple[int, int], str],
) -> None:
    """Refuses a table with gaps.

    Args:
        values: `(rows, columns)`, NaN where there is no number.
        columns: Names of the columns.
        lines: Line number of each row in the file.
        wrong: Texts that are not numbers, by `(row, column)`.

    Raises:
        UserError: Says how many values are missing, and shows the first.
    """
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return
    row, column = bad[0]
    many = f"{len(bad):,} values are" if len(bad) > 1 else "1 value is"
    text = wrong.get((row, column))
    if text is None and np.isinf(values[row, column]):
        text = str(values[row, column])
    place = f"line {lines[row]}, column {columns[column]!r}"
    what = f"{str(text)[:40]!r} in {place}" if text is not None else place
    raise UserError(
        f"`--data` cannot be forecast: {many} missing or no number, the first: {what}. "
        "Mend the file, let `--fill linear`, `last` or `drop` do it, or name the "
        "columns to use with `--columns-used`."
    )


def fill(values: np.ndarray, how: str) -> tuple[np.ndarray, int, np.ndarray]:
    """Fills the gaps of a table.

    Args:
        values: `(rows, columns)`, not finite where a value is missing.
        how: "linear": linear interpolation between the two neighbours; "last": the
            value before. At the ends both repeat the nearest value. "drop": leave out
            rows with gaps.

    Returns:
        `(values, filled, kept)`: the table, the number of missing values, and the
        indices of the remaining rows.
    """
    missing = ~np.isfinite(values)
    kept = np.arange(len(values))
    if how == "drop":
        kept = kept[~missing.any(axis=1)]
        return values[kept], int(missing.sum()), kept
    filled = values.copy()
    for column, gone in enumerate(missing.T):
        known = kept[~gone]
        if not gone.any() or not len(known):
            continue
        if how == "linear":
            filled[gone, column] = np.interp(kept[gone], known, values[known, column])
        else:
            before = np.maximum(np.searchsorted(known, kept[gone]) - 1, 0)
            filled[gone, column] = values[known[before], column]
    return filled, int(missing.sum()), kept
