"""The HTML report of a training run, from the files in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import bptt_keras as bk
from zoo.plain.scales import worded
from zoo.runs.checkpoint_files import HISTORY
from zoo.runs.report import verdict
from zoo.store.folder import METADATA, read_json
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.reading import read_bytes
from zoo.system.reading import read_json as read_any_json

LOOKS, SAMPLE, REPORT = "looks.json", "sample.txt", "report.html"
# Limits on what is drawn of a history and of looks; no real training exceeds them.
LISTS, LONGEST_NAME, MOST_LOOKS = 100, 100, 1000


def write_run_report(
    folder: str | os.PathLike, path: str | os.PathLike | None = None
) -> Path:
    """Writes a self-contained page about a training run.

    Args:
        folder: The `--out` folder of a training; it may still be running. What the
            run has not written yet is left out.
        path: The file to write; None: `report.html` in the folder.

    Returns:
        The path of the page.

    Raises:
        UserError: If the folder has no `history.json`, or a file is damaged.

    Example:
        import pathlib, tempfile
        import zoo

        run = pathlib.Path(tempfile.mkdtemp())      # or the --out of a training
        (run / "history.json").write_text('{"epoch": [1, 2], "loss": [2.5, 2.0]}')
        assert zoo.write_run_report(run) == run / "report.html"
    """
    folder = Path(folder)
    if not (folder / HISTORY).is_file():
        raise UserError(
            f"There is no training run in {folder}: {HISTORY}, which is written after "
            "the first epoch, is missing."
        )
    metadata = {}
    if (folder / "preset" / METADATA).is_file():
        metadata = read_json(folder / "preset" / METADATA)
    history = _history(folder / HISTORY)
    try:
        return bk.diagnostics.write_report(
            folder / REPORT if path is None else path,
            title=_title(metadata, folder),
            history=history,
            looks=_looks(folder / LOOKS),
            samples=_samples(folder / SAMPLE),
            config={
                key: metadata[key]
                for key in ("recipe", "data", "versions")
                if key in metadata
            },
            results=_results(metadata, history),
        )
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"A file in {folder} is damaged: {error!r:.300}") from None


def _history(path: Path) -> dict:
    """Reads lists of numbers by name, few enough to be drawn."""
    history = read_any_json(path)
    if (
        not isinstance(history, dict)
        or len(history) > LISTS
        or not all(isinstance(values, list) for values in history.values())
        or max(map(len, history), default=0) > LONGEST_NAME
    ):
        raise UserError(f"{path} is damaged: it holds no history of a training.")
    return history


def _looks(path: Path) -> list:
    if not path.is_file():
        return []
    looks = read_any_json(path)
    if not isinstance(looks, list) or len(looks) > MOST_LOOKS:
        raise UserError(f"{path} is damaged: it holds no looks at a training.")
    return bk.diagnostics.read_looks(path)


def _samples(path: Path) -> list[str]:
    if not path.is_file():
        return []
    content = read_bytes(path, at_most=limits.METADATA, option="The sample")
    return [content.decode("utf-8", "replace")]


def _title(metadata: dict, folder: Path) -> str:
    if not metadata:
        return f"Training run {folder.name}"
    return f"{metadata['task']} on {metadata['data']['name']}"


def _results(metadata: dict, history: dict) -> dict:
    """Rows of the table at the top: the result, baselines and published values."""
    if not metadata:
        return {}
    metric, unit = metadata["metric"], metadata["metric"]["unit"]
    compared = {
        f"{kind}: {name}": worded(value, unit)
        for kind, key in (
            ("without learning", "baselines"),
            ("published", "references"),
        )
        for name, value in metadata.get(key, {}).items()
    }
    rows = {
        f"{metric['name']} of the {metric['part']} part": worded(metric["value"], unit),
        **compared,
        "verdict": verdict(metadata) if metadata.get("baselines") else "",
        "best epoch, by validation": metric.get("epoch"),
        "epochs": len(history["epoch"]),
        "parameters": metadata["parameters"],
        "wall time": f"{metadata['wall_time_seconds']:,.0f} s",
        "seed": metadata["seed"],
    }
    return {name: value for name, value in rows.items() if value not in (None, "")}
