"""A step as a SavedModel, with the state outside and, in two more endpoints, inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.exporting.quiet import quiet
from bptt_keras.exporting.step import ExportedStep, Runner
from bptt_keras.state import where_rows
from bptt_keras.types import Tensor

NAME = "SavedModel"
SUFFIX = ""
EXPLICIT, STEP, RESET = "serving_default", "step", "reset"


def require() -> None:
    """There is nothing to install: TensorFlow writes and runs it."""


def version() -> str:
    """The runtime that a file is proved in."""
    return f"tensorflow {tf.__version__}"


def write(step: ExportedStep, path: Path, *, keep_state: bool = True) -> None:
    """Writes the folder.

    Args:
        step: The step.
        path: The folder.
        keep_state: Whether to add endpoints that keep the state, if the number of rows
            is known. Default: `True`.
    """
    module: Any = tf.Module()
    module.weights = step.weights()
    module.explicit = step.function
    signatures = {EXPLICIT: module.explicit.get_concrete_function()}
    if keep_state and step.rows is not None:
        signatures |= _keeping_state(module, step)
    # It names the folder, which gets another name once the file has been proved.
    with quiet("tensorflow"):
        tf.saved_model.save(module, str(path), signatures=signatures)


def _keeping_state(module: Any, step: ExportedStep) -> dict[str, Any]:
    """Adds variables for the state, and the endpoints `step` and `reset`."""
    rows = step.rows
    assert rows is not None
    module.state = [
        tf.Variable(value, trainable=False, name=port.enters.name)
        for port, value in zip(step.states, step.initial(rows), strict=True)
    ]

    def run(*inputs: Tensor) -> dict[str, Tensor]:
        outputs, new = step.run(inputs, [v.read_value() for v in module.state], None)
        named = zip(step.outputs, outputs, strict=True)
        results = {port.name: tf.identity(t) for port, t in named}
        for variable, tensor in zip(module.state, new, strict=True):
            variable.assign(tensor)
        return results

    def reset(rows: Tensor | None = None) -> dict[str, Tensor]:
        fresh = step.flat(step.pure.initial_state(step.rows))
        old = [variable.read_value() for variable in module.state]
        new = fresh if rows is None else where_rows(rows, fresh, old)
        for variable, tensor in zip(module.state, new, strict=True):
            variable.assign(tensor)
        # An endpoint must return something: how many rows were reset.
        count = step.rows if rows is None else tf.reduce_sum(tf.cast(rows, tf.int32))
        return {"rows": tf.convert_to_tensor(count)}

    module.step = tf.function(
        run, input_signature=[port.spec for port in step.inputs], autograph=False
    )
    module.reset = tf.function(reset, autograph=False)
    module.reset.get_concrete_function()
    flags = tf.TensorSpec((rows,), tf.bool, name="rows")
    return {
        STEP: module.step.get_concrete_function(),
        RESET: module.reset.get_concrete_function(flags),
    }


def load(path: Path, step: ExportedStep) -> Runner:
    """The endpoint with explicit state, of the folder as it is on disk."""
    loaded = tf.saved_model.load(str(path))
    endpoint = loaded.signatures[EXPLICIT]

    def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in values.items()}
        return {name: t.numpy() for name, t in endpoint(**tensors).items()}

    return run


def load_keeping(path: Path) -> tuple[Runner, Runner]:
    """The endpoints `step` and `reset`, which keep the state."""
    loaded = tf.saved_model.load(str(path))

    def runner(endpoint: Any) -> Runner:
        def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            tensors = {name: tf.constant(value) for name, value in values.items()}
            # The loaded object owns the variables, and must outlive the endpoint.
            results = loaded.signatures[endpoint](**tensors)
            return {name: t.numpy() for name, t in results.items()}

        return run

    return runner(STEP), runner(RESET)
