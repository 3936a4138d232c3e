"""The looks of a `TrainingWatch`, kept in a JSON file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bptt_keras.diagnostics.measuring.activity import Activity, LayerActivity
from bptt_keras.diagnostics.measuring.flow import GradientFlow
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias
from bptt_keras.diagnostics.watching.findings import Finding
from bptt_keras.files import write_whole

# Most units of a layer in a file; a damaged file may contain any number.
MOST_UNITS = 1_000_000


class Look(NamedTuple):
    """One look at a training run.

    Fields:
        epoch: Epochs that were done.
        flow: `GradientFlow`.
        bias: `TruncationBias` of the trainer's window, and of a shorter window if one
            may do; or `None`.
        activity: `Activity`.
        logs: `{name: number}` of the previous epoch, empty before training.
        findings: List of `Finding`.

    Example:
        import bptt_keras as bk

        flow = bk.diagnostics.GradientFlow([1.0, 0.5, 0.25])
        look = bk.diagnostics.Look(3, flow, None, bk.diagnostics.Activity({}), {}, [])
        assert look.epoch == 3
    """

    epoch: int
    flow: GradientFlow
    bias: Any
    activity: Activity
    logs: dict
    findings: list


def write_looks(path: str | os.PathLike, looks: Iterable[Look]) -> None:
    """Writes a JSON file, either completely or not at all.

    Args:
        path: File to write.
        looks: List of `Look`.
    """
    # One look per line: indented, each of the many numbers would take a line.
    lines = [json.dumps(look_to_values(look), allow_nan=False) for look in looks]
    write_whole(path, "[" + ",\n".join(lines) + "]\n")


def read_looks(path: str | os.PathLike) -> list[Look]:
    """Reads a file that a `TrainingWatch(path=)` wrote.

    Args:
        path: The JSON file.

    Returns:
        List of `Look`.

    Raises:
        ValueError: If the file is not one that a `TrainingWatch` wrote.

    Example:
        import pathlib, tempfile
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential(
            [keras.Input((None, 1)), bk.layers.GRU(1, return_sequences=True)]
        )
        trainer = bk.TruncatedBPTT(model, window=5)
        trainer.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(2, 20, 1)).astype("float32")
        path = pathlib.Path(tempfile.mkdtemp(), "looks.json")
        watch = bk.callbacks.TrainingWatch((x, x), path=path)
        trainer.fit(x, x, verbose=0, callbacks=[watch])
        looks = bk.diagnostics.read_looks(path)
        assert [look.epoch for look in looks] == [0, 1]
    """
    try:
        return [
            look_from_values(kept) for kept in json.loads(Path(path).read_text("utf-8"))
        ]
    except (
        AttributeError,
        IndexError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"{path} is no file that `TrainingWatch(path=)` wrote: {error!r}."
        ) from None


def look_to_values(look: Look) -> dict[str, Any]:
    """A look as values for JSON."""
    flow, bias, layers = look.flow, look.bias, look.activity.layers
    return {
        "epoch": look.epoch,
        "logs": {name: _number(value) for name, value in look.logs.items()},
        "findings": [finding._asdict() for finding in look.findings],
        "flow": {
            "norms": _numbers(flow.norms),
            "layers": {name: _numbers(norms) for name, norms in flow.layers.items()},
            "jacobian": _numbers(flow.jacobian),
        },
        "bias": bias
        and {
            "windows": bias.windows.tolist(),
            "cosine": _numbers(bias.cosine),
            "norm_ratio": _numbers(bias.norm_ratio),
            "variables": {k: _numbers(v) for k, v in bias.variables.items()},
        },
        "activity": {
            name: {
                "states": len(layer.dead),
                "dead": np.flatnonzero(layer.dead).tolist(),
                "saturated": {
                    gate: [len(ends), *(np.flatnonzero(e).tolist() for e in ends.T)]
                    for gate, ends in layer.saturated.items()
                },
                "finite": layer.finite,
            }
            for name, layer in layers.items()
        },
    }


def look_from_values(kept: dict[str, Any]) -> Look:
    """The look that `look_to_values` was given."""
    flow, bias = kept["flow"], kept["bias"]
    return Look(
        kept["epoch"],
        GradientFlow(
            _floats(flow["norms"]),
            {name: _floats(norms) for name, norms in flow["layers"].items()},
            _floats(flow["jacobian"]),
        ),
        bias
        and TruncationBias(
            bias["windows"],
            _floats(bias["cosine"]),
            _floats(bias["norm_ratio"]),
            {name: _floats(values) for name, values in bias["variables"].items()},
        ),
        Activity(
            {
                name: LayerActivity(
                    _flags(layer["states"], layer["dead"]),
                    {
                        gate: np.stack([_flags(count, end) for end in ends], axis=1)
                        for gate, (count, *ends) in layer["saturated"].items()
                    },
                    layer["finite"],
                )
                for name, layer in kept["activity"].items()
            }
        ),
        {k: math.nan if v is None else v for k, v in kept["logs"].items()},
        [Finding(**finding) for finding in kept["findings"]],
    )


def _flags(count: int, places: Sequence[int]) -> np.ndarray:
    if not 0 <= count <= MOST_UNITS:
        raise ValueError(f"a layer of {count} units")
    flags = np.zeros(count, bool)
    flags[places] = True
    return flags


def _number(value: float) -> float | None:
    """A plain number with six digits, or `None`, null in JSON, if it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _floats(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
