"""How an exported step is used, in JSON: enough for a program without Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.exporting.ports import Port
from bptt_keras.exporting.proof import Proof
from bptt_keras.exporting.step import ExportedStep

VERSION = 1


def describe(
    step: ExportedStep,
    *,
    format: str,
    file: str,
    runtime: str,
    proof: Proof,
    preprocessing: Any,
    endpoints: dict[str, Any],
) -> dict[str, Any]:
    """What the JSON file says.

    Args:
        step: The step.
        format: Name of the format.
        file: Name of the file or folder.
        runtime: Name and version of the runtime in which it was proved.
        proof: The `Proof`.
        preprocessing: Plain values that the model needs to read data, or `None`.
        endpoints: Names of the endpoints, and what they take and return.
    """
    return {
        "version": VERSION,
        "format": format,
        "file": file,
        "rows": step.rows,
        "timesteps": step.timesteps,
        "inputs": [
            {**_port(port), "time_axis": 1 if timed else None}
            for port, timed in zip(step.inputs, step.timed, strict=True)
        ],
        "outputs": [
            {**_port(port), "time_axis": 1 if timed else None}
            for port, timed in zip(step.outputs, step.outputs_timed, strict=True)
        ],
        "state": [
            {
                "input": state.enters.name,
                "output": state.leaves.name,
                "layer": state.layer,
                "state": state.state,
                "shape": list(state.enters.shape),
                "dtype": state.enters.dtype.name,
                "initial": _initial(row),
            }
            for state, row in zip(step.states, step.initial(1), strict=True)
        ],
        "reset": None if step.reset is None else _port(step.reset),
        "endpoints": endpoints,
        "preprocessing": preprocessing,
        "proof": {
            "runtime": runtime,
            "rows": proof.rows,
            "timesteps": proof.timesteps,
            "largest_difference": proof.difference,
            "allowed_difference": proof.allowed,
        },
        "made_with": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def path_of(path: Path) -> Path:
    """The JSON file beside an exported file or folder."""
    return path.with_name(path.name + ".json")


def as_text(description: dict[str, Any]) -> str:
    """The text of the JSON file.

    Raises:
        TypeError: If `preprocessing` is not plain.
        ValueError: If it holds a number that JSON does not have.
    """
    return json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def check_plain(preprocessing: Any) -> None:
    """Raises if a value is none that JSON can hold.

    Raises:
        TypeError: If so.
    """
    try:
        json.dumps(preprocessing, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`preprocessing` must be made of dicts, lists, strings, finite numbers, "
            f"booleans and None. Received: {error}."
        ) from None


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype.name}


def _initial(row: np.ndarray) -> Any:
    """`"zeros"`, or the initial state of a row as nested lists."""
    return row[0].tolist() if row.any() else "zeros"
