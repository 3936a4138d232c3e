"""The files of a `Resume`: one for each save, complete or absent.

A save is a file `save-<number>-<digest>.npz`: arrays of NumPy, stored without
compression, among them the JSON text `content`. The digest of all its bytes is part of
its name, so a byte that is cut off or changed shows. It is written under another name,
flushed to the disk and then renamed, so a kill leaves it complete or not there. The
newest two are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.files import LARGEST_JSON, open_regular, parse_json
from bptt_keras.resume.pacing import PAUSE, Rest, pieces

FORMAT = 1
KEPT = 2
_NAME = re.compile(r"save-(\d{12})-([0-9a-f]{32})\.npz")
_CHUNK = 1 << 22
_DIGEST = 16  # bytes
# Bytes at the end of a file in which the list of its arrays is described, and of this
# list: some hundred thousand arrays.
_TAIL, _LONGEST_DIRECTORY = 1 << 17, 1 << 24
# What the content of a save must have.
_KINDS: dict[str, type] = {
    "place": list,
    "batches": int,
    "replayed": int,
    "stop_training": bool,
    "variables": list,
    "schedule": dict,
    "random": dict,
    "callbacks": list,
    "files": list,
    "first_orders": list,
    "orders": list,
    "way": str,
    "configuration": dict,
}
# What values of other types and sizes than were saved raise when they are restored.
_NOT_RESTORED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)


class Save(NamedTuple):
    """What a file holds.

    Fields:
        number: Its place in the order of saves.
        content: Values from JSON.
        arrays: `{name: list of arrays}`.
    """

    number: int
    content: dict[str, Any]
    arrays: dict[str, list[np.ndarray]]


class ResumeError(ValueError):
    """A `fit` cannot go on from the saves in the folder of a `Resume`.

    Example:
        import bptt_keras as bk

        def trained(trainer, x, folder):
            try:
                return trainer.fit(x, x, callbacks=[bk.callbacks.Resume(folder)])
            except bk.callbacks.ResumeError as error:
                print(f"Begin anew in another folder. {error}")
    """


class Damaged(Exception):
    """A file is not what was written; the message says why."""


def write(folder: Path, save: Save, rest: Rest = lambda seconds: None) -> Path:
    """Writes a save, and removes those that are no longer kept.

    Args:
        folder: An existing folder.
        save: The save.
        rest: See `pieces`.

    Returns:
        The path of the file.

    Raises:
        OSError: If the disk is full, the folder cannot be written to, or the content
            is larger than what is read again. Nothing is left of the save then.
    """
    named = {
        f"{group}-{index}": array
        for group, arrays in save.arrays.items()
        for index, array in enumerate(arrays)
    }
    text = json.dumps({"format": FORMAT, **save.content}).encode()
    if len(text) > LARGEST_JSON:
        raise OSError(
            f"the state of the callbacks takes {len(text):,} bytes of text, above "
            f"{LARGEST_JSON:,}; keep long lists as arrays of NumPy"
        )
    rest(PAUSE)
    new = folder / f".new-{os.getpid()}.npz"
    try:
        with open(new, "wb") as file:
            hashed = _Hashed(file)
            content = {"content": np.frombuffer(text, np.uint8)}
            _write_arrays(hashed, {**content, **named}, rest)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"save-{save.number:012d}-{hashed.digest.hexdigest()}.npz"
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    _flush_folder(folder)
    for old in found(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


class _Hashed:
    """A file that is written from its start to its end, and hashed on the way.

    Without `seek` and `tell`, `zipfile` writes no byte twice.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.digest = hashlib.blake2b(digest_size=_DIGEST)

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _write_arrays(file: Any, arrays: dict[str, np.ndarray], rest: Rest) -> None:
    """Writes arrays as `numpy.savez` does, to a file that can only be written."""
    layout = np.lib.format
    with zipfile.ZipFile(file, "w") as archive:
        for name, given in arrays.items():
            array = np.require(given, requirements="C")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = layout.header_data_from_array_1_0(array)
                layout.write_array_header_1_0(member, header)
                content = array.reshape(-1).view(np.uint8).data
                for piece in pieces(len(content), rest):
                    member.write(content[piece])


def remove_unfinished(folder: Path) -> None:
    """Removes what a kill left of saves; the folder must be locked."""
    for left in folder.glob(".new-*.npz"):
        left.unlink(missing_ok=True)


def found(folder: Path) -> list[Path]:
    """The files of saves in a folder, the newest first."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: path.name, reverse=True)


def read(path: Path) -> Save:
    """Reads a save.

    Raises:
        Damaged: If a byte of it is not what was written, or it cannot be read.
    """
    number, digest = _NAME.fullmatch(path.name).groups()  # type: ignore[union-attr]
    try:
        if digest_of_file(path) != digest:
            raise Damaged("its bytes are not those that were written")
        # The digest only tells of accidents: who changes a file can name it anew.
        _check_stored(path)
        with np.load(path, allow_pickle=False) as file:
            content = parse_json(file["content"].tobytes().decode())
            arrays = _grouped(file)
    except (
        EOFError,
        OSError,
        RuntimeError,
        zipfile.BadZipFile,
        *_NOT_RESTORED,
    ) as error:
        raise Damaged(f"it cannot be read: {_words(error)}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Damaged("its format is unknown")
    return Save(int(number), content, arrays)


def newest(folder: Path) -> tuple[Save | None, list[str]]:
    """The newest save that is whole.

    Returns:
        `(save, remarks)`: `None` if there is none; and a sentence for each newer one
        that is damaged.
    """
    remarks: list[str] = []
    for path in found(folder):
        try:
            save = read(path)
            _check_content(save.content)
            return save, remarks
        except Damaged as error:
            remarks.append(f"{path} is damaged: {error}.")
    return None, remarks


@contextlib.contextmanager
def restoring(number: int) -> Iterator[None]:
    """Within: a failure to restore what a save holds is told in one sentence.

    Args:
        number: Number of the save.

    Raises:
        ResumeError: In place of what was raised.
    """
    try:
        yield
    except _NOT_RESTORED as error:
        raise ResumeError(
            f"Save {number} does not hold what this training saves: {_words(error)}. "
            f"Give the training another folder to begin anew."
        ) from error


def _words(error: Exception) -> str:
    """The message of an error in one line, cut short: it may hold parts of a file."""
    return f"{' '.join(str(error).split()) or type(error).__name__:.300}"


def _check_content(content: dict[str, Any]) -> None:
    """Raises `Damaged` if the content of a save lacks something.

    Whether it fits the training is seen when it is restored.
    """
    for name, kind in _KINDS.items():
        value = content.get(name)
        if type(value) is not kind:
            found = "missing" if name not in content else f"a {type(value).__name__}"
            raise Damaged(f"its `{name}` is {found}")
    place = content["place"]
    good = len(place) == 4 and [type(part) for part in place] == [int, int, bool, list]
    counts = [*place[:2], *place[3]] if good else []
    if not good or not all(_is_count(count) for count in counts):
        raise Damaged("its `place` is none in a training")
    if not all(size is None or _is_count(size) for size in content["files"]):
        raise Damaged("its `files` are no sizes")
    if not all(isinstance(state, dict) for state in content["callbacks"]):
        raise Damaged("its `callbacks` are no states")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _grouped(file: Any) -> dict[str, list[np.ndarray]]:
    """The arrays by the part of their names before the number."""
    counts: dict[str, int] = {}
    for name in file.files:
        if name != "content":
            group = name.rsplit("-", 1)[0]
            counts[group] = counts.get(group, 0) + 1
    return {
        group: [file[f"{group}-{index}"] for index in range(count)]
        for group, count in counts.items()
    }


def _check_stored(path: Path) -> None:
    """Raises if the arrays take more memory than the file, or are none of numbers."""
    _check_directory(path)
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename:.60} is compressed")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its arrays are larger than the file")
        for member in members:
            with file.open(member) as array:
                _check_array(array, member)


def _check_directory(path: Path) -> None:
    """Raises if the list of arrays is so long that reading it would take seconds."""
    with open(path, "rb") as file:
        file.seek(-min(path.stat().st_size, _TAIL), os.SEEK_END)
        tail = file.read()
    place = tail.rfind(b"PK\5\6")
    sizes = [struct.unpack_from("<I", tail, place + 12)[0]] if place >= 0 else []
    # Of a file above 4 GB there is a second record, which counts.
    large = tail.rfind(b"PK\6\6", 0, max(place, 0))
    if large >= 0:
        sizes.append(struct.unpack_from("<Q", tail, large + 40)[0])
    if not sizes or max(sizes) > _LONGEST_DIRECTORY:
        raise ValueError("it is no file of arrays")


def _check_array(file: Any, member: zipfile.ZipInfo) -> None:
    """Raises if an array is not as large as its description says.

    NumPy would take the memory before it reads.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, kind = np.lib.format.read_array_header_2_0(file)
    # A description is parsed as Python text, which can fail in many ways.
    except Exception as error:
        raise ValueError(f"{member.filename:.60} is no array: {error}") from None
    if not kind.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"{member.filename:.60} has the shape {shape!s:.60} of {kind}")
    if math.prod(shape) * kind.itemsize != member.file_size - file.tell():
        raise ValueError(f"{member.filename:.60} is not of shape {shape!s:.60}")


def digest_of_file(path: Path) -> str:
    """The digest that the name of a save has."""
    found = hashlib.blake2b(digest_size=_DIGEST)
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _flush_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def digest_of(arrays: Sequence[np.ndarray], *, at_most: int = 1 << 26) -> str:
    """A digest of arrays: their shapes, dtypes and values.

    Args:
        arrays: NumPy arrays, memory maps too.
        at_most: Bytes of each array that are read; of a larger one, rows spread over
            all of it.
    """
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        if array.dtype.kind == "O" or not array.size:
            continue
        rows = len(array) if array.ndim else 1
        read = max(1, rows * at_most // max(array.nbytes, 1))
        step = -(-rows // read)
        sampled = array[::step] if array.ndim else array
        found.update(np.ascontiguousarray(sampled).tobytes())
    return found.hexdigest()
