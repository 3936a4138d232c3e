"""Checks an HDF5 file of weights before Keras reads it.

A few bytes of HDF5 can expand to terabytes, refer to other files or form an endless
tree. Only what Keras writes is accepted: groups and arrays of numbers, each linked
once, contiguous or packed with gzip, as many numbers as the model has weights, all
finite.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from zoo.system import limits

if TYPE_CHECKING:
    import h5py

_SMALL = 2**20  # bytes that may have any packing ratio
_BLOCK = 2**24  # bytes that are checked together
_LARGEST_CHUNK = 2**24
_RANK = 4
_ATTRIBUTES, _LARGEST_ATTRIBUTE = 8, 4096
_MOST_INTEGERS = 64 * limits.LAYERS  # integers: the seeds of layers
# What h5py raises for damaged bytes.
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, OverflowError)
# Checksums of files that passed: a command checks before it imports TensorFlow.
_good: set[tuple[str, int]] = set()


def check_weights(path: Path, sha256: str, weights: int) -> None:
    """Refuses a file that cannot be the weights of a model.

    Args:
        path: An HDF5 file whose size has been checked.
        sha256: Its checksum.
        weights: Number of weights of the model.

    Raises:
        ValueError: If it is not such a file, or holds anything else; or if its numbers
            are not finite, or of the wrong count.
    """
    if (sha256, weights) in _good:
        return
    # h5py: put off.
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check(file, path, weights)
    except _DAMAGE as error:
        raise ValueError(f"it is no HDF5 file of weights: {error}") from None
    _good.add((sha256, weights))


def _check(file: h5py.File, path: Path, weights: int) -> None:
    arrays = list(_arrays(file))
    floats = sum(array.size for array in arrays if array.dtype.kind == "f")
    whole = sum(array.size for array in arrays) - floats
    if floats != weights or whole > _MOST_INTEGERS:
        raise ValueError(f"it has {floats + whole:,} values for {weights:,} weights")
    _check_all_storage(file, path, arrays)
    for array in arrays:
        _require_finite(array)


def _check_all_storage(file: h5py.File, path: Path, arrays: list) -> None:
    with open(path, "rb") as content:
        for array in arrays:
            _check_storage(array, content, file.userblock_size)
    _check_ratio(arrays)


def _arrays(file: h5py.File) -> Iterator[h5py.Dataset]:
    """The arrays of a file; each group and array is visited once."""
    # h5py: put off.
    import h5py
    from h5py import h5g, h5l, h5o

    seen, waiting = {_address(file.id)}, [(file["/"].id, 0)]
    while waiting:
        group, depth = waiting.pop()
        _check_attributes(group)
        # Checked before the names are read: there may be millions.
        if len(seen) + group.get_num_objs() > limits.OBJECTS:
            raise ValueError(f"it has more than {limits.OBJECTS:,} groups and arrays")
        if depth > limits.NESTED:
            raise ValueError(f"its groups are nested more than {limits.NESTED} deep")
        for name in list(group):
            shown = repr(name.decode("utf-8", "replace"))[:100]
            # A link to another file must not be followed.
            if group.links.get_info(name).type != h5l.TYPE_HARD:
                raise ValueError(f"{shown} is a link")
            facts = h5o.get_info(group, name)
            if facts.addr in seen:
                raise ValueError(f"{shown} is a second link to the same")
            seen.add(facts.addr)
            if facts.type == h5o.TYPE_GROUP:
                waiting.append((h5g.open(group, name), depth + 1))
            elif facts.type == h5o.TYPE_DATASET:
                yield _checked(h5py.Dataset(h5o.open(group, name)), shown)
            else:
                raise ValueError(f"{shown} is neither a group nor an array")


def _address(identifier: Any) -> int:
    # h5py: put off.
    from h5py import h5o

    return h5o.get_info(identifier).addr


def _checked(array: h5py.Dataset, shown: str) -> h5py.Dataset:
    """Returns an array, if its metadata are what Keras writes."""
    # h5py: put off.
    from h5py import h5s, h5t

    _check_attributes(array.id)
    if array.is_virtual or array.external:
        raise ValueError(f"{shown} refers to other files")
    kind = array.id.get_type()
    numbers = (
        *(h5t.IEEE_F16LE, h5t.IEEE_F32LE, h5t.IEEE_F64LE),
        *(h5t.STD_U32LE, h5t.STD_I32LE, h5t.STD_U64LE, h5t.STD_I64LE),
    )
    if kind.committed() or not any(kind.equal(number) for number in numbers):
        raise ValueError(f"{shown} holds no numbers of a kind that weights have")
    space = array.id.get_space().get_simple_extent_type()
    if space not in (h5s.SIMPLE, h5s.SCALAR) or len(array.shape) > _RANK:
        raise ValueError(f"{shown} has no shape that weights have")
    if array.size > limits.WEIGHTS:
        raise ValueError(f"{shown} has {array.size:,} values")
    return array


def _check_attributes(identifier: Any) -> None:
    # h5py: put off.
    from h5py import h5a

    count = h5a.get_num_attrs(identifier)
    sizes = (
        h5a.open(identifier, index=i).get_storage_size()
        for i in range(min(count, _ATTRIBUTES))
    )
    if count > _ATTRIBUTES or max(sizes, default=0) > _LARGEST_ATTRIBUTE:
        raise ValueError("it has attributes that Keras does not write")


def _check_storage(array: h5py.Dataset, content: BinaryIO, start: int) -> None:
    """Checks how an array is stored, unpacking each chunk only up to its stated size.

    HDF5 itself would unpack a chunk to any size.
    """
    if not array.size:
        return
    plan = array.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if array.chunks is None:
        if filters or array.id.get_storage_size() != array.nbytes:
            raise ValueError(f"{array.name[:100]} is not stored in one piece")
        return
    if filters not in ([], [_GZIP], [_SHUFFLE, _GZIP]):
        raise ValueError(f"{array.name[:100]} is packed by something else than gzip")
    chunk = array.dtype.itemsize
    for extent in array.chunks:
        chunk *= extent
    expected = 1
    for size, extent in zip(array.shape, array.chunks, strict=True):
        expected *= -(-size // extent)
    if chunk > _LARGEST_CHUNK or expected * chunk > 8 * array.nbytes + _SMALL:
        raise ValueError(f"{array.name[:100]} is stored in chunks that are too large")
    chunks: list[Any] = []
    array.id.chunk_iter(lambda info: _collect(chunks, info, expected))
    if len({info.chunk_offset for info in chunks}) != expected:
        raise ValueError(f"{array.name[:100]} is stored in part")
    for info in chunks:
        if not filters or info.filter_mask:
            if info.filter_mask or info.size != chunk:
                raise ValueError(f"{array.name[:100]} has a chunk of another size")
            continue
        content.seek(start + info.byte_offset)
        packed = content.read(min(info.size, _LARGEST_CHUNK))
        if _unpacked(packed, chunk) != chunk:
            raise ValueError(f"{array.name[:100]} has a chunk that is damaged")


_GZIP, _SHUFFLE = 1, 2


def _collect(chunks: list[Any], info: Any, most: int) -> None:
    if len(chunks) >= most:
        raise ValueError("it has more chunks than its arrays")
    chunks.append(info)


def _unpacked(packed: bytes, most: int) -> int:
    """The number of unpacked bytes, counted up to `most` + 1."""
    try:
        return len(zlib.decompressobj().decompress(packed, most + 1))
    except zlib.error:
        return -1


def _check_ratio(arrays: list) -> None:
    size = sum(array.nbytes for array in arrays)
    stored = sum(array.id.get_storage_size() for array in arrays)
    if size > _SMALL + limits.RATIO * stored:
        raise ValueError(f"{stored:,} bytes unpack to {size:,}, as no weights do")


def _require_finite(array: h5py.Dataset) -> None:
    rows = len(array) if array.shape else 1
    block = max(1, _BLOCK * rows // max(1, array.nbytes))
    for first in range(0, rows, block):
        values = array[first : first + block] if array.shape else array[()]
        if not np.isfinite(values).all():
            raise ValueError("its weights are not finite")


def largest_file(weights: int) -> int:
    """The largest size in bytes of a file with a number of weights."""
    # Twice the four bytes of single precision, and the overhead of HDF5.
    return min(8 * weights + 16 * limits.MiB, limits.WEIGHTS_FILE)
