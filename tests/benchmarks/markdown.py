"""Tables in Markdown; those of the zoo come from the files that its commands wrote."""

import csv
import functools
import re

from tests.project.files import ROOT

# Of the table of all presets: which is it, measured by what, how good, beside what?
SHORT = ("preset", "metric", "value", "published")


def markdown_table(head, rows):
    """A table in Markdown.

    Args:
        head: Titles of the columns.
        rows: Lists of cells.
    """
    lines = [head, *rows]
    text = [
        "|" + "|".join(f" {c} " if c != "" else " " for c in x) + "|" for x in lines
    ]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])


@functools.cache
def results():
    """The presets in Markdown, from `zoo/presets/results.csv`."""
    # Put off: it imports TensorFlow.
    from zoo.runs.results import to_markdown

    return to_markdown(measured()).rstrip()


def presets(rows):
    """Some presets in Markdown, with the columns that a first look needs.

    Args:
        rows: Some of `measured`.
    """
    # Put off: it imports TensorFlow.
    from zoo.runs.results import to_markdown

    lines = [re.split(r" ?(?<!\\)\| ?", x) for x in to_markdown(rows).splitlines()]
    places = [lines[0].index(title) for title in SHORT]
    head, _, *others = [[line[place].strip() for place in places] for line in lines]
    return markdown_table(head, others)


def measured():
    """The rows of that file, as `zoo.runs.results.measure` makes them."""
    return [_row(row) for row in _rows("zoo/presets/results.csv")]


def _row(row):
    """A row of text with numbers in it."""
    numbers = {"value": float, "mean": float, "wall_time_seconds": float}
    numbers |= {"seeds": int, "parameters": int}
    levels = {
        key: {
            name: float(value)
            for name, value in (level.rsplit(" ", 1) for level in row[key].split("; "))
        }
        for key in ("published", "without_learning")
        if row[key]
    }
    return {
        **row,
        **{key: of(row[key]) for key, of in numbers.items()},
        "deviation": float(row["deviation"]) if row["deviation"] else None,
        **{"published": {}, "without_learning": {}, **levels},
    }


@functools.cache
def gains():
    """What tuned clipping gained in Markdown, from the records of the jobs."""
    # Put off: it imports TensorFlow.
    from zoo.tuning.gain import markdown

    return markdown(_rows("zoo/tuning/records/clipping.csv"))


def _rows(path):
    with open(ROOT / path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
