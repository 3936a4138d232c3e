"""Truncated backpropagation through time for Keras, behind plain `fit`."""

from typing import Any

from bptt_keras.backend import require_tensorflow, use_compile_cache

require_tensorflow()
use_compile_cache()

from bptt_keras import (  # noqa: E402
    callbacks,
    data,
    diagnostics,
    distribute,
    initializers,
    layers,
    truncation,
)
from bptt_keras.exporting.errors import ExportError  # noqa: E402
from bptt_keras.exporting.export import export  # noqa: E402
from bptt_keras.sessions.session import Session  # noqa: E402
from bptt_keras.state import PureStep  # noqa: E402
from bptt_keras.training import clipping  # noqa: E402
from bptt_keras.training.trainer import TruncatedBPTT  # noqa: E402

__all__ = [
    "ExportError",
    "PureStep",
    "Session",
    "TruncatedBPTT",
    "callbacks",
    "clipping",
    "data",
    "diagnostics",
    "distribute",
    "export",
    "initializers",
    "layers",
    "truncation",
    "tuning",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports `tuning`, which needs KerasTuner, when it is first used."""
    if name != "tuning":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return importlib.import_module("bptt_keras.tuning")
