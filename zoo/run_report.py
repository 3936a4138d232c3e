"""The HTML report of a training run, from the files in its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import bptt_keras as bk
from zoo.errors import UserError
from zoo.preset_folder import METADATA, read_json
from zoo.report import cells, headings

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
        return bk.diagnostics.write_report(
            folder / REPORT if path is None else path,
            title=_title(metadata, folder),
            history=json.loads(history.read_text(encoding="utf-8")),
            looks=bk.diagnostics.read_looks(looks) if looks.is_file() else (),
            samples=[sample.read_text(encoding="utf-8")] if sample.is_file() else (),
            config={
                key: metadata[key]
                for key in ("recipe", "data", "baselines", "versions")
                if key in metadata
            },
            results=_results(metadata),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"A file in {folder} is damaged: {error!r}") from None


def _title(metadata: dict, folder: Path) -> str:
    if not metadata:
        return f"Training run {folder.name}"
    return f"{metadata['task']} on {metadata['data']['name']}"


def _results(metadata: dict) -> dict:
    if not metadata:
        return {}
    metric = metadata["metric"]
    second = cells(metric["value"], metric["unit"])[1:]
    seconds = metadata["wall_time_seconds"]
    return {
        f"{metric['name']} of the {metric['part']} part": metric["value"],
        **({"unit": metric["unit"]} if metric["unit"] else {}),
        **dict(zip(headings(metric["unit"], metric["name"])[1:], second, strict=True)),
        **{f"published: {k}": v for k, v in metadata.get("references", {}).items()},
        "parameters": metadata["parameters"],
        "wall time": f"{seconds:,.0f} s",
        "seed": metadata["seed"],
    }
