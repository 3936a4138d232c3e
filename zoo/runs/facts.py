"""What a result depends on besides the data and the recipe."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import keras
import tensorflow as tf

import bptt_keras as bk


def machine() -> str:
    """The hardware that TensorFlow uses: the GPUs, or else the CPU cores."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join(gpus) or f"{os.cpu_count()} CPU cores"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    try:
        own = importlib.metadata.version("bptt_keras")
    except importlib.metadata.PackageNotFoundError:
        own = getattr(bk, "__version__", "unknown")
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "bptt_keras": own,
    }
