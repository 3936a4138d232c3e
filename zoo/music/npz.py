"""Reads arrays from a `.npz` file, checking sizes before anything is unpacked."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from zoo.system import limits

_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_ENTRIES, _DIRECTORY = 1000, limits.MiB
_HEADER = 10_000  # the most bytes of an array's header
_ENCRYPTED = 0x01


def read_npz(content: bytes, *, ndim: int) -> dict[str, np.ndarray]:
    """Reads the arrays with `ndim` axes from a `.npz` file; others are not unpacked.

    Args:
        content: The content of the file.
        ndim: Number of axes of the arrays.

    Returns:
        `{name: array}` of numbers or booleans.

    Raises:
        ValueError: If it is not such a file, is damaged or encrypted, or unpacks to
            more than `zoo.system.limits.UNPACKED` bytes.

    Example:
        import io
        import numpy as np
        from zoo.music.npz import read_npz

        file = io.BytesIO()
        np.savez_compressed(file, roll=np.eye(3), tempo=90)
        (name,) = read_npz(file.getvalue(), ndim=2)
        assert name == "roll"
    """
    _check_end(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check(entries)
            arrays = {}
            for entry in entries:
                with archive.open(entry) as file:
                    array = _array(file, entry, ndim)
                if array is not None:
                    arrays[entry.filename.removesuffix(".npy")] = array
            return arrays
    # zipfile raises all of these for damaged bytes.
    except (
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        NotImplementedError,
        OSError,
        OverflowError,
        RuntimeError,
        TypeError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        # A message may hold parts of the file.
        words = f"{error}"[:200] or "it is cut off"
        raise ValueError(f"it is damaged: {words}") from None


def _check_end(content: bytes) -> None:
    """Checks the length of the list of entries before it is parsed."""
    place = content.rfind(_END, max(0, len(content) - 2**16 - 22))
    if place < 0 or place + 22 > len(content):
        raise ValueError("it is no .npz file, or is cut off")
    entries, size, start = struct.unpack_from("<HII", content, place + 10)
    # ZIP64 is for more than 65,534 entries or 4 GB, which is too much.
    if entries > _ENTRIES or size > _DIRECTORY or content[place - 20 :][:4] == _END_64:
        raise ValueError(f"it has more than {_ENTRIES:,} entries")
    if start + size > place:
        raise ValueError("it is cut off")


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise ValueError("it is empty")
    for entry in entries:
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError("it is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is packed in a way that NumPy does not use")
    if sum(entry.file_size for entry in entries) > limits.UNPACKED:
        raise ValueError(f"it unpacks to more than {limits.UNPACKED // limits.MiB} MiB")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it has two arrays of one name")


def _array(file: IO[bytes], entry: zipfile.ZipInfo, ndim: int) -> np.ndarray | None:
    shape, fortran, kind, header = _description(file)
    if kind.hasobject or kind.kind not in "biuf" or kind.itemsize > 8:
        if len(shape) != ndim:
            return None
        raise ValueError(f"the array {entry.filename:.60} holds no numbers")
    size = math.prod(shape) * kind.itemsize
    if size != entry.file_size - header:
        raise ValueError(
            f"the array {entry.filename:.60} of shape {str(shape):.60} takes {size:,} "
            f"bytes, but there are {entry.file_size - header:,}"
        )
    if len(shape) != ndim:
        return None
    # Read to the end, so that the checksum is verified.
    data = file.read()
    if len(data) != size:
        raise ValueError("it is cut off")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _description(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order and type of an array, and the size of this header in bytes."""
    start = file.read(12)
    if start[:6] != b"\x93NUMPY" or start[6:7] not in (b"\1", b"\2", b"\3"):
        raise ValueError("it holds something else than arrays of NumPy")
    old = start[6] == 1
    size = 10 + struct.unpack_from("<H", start, 8)[0]
    if not old:
        size = 12 + struct.unpack("<I", start[8:12])[0]
    if not 12 <= size <= _HEADER:
        raise ValueError("an array has a description of a size that it cannot have")
    text = start[8:] + file.read(size - 12)
    # NumPy 2.2 does not type `max_header_size`.
    read: Any = np.lib.format.read_array_header_1_0
    if not old:
        read = np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that Python 2 wrote
            shape, fortran, kind = read(io.BytesIO(text), max_header_size=_HEADER)
    # A header is parsed as Python text, which can fail in many ways.
    except Exception as error:
        raise ValueError(
            f"an array has a damaged description: {error!s:.200}"
        ) from None
    if any(type(extent) is not int or extent < 0 for extent in shape):
        raise ValueError(f"an array has the shape {shape}")
    return shape, fortran, kind, size
