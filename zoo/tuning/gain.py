"""Measures the gain of tuned clipping: `python -m zoo.tuning.gain JOB ... --csv FILE`.

Each JOB is the `--out` folder of a `bptt-zoo tune` that varied clipping. The recipe of
its data set is trained unchanged, with the clipping that the job chose, and without
clipping, with seeds that the job did not use. The validation part selects the best
epoch; its model is evaluated once on the test part.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import math
import statistics
from pathlib import Path
from typing import Any

from zoo.recipes.recipe import Training
from zoo.system.errors import ZooError
from zoo.system.files import write_text
from zoo.system.quiet import import_tensorflow
from zoo.system.reading import read_json
from zoo.tasks import TASKS
from zoo.tasks.task import Task

FIELDS = ("data", "variant", "clipping", "clip", "seed", "validation", "test")
# A job uses the seeds of its recipe, from 0.
FIRST_SEED = 100


def variants(dataset: str, task: Task[Any, Any], best: dict) -> dict[str, Training]:
    """The recipes to compare: default, tuned and none."""
    default = task.recipe_for(dataset)
    chosen = best["recipe"]
    return {
        "default": default,
        "tuned": dataclasses.replace(
            default, clipping=chosen["clipping"], clip=chosen["clip"]
        ),
        "none": dataclasses.replace(default, clip=None),
    }


def measure(
    task: Task[Any, Any], data: Any, recipe: Training, folder: Path
) -> dict[str, float]:
    """Trains a recipe, unless the folder has its result, and returns its metrics.

    Returns:
        `{"validation": value, "test": value}`, NaN if the training diverged or the data
        have no test part.
    """
    # Keras: put off.
    from zoo.runs.training import Run

    found = folder / "gain.json"
    if not found.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        metric = {}
        try:
            preset = Run(task, data, recipe, folder).fit()
            assert preset is not None  # There is one process.
            metric = preset.metadata["metric"]
        except ZooError as error:
            print(f"{folder.name}: {error}")
        value = metric.get("value")
        test = value if metric.get("part") == "test" else None
        content = {"validation": metric.get("validation", value), "test": test}
        write_text(found, json.dumps(content) + "\n")
    known = read_json(found)
    return {k: math.nan if v is None else v for k, v in known.items()}


def compare(job: Path, seeds: int, data_dir: str | None) -> list[dict]:
    """The rows of one job."""
    definition = read_json(job / "tune.json")
    best = read_json(job / "best.json")
    task, dataset = TASKS[definition["task"]], definition["data"]
    rows = []
    for variant, recipe in variants(dataset, task, best).items():
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            seeded = dataclasses.replace(recipe, seed=seed)
            data = task.load(dataset, data_dir, seeded)
            folder = job / "gain" / f"{variant}-{seed}"
            values = measure(task, data, seeded, folder)
            told = {"clipping": recipe.clipping, "clip": recipe.clip, "seed": seed}
            if recipe.clip is None:
                told["clipping"] = "none"
            rows.append({"data": dataset, "variant": variant, **told, **values})
            print(rows[-1], flush=True)
    return rows


def write_rows(path: Path, rows: list[dict]) -> None:
    """Writes the table."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def markdown(rows: list[dict]) -> str:
    """A table of the results on each data set: mean and deviation over seeds.

    Args:
        rows: The rows of `write_rows`, possibly read back from its file.
    """
    datasets = dict.fromkeys(row["data"] for row in rows)
    lines = [
        "| data | metric | part | default | tuned | none |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for dataset in datasets:
        task = next(task for task in TASKS.values() if dataset in task.DATASETS)
        metric = task.METRIC.name.replace("|", "\\|")
        better = "higher" if task.METRIC.higher else "lower"
        for part in ("validation", "test"):
            cells = [
                _cell(
                    [r for r in rows if (r["data"], r["variant"]) == (dataset, v)], part
                )
                for v in ("default", "tuned", "none")
            ]
            told = f"`{dataset}` | {metric}, {better} is better"
            head = told if part == "validation" else " | "
            lines.append(f"| {head} | {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: list[dict], part: str) -> str:
    values = [float(row[part]) for row in rows]
    if not values or not all(map(math.isfinite, values)):
        failures = sum(not math.isfinite(value) for value in values)
        return f"{failures} of {len(values)} diverged" if values else ""
    text = f"{statistics.mean(values):.4g}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.2g}"
    if part == "validation":
        clip = rows[0]["clip"]
        kind = rows[0]["clipping"]
        rule = kind if clip in (None, "") else f"{kind} {float(clip):.3g}"
        text += f" ({rule})"
    return text


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="+", type=Path, metavar="JOB")
    parser.add_argument("--seeds", type=int, default=3, metavar="K")
    parser.add_argument("--data-dir", metavar="DIR")
    parser.add_argument("--csv", required=True, type=Path, metavar="FILE")
    arguments = parser.parse_args()
    import_tensorflow()
    rows = []
    for job in arguments.jobs:
        rows += compare(job, arguments.seeds, arguments.data_dir)
        write_rows(arguments.csv, rows)
    print(markdown(rows))


if __name__ == "__main__":
    main()
