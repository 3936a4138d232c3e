"""The HTML report of a training run, from the files in its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bptt_keras as bk
from zoo.errors import UserError
from zoo.preset_folder import METADATA, read_json
from zoo.report import verdict, worded

HISTORY, LOOKS, SAMPLE, REPORT = (
    "history.json",
    "looks.json",
    "sample.txt",
    "report.html",
)


def write_run_report(
    folder: str | os.PathLike, path: str | os.PathLike | None = None
) -> Path:
    """Writes one self-contained page about a training run.

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
    history = folder / HISTORY
    if not history.is_file():
        raise UserError(
            f"There is no training run in {folder}: {HISTORY}, which is written after "
            "the first epoch, is missing."
        )
    metadata = {}
    if (folder / "preset" / METADATA).is_file():
        metadata = read_json(folder / "preset" / METADATA)
    looks, sample = folder / LOOKS, folder / SAMPLE
    try:
        curves = json.loads(history.read_text(encoding="utf-8"))
        return bk.diagnostics.write_report(
            folder / REPORT if path is None else path,
            title=_title(metadata, folder),
            history=curves,
            looks=bk.diagnostics.read_looks(looks) if looks.is_file() else (),
            samples=[sample.read_text(encoding="utf-8")] if sample.is_file() else (),
            config={
                key: metadata[key]
                for key in ("recipe", "data", "versions")
                if key in metadata
            },
            results=_results(metadata, curves),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"A file in {folder} is damaged: {error!r}") from None


def _title(metadata: dict, folder: Path) -> str:
    if not metadata:
        return f"Training run {folder.name}"
    return f"{metadata['task']} on {metadata['data']['name']}"


def _results(metadata: dict, history: dict) -> dict:
    """Rows of the table at the top: the result beside what it is compared with."""
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
