"""The contestants of the benchmark: a program, its options and its environment."""

import dataclasses
import fnmatch
import json
import os
import sys

from tests.benchmarks.rounds import Contestant

_BFLOAT16 = {"policy": "mixed_bfloat16"}
# Of this library, with the native kernel or with that of XLA; it is an error if another
# one runs.
_NATIVE = {"kernel": "native"}
_FUSED = {"kernel": "fused"}, {"BPTT_KERAS_NATIVE": "0"}

# Name -> module in `peers`, its options, more of its environment.
TABLE = {
    "bptt_keras": ("bptt_keras_fit", _NATIVE, {}),
    "bptt_keras-fused": ("bptt_keras_fit", *_FUSED),
    # What 16 steps per execution are to Keras.
    "bptt_keras-16": ("bptt_keras_fit", {"batch_windows": 16, **_NATIVE}, {}),
    "bptt_keras-no-xla": ("bptt_keras_fit", {"jit_compile": False, **_NATIVE}, {}),
    "bptt_keras-1-shard": ("bptt_keras_fit", {"shards": 1, **_NATIVE}, {}),
    "bptt_keras-bfloat16": ("bptt_keras_fit", {**_BFLOAT16, **_NATIVE}, {}),
    **{
        f"keras{'-xla' if jit else ''}-{steps}": (
            "keras_fit",
            {"jit_compile": jit, "steps_per_execution": steps},
            {},
        )
        for jit in (False, True)
        for steps in (1, 16)
    },
    "torch": ("torch_loop", {}, {}),
    # The C library keeps freed memory instead of handing it back and clearing it anew.
    "torch-malloc": (
        "torch_loop",
        {},
        {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"},
    ),
    "torch-bfloat16": ("torch_loop", {"bfloat16": True}, {}),
    "jax": ("jax_scan", {}, {}),
}
YARDSTICKS = ("numpy", "tensorflow")
_ENV = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
# What keeps every library on a device, whatever else the machine has; several share
# the memory of a GPU.
DEVICES = {
    "cpu": {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
    "gpu": {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    },
}


def choose(patterns):
    """Names in the table that a pattern such as `keras*` fits, in the table's order.

    Raises:
        ValueError: If a pattern fits none.
    """
    for pattern in patterns:
        if not fnmatch.filter(TABLE, pattern):
            raise ValueError(
                f"`contestants` must be names or patterns of {', '.join(TABLE)}. "
                f"Received: {pattern!r}."
            )
    return [
        name
        for name in TABLE
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]


def contestants(names, shape, interpreters, device="cpu"):
    """A `Contestant` for each name.

    Args:
        names: Names in `TABLE`.
        shape: `Shape` that they train.
        interpreters: `{"torch": path, "jax": path}` of Python programs; the others run
            in this one.
        device: `"cpu"` or `"gpu"`: where they work.
    """
    common = _ENV | DEVICES[device]
    made = []
    for name in names:
        module, options, env = TABLE[name]
        if device == "gpu":
            # Which kernel is the fastest there is another matter.
            options = {key: value for key, value in options.items() if key != "kernel"}
        made.append(
            _contestant(name, shape, interpreters, common, module, options, env)
        )
    return made


def yardsticks(shape, device="cpu"):
    """Contestants whose window is one big matrix product; a turn takes four."""
    shape = dataclasses.replace(shape, windows=4, batch_windows=1)
    common = _ENV | DEVICES[device]
    return [
        _contestant(
            f"product-{library}", shape, {}, common, "product", {"library": library}, {}
        )
        for library in YARDSTICKS
        # NumPy knows no GPU.
        if device == "cpu" or library != "numpy"
    ]


def _contestant(name, shape, interpreters, common, module, options, env):
    python = interpreters.get(module.split("_")[0], sys.executable)
    # The shell that started us may be in another folder than the project's root.
    python = os.path.abspath(python) if os.sep in python else python
    work = json.dumps(dataclasses.asdict(shape)), json.dumps(options)
    command = (python, "-m", f"tests.benchmarks.peers.{module}", *work)
    return Contestant(name, command, {**common, **env})
