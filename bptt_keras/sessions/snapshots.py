"""The state of a session as bytes, which hold no code, and what they fit.

A line that names the format, 32 bytes of digest of what follows, and an `.npz` file
with one array for each state and the JSON text `content`: what the state belongs to.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.files import named_by_numpy
from bptt_keras.state import PureStep
from bptt_keras.types import State

_MAGIC = b"bptt_keras session 1\n"
_DIGEST = 32
# Numbers of each variable that its digest reads, spread over all of it.
_SAMPLED = 1 << 16


def fingerprint(step: PureStep, state: State) -> dict[str, Any]:
    """What a state belongs to, for JSON.

    Args:
        step: A model as a pure step.
        state: One of its states.

    Returns:
        Dict with the layers, by class, their states by name, shape of a row and dtype,
        and a digest of the weights. Names of layers are left out: Keras numbers them.
    """
    layers = [
        [
            type(layer).__name__,
            {
                key: [list(tensor.shape[1:]), tf.as_dtype(tensor.dtype).name]
                for key, tensor in state[name].items()
            },
        ]
        for name, layer in step.layers.items()
    ]
    return {"layers": layers, "weights": _digest_of_weights(step.model)}


def to_bytes(state: State, belongs_to: dict[str, Any], rows: int) -> bytes:
    """A state as bytes.

    Args:
        state: The state, of `rows` rows.
        belongs_to: What `fingerprint` returned.
        rows: Number of rows.
    """
    content = json.dumps({"rows": rows, **belongs_to}).encode()
    # By place in the model: layers have other names when a model is made again.
    arrays = {
        f"state-{i}-{key}": named_by_numpy(np.asarray(tensor))
        for i, states in enumerate(state.values())
        for key, tensor in states.items()
    }
    file = io.BytesIO()
    np.savez(file, content=np.frombuffer(content, np.uint8), **arrays)  # type: ignore[arg-type]
    payload = file.getvalue()
    return _MAGIC + _digest(payload) + payload


def from_bytes(
    data: bytes,
    expected: dict[str, Any],
    rows: int,
    *,
    names: Sequence[str],
    any_weights: bool,
) -> State:
    """The state that `to_bytes` was given.

    Args:
        data: What it returned.
        expected: `fingerprint` of the model that it must fit.
        rows: Number of rows that it must have.
        names: Names of the layers of the model, in order.
        any_weights: Whether the model may have other weights.

    Returns:
        The state.

    Raises:
        ValueError: If the bytes are damaged, or belong to another model or another
            number of rows.
    """
    content, arrays = _read(data)
    found = {key: content.get(key) for key in expected}
    if found["layers"] != expected["layers"]:
        raise ValueError(
            f"The snapshot is of another model. Expected: layers with the states "
            f"{expected['layers']}. Received: {found['layers']}."
        )
    if found["weights"] != expected["weights"] and not any_weights:
        raise ValueError(
            "The snapshot is of a model with other weights. Received: "
            "any_weights=False. If it is the same model before or after more training, "
            "pass `any_weights=True`."
        )
    if content.get("rows") != rows:
        raise ValueError(
            f"The snapshot must have as many rows as the session. Expected: {rows}. "
            f"Received: {content.get('rows')}."
        )
    return {
        name: {
            key: _tensor(arrays.get(f"state-{i}-{key}"), [rows, *shape], dtype)
            for key, (shape, dtype) in states.items()
        }
        for i, (name, (_, states)) in enumerate(
            zip(names, expected["layers"], strict=True)
        )
    }


def _tensor(array: np.ndarray | None, shape: list[int], dtype: str) -> tf.Tensor:
    kind = np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    if array is None or list(array.shape) != shape or array.itemsize != kind.itemsize:
        found = "none" if array is None else f"{array.shape} of {array.dtype}"
        raise ValueError(
            f"The snapshot does not hold what it says. Expected: an array of shape "
            f"{tuple(shape)} of {dtype}. Received: {found}."
        )
    return tf.constant(array.view(kind))


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    start = len(_MAGIC) + _DIGEST
    if not data.startswith(_MAGIC):
        raise ValueError(
            f"The snapshot is no snapshot of a session, or of another version. "
            f"Received: {len(data)} bytes that start with {data[:20]!r}."
        )
    payload = data[start:]
    if _digest(payload) != data[len(_MAGIC) : start]:
        raise ValueError(
            f"The snapshot is damaged: its bytes are not those that were written. "
            f"Received: {len(data)} bytes."
        )
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as file:
            content = json.loads(file["content"].tobytes())
            return content, {key: file[key] for key in file.files if key != "content"}
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"The snapshot cannot be read: {error}") from None


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _digest_of_weights(model: keras.Model) -> str:
    found = hashlib.blake2b(digest_size=16)
    for variable in model.weights:
        array = np.asarray(variable.value).ravel()
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array[:: -(-array.size // _SAMPLED) or 1].tobytes())
    return found.hexdigest()
