"""A CSV file of the user's own, to forecast."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from zoo.datasets.own_text import read_text
from zoo.datasets.series import read_csv
from zoo.errors import UserError


def read_table(path: str | os.PathLike) -> tuple[str, list[str], np.ndarray]:
    """Name, columns and values of a table, oldest row first.

    Args:
        path: A CSV file in UTF-8 with a heading.

    Raises:
        UserError: If it cannot be read, or has gaps.
    """
    text = read_text(path)
    try:
        columns, values = read_csv(text)
    except ValueError as error:
        raise UserError(f"`--data` cannot be forecast: {path}: {error}.") from None
    return Path(path).name, columns, values
