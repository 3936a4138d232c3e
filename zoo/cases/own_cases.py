"""Reads the user's own labelled series, and holds some of them out."""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import cast

from zoo.cases.case_files import READERS, Case
from zoo.cases.labelled import Labelled, LabelledCases, held_out
from zoo.system.errors import UserError
from zoo.system.reading import read_bytes

LARGEST_FILE = 200 * 2**20
MOST_LINES = 200_000
MOST_CLASSES = 5_000
HELD_OUT = 0.2
_TRAIN, _TEST = "_TRAIN", "_TEST"


def read_cases(
    path: str | os.PathLike,
    *,
    validation: str | None = None,
    test: str | None = None,
    fill: str | None = None,
) -> LabelledCases:
    """Reads cases from a file and divides them into three parts.

    Args:
        path: A file `NAME_TRAIN.ts`, with `NAME_TEST.ts` beside it; or a single file,
            of which a fifth is for the test. The suffix may also be `.tsv`, `.txt`,
            `.csv` or `.arff`.
        validation: A fraction of the cases that are not for the test, a file, or
            "none"; None: a fifth. With "none" all of them are for training, and
            validation uses the training part.
        test: The same, as a fraction of the cases of a single file.
        fill: How to fill in missing values: "linear"; None: they are refused.

    Raises:
        UserError: If a file is missing or cannot be read, channels differ, or a class
            does not occur in the training part.
    """
    path = Path(path)
    name, beside = _companion(path)
    cases = read_labelled(path, fill=fill)
    if test is None:
        test = str(HELD_OUT) if beside is None else str(beside)
    rest, tested = _taken(cases, test, "test", fill)
    known, validating = _taken(rest, validation or str(HELD_OUT), "validation", fill)
    if not known:
        raise UserError(f"{path} leaves no case to learn from.")
    for what, part in (("validation", validating), ("test", tested)):
        _require_alike(path, known, part, what)
    return LabelledCases.of(name, known, tested, "own files", validation=validating)


def read_labelled(
    path: str | os.PathLike, *, fill: str | None = None
) -> list[Labelled]:
    """Reads the cases of one file, each with its class.

    Args:
        path: The file.
        fill: As for `read_cases`.

    Raises:
        UserError: If it cannot be read, or a case has no class.
    """
    cases = read_any(path, fill=fill)
    without = next((i for i, (_, label) in enumerate(cases) if label is None), None)
    if without is not None:
        raise UserError(
            f"{path}: case {without + 1} has no class. Give each a class, or leave it "
            "out."
        )
    classes = Counter(label for _, label in cases)
    if len(classes) > MOST_CLASSES or len(classes) == len(cases) > 50:
        raise UserError(
            f"{path} has {len(classes):,} classes in {len(cases):,} cases. Are they "
            "numbers to be forecast, and no classes?"
        )
    return cast("list[Labelled]", cases)


def read_any(path: str | os.PathLike, *, fill: str | None = None) -> list[Case]:
    """Reads the cases of one file, with or without classes.

    Args:
        path: The file; its suffix determines the format.
        fill: As for `read_cases`.

    Raises:
        UserError: If it cannot be read; the message names the line.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(
            f"`--data` must name a file of cases, {', '.join(READERS)}. "
            f"Received: {path}"
        )
    content = read_bytes(path, at_most=LARGEST_FILE)
    lines = content.count(b"\n")
    if lines > MOST_LINES:
        raise UserError(
            f"{path} has {lines:,} lines, a case each; at most {MOST_LINES:,} are read."
        )
    if b"\0" in content:
        raise UserError(f"{path} is no text: it has a null byte.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8: see byte {error.start}."
        ) from None
    del content
    try:
        cases = reader(text, fill=fill)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    for _, label in cases:
        if label is not None and (
            len(label) > 200 or any(unicodedata.category(c)[0] == "C" for c in label)
        ):
            raise UserError(f"{path} has a class that is no name: {label!r:.60}.")
    return cases


def _companion(path: Path) -> tuple[str, Path | None]:
    """The name of the cases, and the path of the test file if there should be one."""
    name = path.stem
    if name.upper().endswith(_TRAIN):
        cut = -len(_TRAIN)
        last = name[cut:]
        test = {"_TRAIN": "_TEST", "_train": "_test"}.get(last, "_Test")
        return name[:cut], path.with_name(name[:cut] + test + path.suffix)
    return name, None


def _taken(
    cases: list[Labelled], choice: str, what: str, fill: str | None
) -> tuple[list[Labelled], list[Labelled]]:
    """Applies a choice (a fraction, a file or none): returns the rest and the part."""
    if choice == "none":
        return cases, []
    try:
        fraction = float(choice)
    except ValueError:
        try:
            return cases, read_labelled(choice, fill=fill)
        except UserError as error:
            if Path(choice).exists():
                raise
            raise UserError(
                f"{error} `--{what}` takes a fraction, a file, or none."
            ) from None
    if not (math.isfinite(fraction) and 0 < fraction < 1):
        raise UserError(
            f"`--{what}` must be a fraction between 0 and 1, a file, or none. "
            f"Received: {choice}"
        )
    return held_out(cases, fraction)


def _require_alike(
    path: Path, known: list[Labelled], part: list[Labelled], what: str
) -> None:
    if not part:
        return
    widths = [cases[0][0].shape[1] for cases in (known, part)]
    if widths[0] != widths[1]:
        raise UserError(
            f"{path}: {widths[0]} channels in the training part, {widths[1]} in the "
            f"{what} part."
        )
    classes = {label for _, label in known}
    strange = sorted({label for _, label in part} - classes)
    if strange:
        names = ", ".join(repr(label) for label in strange[:5])
        raise UserError(
            f"{path}: the {what} part has classes that the training part has not, and "
            f"that cannot be learned: {names}."
        )
