"""Writes a model's weights to a file, completely or not at all."""

from __future__ import annotations

import io
import os

import h5py
import keras
import numpy as np

from zoo.system.errors import UserError
from zoo.system.files import write_bytes


def save_weights(
    model: keras.Model, path: str | os.PathLike, *, half: bool = False
) -> None:
    """Writes weights for `model.load_weights`.

    On a full disk HDF5 ends the process with a segmentation fault, so the file is made
    in memory and then written in one go.

    Args:
        model: A built model, or a compiled trainer with its optimizer.
        path: The file, replaced if it exists. Its name must end with `.weights.h5`.
        half: Whether to store floats in half precision and packed: half the size, with
            11 significant bits.

    Raises:
        UserError: If `half` is True and a weight is above 65,504, the largest number
            in half precision; or if the file cannot be written.
        ZooError: If the disk is full.
    """
    content = _Memory()
    model.save_weights(content)
    write_bytes(path, (_halved(content) if half else content).getbuffer())


class _Memory(io.BytesIO):
    """A file in memory with a name, which Keras 3 requires."""

    def __str__(self):
        return "memory.weights.h5"


def _halved(single: io.BytesIO) -> io.BytesIO:
    """Converts the floats of a weights file to half precision, packed."""
    result = io.BytesIO()
    with h5py.File(single, "r") as source, h5py.File(result, "w") as halved:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target = halved.require_group(name)
            else:
                value = item[()]
                if value.dtype == np.float32:
                    if not np.all(np.abs(value) <= np.finfo(np.float16).max):
                        raise UserError(
                            f"Half precision cannot hold all weights of {name}: the "
                            f"largest is {np.abs(value).max()}."
                        )
                    value = value.astype(np.float16)
                # Scalars cannot be packed.
                packed = {"compression": "gzip", "shuffle": True} if value.shape else {}
                target = halved.create_dataset(name, data=value, **packed)
            target.attrs.update(item.attrs)

        halved.attrs.update(source.attrs)
        source.visititems(copy)
    return result
