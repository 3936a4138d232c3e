"""A step as a file of LiteRT, which used to be called TensorFlow Lite."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.exporting import saved_model
from bptt_keras.exporting.step import ExportedStep, Runner

NAME = "LiteRT"
SUFFIX = ".tflite"


def require() -> None:
    """Checks that the runtime is installed.

    Raises:
        ImportError: If it is not; names the extra.
    """
    _interpreter()


def _interpreter() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise ImportError(
            f"Export to LiteRT proves the file in its runtime, and that is missing: "
            f'{error}. Install it with `pip install "bptt_keras[litert]"`.'
        ) from None
    return interpreter


def version() -> str:
    """The runtime that a file is proved in."""
    from importlib import metadata

    return f"ai-edge-litert {metadata.version('ai-edge-litert')}"


def write(step: ExportedStep, path: Path) -> None:
    """Writes the file.

    Raises:
        Exception: What the converter raises, if an operation is not one of LiteRT's.
    """
    # From a SavedModel: it alone passes on both the weights and all names.
    with tempfile.TemporaryDirectory() as folder:
        saved_model.write(step, Path(folder), keep_state=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[saved_model.EXPLICIT]
        )
        # No operations of TensorFlow, which the runtime does not have.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(converter.convert())


def load(path: Path, step: ExportedStep) -> Runner:
    """The file in its runtime, on one thread."""
    opened = _interpreter().Interpreter(model_path=str(path), num_threads=1)
    endpoint = opened.get_signature_runner(saved_model.EXPLICIT)

    def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # What it returns is overwritten by the next call.
        return {name: np.array(value) for name, value in endpoint(**values).items()}

    return run
