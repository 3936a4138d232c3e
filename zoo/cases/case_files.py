"""Reads labelled series: `.ts`, `.arff`, and the tables of the UCR archive.

It needs no TensorFlow and no Python object for each number: a line of 30 MB takes about
100 MB of memory.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np

Case = tuple[np.ndarray, str | None]
MOST_CHANNELS = 1_000
MOST_TIMESTEPS = 1_000_000
LARGEST = 1e30  # the largest value; squares and sums must stay finite


def read_ts(text: str, *, fill: str | None = None) -> list[Case]:
    """Reads cases from a `.ts` file, as written by the UCR archive, aeon and sktime.

    Args:
        text: Its content.
        fill: How to fill in missing values: "linear", or None to refuse them.

    Returns:
        List of `(values (timesteps, channels), label)`; without `@classLabel true` the
        label is None.

    Raises:
        ValueError: If there is no case, or one cannot be read; the message names the
            line.
    """
    header: dict[str, list[str]] = {}
    lines = _lines(text, comment=("#", "%"))
    for _, line in lines:
        name, *values = line.split(maxsplit=1)
        if not name.startswith("@"):
            raise ValueError("there is no case after a line `@data`")
        if name.lower() == "@data":
            break
        header[name.lower()] = values[0].split() if values else []
    flag = {name: _is_true(values) for name, values in header.items()}
    if flag.get("@timestamps"):
        raise ValueError(
            "it has timestamps (`@timeStamps true`), which are not read. Write the "
            "values alone, evenly spaced"
        )
    if flag.get("@targetlabel"):
        raise ValueError("its targets are numbers (`@targetLabel true`), not classes")
    labelled = flag.get("@classlabel", "@classlabel" not in header)
    known = set(header.get("@classlabel", [])[1:])

    def case(line):
        *channels, label = line.split(":") if labelled else (*line.split(":"), None)
        if label is not None:
            label = label.strip()
            if known and label not in known | {"?", ""}:
                raise ValueError(
                    f"has the class {_short(label)}, which `@classLabel` does not name"
                )
        return _channels(channels), _label(label)

    return _cases(lines, case, fill)


def read_rows(text: str, *, fill: str | None = None) -> list[Case]:
    """Reads cases of one channel, one per line: first the class, then the values.

    They are separated by tabs, commas, semicolons or spaces. Missing values at the end
    of a line mean that the case is shorter. A first line of names is skipped.

    Args:
        text: The content of a `.tsv`, `.txt` or `.csv` file.
        fill: As for `read_ts`.

    Returns:
        List of `(values (timesteps, 1), label)`.

    Raises:
        ValueError: As for `read_ts`.
    """
    lines = _lines(text, comment="#")
    first = next(lines, None)
    if first is None:
        raise ValueError("it is empty")
    mark = next((m for m in "\t;," if m in first[1]), None)

    def parts(line):
        label, _, rest = line.partition(mark) if mark else _partition(line)
        # The number parser only supports `,` as a separator.
        return label, re.sub(r"\s+", ",", rest) if mark is None else rest

    def case(line):
        label, rest = parts(line)
        values = _numbers(rest, mark or ",")
        given = np.flatnonzero(~np.isnan(values))
        return values[: given[-1] + 1 if len(given) else 0, None], _label(label)

    def every() -> Iterator[tuple[int, str]]:
        if not _is_heading(parts(first[1])[1], mark or ","):
            yield first
        yield from lines

    return _cases(every(), case, fill)


def read_arff(text: str, *, fill: str | None = None) -> list[Case]:
    """Reads cases from an `.arff` file of the UCR archive.

    The last attribute is the class.

    Args:
        text: Its content. Several channels are one quoted value, separated by a
            backslash and an n.
        fill: As for `read_ts`.

    Returns:
        List of `(values (timesteps, channels), label)`.

    Raises:
        ValueError: As for `read_ts`.
    """
    lines = _lines(text, comment="%")
    if not any(line.lower() == "@data" for _, line in lines):
        raise ValueError("there is no case after a line `@data`")

    def case(line):
        values, _, label = line.rpartition(",")
        return _channels(values.strip("'\" ").split("\\n")), _label(label)

    return _cases(lines, case, fill)


READERS: dict[str, Callable[..., list[Case]]] = {
    ".ts": read_ts,
    ".tsv": read_rows,
    ".txt": read_rows,
    ".csv": read_rows,
    ".arff": read_arff,
}


def _lines(text: str, *, comment: str | tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Lines that are neither empty nor comments, with their numbers."""
    # One line at a time: a list would hold the whole text again.
    number, start = 0, 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end].strip()
        number, start = number + 1, end + 1
        if line and not line.startswith(comment):
            yield number, line


def _cases(
    lines: Iterable[tuple[int, str]],
    read: Callable[[str], tuple[np.ndarray, str | None]],
    fill: str | None,
) -> list[Case]:
    cases: list[Case] = []
    for number, line in lines:
        try:
            values, label = read(line)
            values = _without_gaps(values, fill)
            if cases and values.shape[1] != cases[0][0].shape[1]:
                raise ValueError(
                    f"has {values.shape[1]} channels, those before it "
                    f"{cases[0][0].shape[1]}"
                )
        except ValueError as error:
            raise ValueError(f"line {number} {error}") from None
        cases.append((values, label))
    if not cases:
        raise ValueError("it has no case")
    return cases


def _channels(texts: list[str]) -> np.ndarray:
    """`(timesteps, channels)`."""
    if len(texts) > MOST_CHANNELS:
        raise ValueError(
            f"has {len(texts):,} channels; at most {MOST_CHANNELS:,} are read"
        )
    if not texts:
        raise ValueError("has no channel: values and a class, with colons between them")
    channels = [_numbers(text, ",") for text in texts]
    lengths = sorted({len(channel) for channel in channels})
    if len(lengths) > 1:
        raise ValueError(
            f"has channels of {lengths[0]} and {lengths[-1]} values; those of a case "
            "must be of one length"
        )
    return np.stack(channels, axis=1)


def _numbers(text: str, mark: str) -> np.ndarray:
    """Numbers separated by a mark; missing ones are NaN."""
    if text.count(mark) >= MOST_TIMESTEPS:
        raise ValueError(
            f"has {text.count(mark) + 1:,} timesteps; at most {MOST_TIMESTEPS:,} are "
            "read"
        )
    if "?" in text:
        text = re.sub(r"\?", "nan", text)
    # Without a Python object per number, so that a long line takes little memory.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(text, sep=mark)
            if len(values) == text.count(mark) + (not text.rstrip().endswith(mark)):
                return values
        except (DeprecationWarning, ValueError):
            pass
    return np.array([_number(field) for field in text.split(mark)])


def _number(field: str) -> float:
    field = field.strip()
    if field.lower() in ("", "nan", "na", "null"):
        return np.nan
    try:
        return float(field)
    except ValueError:
        raise ValueError(f"has {_short(field)} in place of a number") from None


def _without_gaps(values: np.ndarray, fill: str | None) -> np.ndarray:
    """The values of a case without gaps, in float32."""
    if not len(values):
        raise ValueError("has no values")
    gaps = np.isnan(values)
    if gaps.any():
        step, channel = np.argwhere(gaps)[0]
        if fill is None:
            raise ValueError(
                f"has a missing value: timestep {step + 1} of channel {channel + 1}. "
                "`--fill linear` puts a straight line in its place"
            )
        values = np.stack([_filled(column) for column in values.T], axis=1)
    size = np.abs(values).max()
    if not size <= LARGEST:
        raise ValueError(f"has a value beyond {LARGEST:g}: {size:g}")
    return values.astype(np.float32)


def _filled(column: np.ndarray) -> np.ndarray:
    """Fills gaps by linear interpolation; at the ends with the nearest value."""
    there = np.flatnonzero(~np.isnan(column))
    if not len(there):
        raise ValueError("has a channel in which all values are missing")
    return np.interp(np.arange(len(column)), there, column[there])


def _label(label: str | None) -> str | None:
    """A class as written, but numbers without a needless fraction; None if missing."""
    if label is None or label.strip() in ("", "?"):
        return None
    label = label.strip().strip("'\"")
    if re.fullmatch(r"[+-]?\d+\.0*(e[+-]?0+)?|[+-]?\d\.\d+e[+-]\d\d", label, re.I):
        number = float(label)
        return str(int(number)) if number.is_integer() else label
    return label


def _is_heading(rest: str, mark: str) -> bool:
    """Whether there are values and none of them is a number."""
    fields = [field.strip() for field in rest.split(mark, 100)[:100]]
    return bool(rest.strip()) and not any(_is_number(field) for field in fields)


def _is_number(field: str) -> bool:
    try:
        _number(field)
    except ValueError:
        return False
    return True


def _partition(line: str) -> tuple[str, str, str]:
    label, *rest = line.split(maxsplit=1)
    return label, " ", rest[0] if rest else ""


def _is_true(values: list[str]) -> bool:
    return bool(values) and values[0].lower() == "true"


def _short(text: str) -> str:
    """The text, cut short for an error."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
