"""Evaluates the presets again and lists the results beside published numbers."""

from __future__ import annotations

import csv
import io
import os
import statistics
from collections.abc import Sequence
from typing import Any

from zoo.datasets import DATASETS
from zoo.plain.scales import cells, headings
from zoo.runs.evaluation import evaluate
from zoo.store.card import on_machine
from zoo.store.hub import from_preset
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.tasks.generated import GeneratedTask
from zoo.tasks.task import Task

COLUMNS = (
    "preset",
    "task",
    "data",
    "part",
    "metric",
    "unit",
    "value",
    "mean",
    "deviation",
    "seeds",
    "parameters",
    "wall_time_seconds",
    "machine",
    "published",
    "without_learning",
)


def measure(
    source: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> dict:
    """Evaluates a preset from its files.

    Args:
        source: A name, a folder or an address, as `zoo.from_preset` takes them.
        data_dir: Folder with local copies of the data sets' files, or None. Data that
            are generated, or come with Python, need none.

    Returns:
        A dict with the keys of `COLUMNS`. `value` is measured now; `mean` and
        `deviation` (of the sample; None for one seed) are over the seeds in its
        metadata. `published` and `without_learning` are dicts.

    Raises:
        ZooError: If the preset or its data are not available.
    """
    preset = from_preset(source)
    metadata = preset.metadata
    task = TASKS[metadata["task"]]
    recipe = task.recipe_from(metadata["recipe"])
    dataset = metadata["data"]["name"]
    if dataset not in task.DATASETS:
        raise UserError(f"It was trained on data of its own, {dataset}.")
    data = task.load(dataset, data_dir if needs_files(task, dataset) else None, recipe)
    part = metadata["metric"]["part"]
    values = list(metadata.get("seeds", {}).values()) or [metadata["metric"]["value"]]
    return {
        "preset": os.fspath(source),
        "task": task.NAME,
        "data": data.name,
        "part": part,
        "metric": task.METRIC.name,
        "unit": task.METRIC.unit,
        "value": evaluate(preset, data, part),
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "seeds": len(values),
        "parameters": preset.model.count_params(),
        "wall_time_seconds": metadata["wall_time_seconds"],
        "machine": metadata.get("machine", ""),
        "published": task.references_for(data.name),
        "without_learning": task.levels(data, recipe, part),
    }


def needs_files(task: Task[Any, Any], dataset: str) -> bool:
    """Whether a data set consists of files, of which a folder can have copies.

    Args:
        task: A `Task`.
        dataset: One of its data sets.
    """
    row = DATASETS.get(dataset)
    if row is not None:
        return bool(row.builder_class.FILES)
    return not isinstance(task, GeneratedTask)


def to_csv(rows: Sequence[dict]) -> str:
    """The rows as CSV; published values and baselines are `name value; name value`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                key: _listed(value, "{:.8g}") if isinstance(value, dict) else value
                for key, value in row.items()
            }
        )
    return text.getvalue()


def to_markdown(rows: Sequence[dict]) -> str:
    """The rows as a Markdown table."""
    heading = (
        "preset",
        "metric",
        "value",
        "mean ± deviation (seeds)",
        "weights",
        "minutes",
        "published",
        "without learning",
    )
    lines = [heading, ["---"] * len(heading)]
    for row in rows:
        mean = _shown(row, row["mean"])
        if row["deviation"] is not None:
            mean += f" ± {row['deviation']:.2g}"
        published, levels = (
            _listed({name: _shown(row, value) for name, value in row[key].items()})
            for key in ("published", "without_learning")
        )
        lines.append(
            [
                f"`{row['preset']}`",
                ", ".join(filter(None, [row["metric"], row["unit"], row["part"]])),
                _shown(row, row["value"]),
                f"{mean} ({row['seeds']})",
                f"{row['parameters']:,}",
                f"{row['wall_time_seconds'] / 60:.1f}{on_machine(row)}",
                published,
                levels,
            ]
        )
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def _shown(row: dict, value: float) -> str:
    """A value with the second scale of reports (bits, perplexity)."""
    columns = headings(row["unit"], row["metric"])
    first, *others = zip(cells(value, row["unit"]), columns, strict=True)
    return first[0] + "".join(f" ({v} {column})" for v, column in others)


def _listed(values: dict, form: str = "{}") -> str:
    return "; ".join(f"{name} {form.format(value)}" for name, value in values.items())
