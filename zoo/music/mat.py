"""Reads MATLAB files byte by byte, limited to what piano rolls need.

A file of version 5 (`save -v6`, `-v7`) is a sequence of elements: a type, a number of
bytes and the content. A matrix is an element that contains others: its class and flags,
its dimensions, its name and its numbers, or for a cell array a matrix for each cell.
With `-v7` an element is packed with zlib. Every size is checked before it is used, so
no file can crash the process or exhaust the memory.

Source: MathWorks, "MAT-File Format", chapter 1.
"""

from __future__ import annotations

import dataclasses
import math
import struct
import zlib

import numpy as np

from zoo.system import limits

MATRIX, COMPRESSED = 14, 15
# Type of an element -> dtype of its numbers.
NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
# Class of a matrix: cells, or numbers (double, single, integers; logical is a flag).
CELLS, NUMERIC = 1, range(6, 16)
OTHERS = {2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}
COMPLEX = 0x08
_PACKED_LIMIT = f"it unpacks to more than {limits.UNPACKED // limits.MiB} MiB"


@dataclasses.dataclass
class _Reader:
    """A position in the bytes of elements."""

    content: memoryview
    order: str
    place: int = 0

    @property
    def left(self) -> int:
        return len(self.content) - self.place

    def element(self) -> tuple[int, memoryview]:
        """Returns type and content of the next element, and moves past it."""
        if self.left < 8:
            raise ValueError("it is cut off")
        kind, size = struct.unpack_from(f"{self.order}II", self.content, self.place)
        if kind >> 16:  # short: type, size and up to four bytes in eight
            kind, size, start = kind & 0xFFFF, kind >> 16, self.place + 4
            if size > 4:
                raise ValueError("an element has a size that it cannot have")
            self.place += 8
        else:
            start = self.place + 8
            # Only packed elements follow one another without padding.
            padding = 0 if kind == COMPRESSED else -size % 8
            # The last element may lack its padding.
            self.place = min(start + size + padding, len(self.content))
        if start + size > len(self.content):
            raise ValueError("it is cut off")
        return kind, self.content[start : start + size]

    def inside(self, content: memoryview) -> _Reader:
        return _Reader(content, self.order)


def read_mat(content: bytes) -> dict[str, np.ndarray | list[np.ndarray]]:
    """Reads numeric matrices and cell arrays of them from a MATLAB file of version 5.

    Args:
        content: The content of the file.

    Returns:
        `{name: array, or list of arrays}`: an array `(rows, columns)` in its stored
        type, cells in column order. Text, structs and other kinds of variables are left
        out.

    Raises:
        ValueError: If it is not such a file, is damaged, or unpacks to more than
            `zoo.system.limits.UNPACKED` bytes.

    Example:
        import io
        import numpy as np
        import scipy.io
        from zoo.music.mat import read_mat

        file = io.BytesIO()
        scipy.io.savemat(file, {"roll": np.eye(3)})
        assert np.array_equal(read_mat(file.getvalue())["roll"], np.eye(3))
    """
    reader = _opened(content)
    found: dict[str, np.ndarray | list[np.ndarray]] = {}
    unpacked = 0
    while reader.left:
        kind, data = reader.element()
        if kind == COMPRESSED:
            inner = _unpacked(data, limits.UNPACKED - unpacked)
            unpacked += len(inner)
            kind, data = reader.inside(memoryview(inner)).element()
        if kind != MATRIX:
            raise ValueError(f"it has an element of type {kind} in place of a variable")
        name, value = _variable(reader.inside(data))
        if value is not None and name:  # MATLAB adds a workspace without a name
            if name in found:
                raise ValueError(f"it has two variables {name:.60}")
            found[name] = value
    return found


def _opened(content: bytes) -> _Reader:
    """A reader after the header, 128 bytes with the version and the byte order."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or len(content) < 128:
        raise ValueError("it is no MATLAB file of version 5")
    (version,) = struct.unpack_from(f"{order}H", content, 124)
    if version == 0x0200:
        raise ValueError(
            "it is a MATLAB file of version 7.3, which is not read; save it with -v7"
        )
    if version != 0x0100:
        raise ValueError(f"it is a MATLAB file of an unknown version, {version:#06x}")
    return _Reader(memoryview(content), order, 128)


def _unpacked(packed: memoryview, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from None
    if len(data) > most:
        raise ValueError(_PACKED_LIMIT)
    if not unpacker.eof:
        raise ValueError("it is cut off")
    return data


def _variable(
    reader: _Reader,
) -> tuple[str, np.ndarray | list[np.ndarray] | None]:
    """Name and value of a matrix; the value of an unsupported kind is None."""
    kind, _, shape, name = _head(reader)
    if kind in NUMERIC:
        return name, _numbers(reader, shape)
    if kind != CELLS:
        if kind in OTHERS or kind in (16, 17):
            return name, None
        raise ValueError(f"it has a variable of an unknown class, {kind}")
    count = math.prod(shape)
    if count > min(limits.PIECES, reader.left // 8):
        raise ValueError(f"{name:.60} has {count:,} cells, more than can be there")
    return name, [_cell(reader, name) for _ in range(count)]


def _cell(reader: _Reader, name: str) -> np.ndarray:
    kind, data = reader.element()
    if kind != MATRIX:
        raise ValueError(f"a cell of {name:.60} is no matrix")
    if not len(data):  # MATLAB writes a cell that was never filled so
        return np.zeros((0, 0))
    inner = reader.inside(data)
    kind, _, shape, _ = _head(inner)
    if kind not in NUMERIC:
        what = "a cell array" if kind == CELLS else OTHERS.get(kind, "something else")
        raise ValueError(f"a cell of {name:.60} holds {what}, not a matrix of numbers")
    return _numbers(inner, shape)


def _head(reader: _Reader) -> tuple[int, int, tuple[int, ...], str]:
    """Class, flags, dimensions and name of a matrix."""
    kind, data = reader.element()
    if kind != 6 or len(data) != 8:
        raise ValueError("a variable has no class")
    (word,) = struct.unpack_from(f"{reader.order}I", data)
    flags = word >> 8 & 0xFF
    if flags & COMPLEX:
        raise ValueError("it has complex numbers")
    kind = word & 0xFF
    if kind == 17:  # a function handle or MATLAB class, which has no dimensions
        return kind, flags, (), ""
    code, data = reader.element()
    if code != 5 or not 8 <= len(data) <= 128 or len(data) % 4:
        raise ValueError("a variable has no extents")
    shape = struct.unpack(f"{reader.order}{len(data) // 4}i", data)
    if min(shape) < 0:
        raise ValueError("a variable has a negative extent")
    code, data = reader.element()
    if code not in (1, 2, 16) or len(data) > 256:
        raise ValueError("a variable has no name")
    return kind, flags, shape, bytes(data).decode("utf-8", "replace")


def _numbers(reader: _Reader, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of a matrix, as many as its dimensions say."""
    code, data = reader.element()
    if code not in NUMBERS:
        raise ValueError(f"it has numbers of an unknown type, {code}")
    kind = np.dtype(reader.order + NUMBERS[code])
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(
            f"a matrix of {' x '.join(map(str, shape))} numbers has {len(data):,} bytes"
        )
    return np.frombuffer(data, kind).reshape(shape, order="F")
