"""`export`: a model's step as a file that runs without this library."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from bptt_keras.arguments import whole
from bptt_keras.exporting import litert, onnx_file, saved_model
from bptt_keras.exporting.blame import layer_to_blame
from bptt_keras.exporting.description import as_text, check_plain, describe, path_of
from bptt_keras.exporting.errors import Differs, ExportError
from bptt_keras.exporting.proof import Proof, check_holds_weights, prove
from bptt_keras.exporting.step import ExportedStep
from bptt_keras.files import new_folder, replacing, write_durably
from bptt_keras.keras_internals import in_one_line
from bptt_keras.sessions.around import innermost
from bptt_keras.state import check_by_running
from bptt_keras.types import Structure

FORMATS: dict[str, Any] = {
    "saved_model": saved_model,
    "onnx": onnx_file,
    "litert": litert,
}


def export(
    model: keras.Model,
    path: str | os.PathLike,
    format: str = "saved_model",
    *,
    rows: int | None = 1,
    timesteps: int | None = 1,
    reset: bool = False,
    example: Structure = None,
    preprocessing: Any = None,
) -> dict[str, Any]:
    """Writes a model's step, with its state as inputs and outputs, and proves it.

        outputs, new_state = step(inputs, state)

    Before this function returns, the file has run in its own runtime: at least 100
    timesteps in pieces, with a reset, on made-up data, and every output was finite and
    within 1e-5 of the Keras model's (relative to the largest one, if that is above 1).
    A model that amplifies rounding errors from step to step is compared with itself
    instead: ten times the distance of Keras with XLA from Keras without is allowed. If
    the file fails, none is left, and one that was there before is as it was.

    Beside the file is another, with `.json` added to its name: names, shapes and dtypes
    of inputs and outputs, which output is which input of the next call, the initial
    state, `preprocessing`, and what the proof showed. Names are made of letters, digits
    and underscores: `state_lstm_h` goes in, `new_state_lstm_h` comes out.

    A SavedModel has the endpoint `serving_default` with explicit state. If `rows` is a
    number it also has `step`, which keeps the state between calls, and `reset`, which
    takes `rows`, booleans `(rows,)`; the loaded object has the same two as methods.

    Args:
        model: A built `keras.Model` as for `PureStep`, or a `TruncatedBPTT` around one.
        path: The file, `.onnx` or `.tflite`, or the folder of a SavedModel. An older
            one is replaced.
        format: `"saved_model"` (default), `"onnx"` (needs the extra `onnx`) or
            `"litert"` (needs the extra `litert`).
        rows: Number of sequences side by side, at least 1, or `None` for any number.
            Default: 1.
        timesteps: Timesteps in a call, at least 1, or `None` for any number. Default:
            1. A single timestep has no loop, and runs everywhere.
        reset: Whether the step has an input `reset`, booleans `(rows,)`: rows that
            start from the initial state. Default: `False`: hand over the initial state.
        example: Structure of arrays `(rows, time, ...)` like the inputs. The proof then
            uses these, repeated, and integers become inputs of int32. It is needed for
            a model that does not declare its inputs with `keras.Input`.
        preprocessing: Plain values that the model needs to read data, such as a
            vocabulary or a scaling, for the JSON file. Default (`None`): none.

    Returns:
        What the JSON file says, as a dict.

    Raises:
        ExportError: If the model cannot be exported in this format, or computes
            something else there; names the layer.
        ImportError: If a package is missing; names the extra.
        OSError: If the file cannot be written.
        TypeError: If an argument has the wrong type.
        ValueError: If `model` cannot be cut along time, or an argument is out of range
            or does not fit the model or the format.

    Example:
        import keras, numpy as np, tensorflow as tf, bptt_keras as bk

        model = keras.Sequential(
            [keras.Input((None, 3)), bk.layers.GRU(4, return_sequences=True)]
        )
        bk.export(model, "gru", rows=2)
        loaded = tf.saved_model.load("gru")
        x = np.random.normal(size=(2, 5, 3)).astype("float32")
        y = [loaded.step(x[:, t : t + 1])["outputs"] for t in range(5)]
        np.testing.assert_allclose(np.concatenate(y, 1), model(x), atol=1e-5)
        loaded.reset()
    """
    chosen = _format(format)
    path = Path(path)
    _check_path(path, chosen, format)
    rows = None if rows is None else whole("rows", rows, unit=None)
    timesteps = None if timesteps is None else whole("timesteps", timesteps)
    check_plain(preprocessing)
    chosen.require()
    step = ExportedStep(
        innermost(model), rows=rows, timesteps=timesteps, reset=reset, example=example
    )
    check_by_running(step.pure, step.specs)
    _check_precision(step, chosen)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path_of(path)) as new_json, _replacing(path, chosen) as new:
        try:
            proof = _written_and_proved(step, chosen, new)
        except (ImportError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - converters raise anything
            raise _explained(step, chosen, error) from error
        description = describe(
            step,
            format=format,
            file=path.name,
            runtime=chosen.version(),
            proof=proof,
            preprocessing=preprocessing,
            endpoints=_endpoints(step, chosen),
        )
        write_durably(new_json, as_text(description))
    return description


def _format(format: Any) -> ModuleType:
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {list(FORMATS)}. Received: format={format!r}."
        )
    return FORMATS[format]


def _check_path(path: Path, chosen: Any, format: str) -> None:
    if path.suffix != chosen.SUFFIX and chosen.SUFFIX:
        raise ValueError(
            f"`path` must end in {chosen.SUFFIX!r} for format={format!r}. Received: "
            f"path={str(path)!r}."
        )
    others = {other.SUFFIX: name for name, other in FORMATS.items() if other.SUFFIX}
    if not chosen.SUFFIX and path.suffix in others:
        raise ValueError(
            f"`path` must be a folder for format={format!r}. Received: "
            f"path={str(path)!r}. Did you mean format={others[path.suffix]!r}?"
        )
    if path.exists() and path.is_dir() == bool(chosen.SUFFIX):
        kind = "a folder" if path.is_dir() else "a file"
        raise ValueError(
            f"`path` must not be {kind} for format={format!r}. Received: "
            f"path={str(path)!r}."
        )
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").exists():
        raise ValueError(
            f"`path` must be a new folder, or that of an older SavedModel. Received: "
            f"path={str(path)!r}, which holds other files."
        )


def _check_precision(step: ExportedStep, chosen: Any) -> None:
    """Raises if a layer computes in half precision, which other runtimes do not."""
    if chosen is saved_model:
        return
    for layer in step.pure.own_layers:
        if layer.compute_dtype in ("float16", "bfloat16"):
            raise ExportError(
                f"Layer {layer.name!r} ({type(layer).__name__}) cannot be exported to "
                f"{chosen.NAME}: it computes in {layer.compute_dtype}. Make the model "
                f"with the policy 'float32', and load the weights into it."
            )


def _replacing(path: Path, chosen: Any) -> Any:
    return replacing(path) if chosen.SUFFIX else new_folder(path)


def _written_and_proved(step: ExportedStep, chosen: Any, path: Path) -> Proof:
    chosen.write(step, path)
    check_holds_weights(step, path)
    proof = prove(step, chosen.load(path, step))
    if chosen is saved_model and step.rows is not None:
        run, keeps = saved_model.load_keeping(path)
        inside = prove(step, run, keeps=keeps)
        proof = proof._replace(difference=max(proof.difference, inside.difference))
    return proof


def _explained(step: ExportedStep, chosen: Any, error: Exception) -> ExportError:
    """The error that names layer and format."""

    def attempt(model: keras.Model, inputs: Structure) -> None:
        alone = ExportedStep(
            model,
            rows=step.rows,
            timesteps=step.timesteps,
            reset=step.reset is not None and bool(step.states),
            example=inputs,
        )
        with _temporary(chosen) as path:
            _written_and_proved(alone, chosen, path)

    layer = layer_to_blame(step, error, attempt)
    sizes = f"rows={step.rows}, timesteps={step.timesteps}"
    what = (
        f"Model {step.pure.model.name!r}"
        if layer is None
        else f"Layer {layer.name!r} ({type(layer).__name__})"
    )
    verb = (
        "computes something else in"
        if isinstance(error, Differs)
        else "cannot be exported to"
    )
    hint = (
        "" if step.timesteps == 1 else " A single timestep has no loop: `timesteps=1`."
    )
    return ExportError(
        f"{what} {verb} {chosen.NAME} with {sizes}: {in_one_line(error)[:500]}.{hint}"
    )


@contextlib.contextmanager
def _temporary(chosen: Any) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / f"alone{chosen.SUFFIX}"


def _endpoints(step: ExportedStep, chosen: Any) -> dict[str, Any]:
    """Names of the endpoints; an ONNX file has none."""
    if chosen is onnx_file:
        return {}
    explicit = {saved_model.EXPLICIT: "inputs and states in, outputs and states out"}
    if chosen is litert or step.rows is None:
        return explicit
    return {
        **explicit,
        saved_model.STEP: "inputs in, outputs out; the state is kept inside",
        saved_model.RESET: "`rows`, booleans (rows,): those that start afresh",
    }
