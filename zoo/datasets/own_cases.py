"""`.ts` files of the user's own, to classify."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.datasets.cases import read_ts
from zoo.datasets.own_text import read_text
from zoo.errors import UserError

_TRAIN, _TEST = "_TRAIN.ts", "_TEST.ts"


def read_cases(path: str | os.PathLike) -> tuple[str, list, list]:
    """Name, training cases and test cases, each `(values, label)`.

    Args:
        path: A file `NAME_TRAIN.ts`; `NAME_TEST.ts` must lie beside it.

    Raises:
        UserError: If a file is missing or cannot be read, or channels differ.
    """
    path = Path(path)
    if not path.name.endswith(_TRAIN):
        raise UserError(
            f"`--data` must name a file NAME{_TRAIN}, with NAME{_TEST} beside it. "
            f"Received: {path}"
        )
    name = path.name.removesuffix(_TRAIN)
    parts = []
    for file in (path, path.with_name(name + _TEST)):
        try:
            parts.append(read_ts(read_text(file)))
        except ValueError as error:
            raise UserError(f"{file} cannot be read: {error}.") from None
    widths = [cases[0][0].shape[1] for cases in parts]
    if widths[0] != widths[1]:
        raise UserError(
            f"{name}: {widths[0]} channels in the training file, {widths[1]} in the "
            "test file."
        )
    return name, *parts
