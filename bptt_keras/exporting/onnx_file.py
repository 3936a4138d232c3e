"""A step as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bptt_keras.exporting.quiet import quiet
from bptt_keras.exporting.step import ExportedStep, Runner

NAME = "ONNX"
SUFFIX = ".onnx"
# Of 2022: runtimes have had time to learn it.
OPSET = 18


def require() -> None:
    """Checks that converter and runtime are installed.

    Raises:
        ImportError: If one is not; names the extra.
    """
    _modules()


def _modules() -> tuple[Any, Any]:
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ImportError(
            f"Export to ONNX takes a converter and the runtime that proves the file, "
            f"and one is missing: {error}. Install them with "
            f'`pip install "bptt_keras[onnx]"`.'
        ) from None
    return tf2onnx, onnxruntime


def version() -> str:
    """The runtime that a file is proved in."""
    return f"onnxruntime {_modules()[1].__version__}"


def write(step: ExportedStep, path: Path) -> None:
    """Writes the file.

    Raises:
        Exception: What the converter raises. It does not raise for operations that ONNX
            lacks: the runtime does, when the file is loaded.
    """
    tf2onnx, _ = _modules()
    with quiet("tf2onnx"):
        model, _ = tf2onnx.convert.from_function(
            step.function, input_signature=step.signature, opset=OPSET
        )
    path.write_bytes(model.SerializeToString())


def load(path: Path, step: ExportedStep) -> Runner:
    """The file in its runtime, on a CPU and one thread."""
    _, onnxruntime = _modules()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors
    # From bytes: a file that had its weights beside it would not load.
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    taken = {entry.name for entry in session.get_inputs()}

    def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: value for name, value in values.items() if name in taken}
        return dict(zip(names, session.run(names, given), strict=True))

    return run
