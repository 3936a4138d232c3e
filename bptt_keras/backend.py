"""The backend: checks that it is TensorFlow, and makes its settings."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from bptt_keras.files import write_whole

CACHE_SWITCH = "BPTT_KERAS_COMPILE_CACHE"
_XLA_FLAGS = "TF_XLA_FLAGS"
_CACHE_FLAG = "--tf_xla_persistent_cache_directory="
_READ_ONLY = "--tf_xla_persistent_cache_read_only=true"
# Bytes that must be free for new programs, each of which has up to a few million.
_ROOM = 2**26
# Suffix of the file with the checksum of a cached program.
_SUM = ".sha256"


def require_tensorflow() -> None:
    """Checks that Keras runs on TensorFlow; the package calls this before all else.

    Raises:
        ImportError: If TensorFlow is not installed, or Keras is set to another backend
            (environment variable KERAS_BACKEND, or its settings file).

    Example:

        from bptt_keras.backend import require_tensorflow

        require_tensorflow()    # returns None: all is well
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "bptt_keras runs on TensorFlow, and none is installed. Install one with "
            '`pip install "bptt_keras[cpu]"` or `pip install "bptt_keras[gpu]"`.'
        )
    # Not at the top: without TensorFlow this import fails with a less helpful error.
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            "bptt_keras needs the TensorFlow backend of Keras. Received: "
            f"backend={backend!r}. Set the environment variable "
            "KERAS_BACKEND=tensorflow before Keras is first imported."
        )


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def use_compile_cache() -> str | None:
    """Keeps the programs that XLA compiles in a folder, if the environment names one.

    The environment variable BPTT_KERAS_COMPILE_CACHE names the folder, which is created
    if it is missing. A later process that compiles the same program reads it from
    there. A folder belongs to one kind of machine, because programs are compiled for
    its processor. TensorFlow reads such settings once, when its first operation runs;
    the package calls this when it is imported, and warns if that is too late.

    TensorFlow aborts training if it reads a damaged program or has no room for a new
    one. So incomplete programs are removed here, with a warning, and compiled again.
    From a folder that is read-only, or on a full disk, programs are read but none are
    added.

    Returns:
        The folder as a string; `None` if there is none, it is too late, or a damaged
        program cannot be removed.

    Raises:
        ValueError: If the folder cannot be created, or its name has blanks, at which
            TensorFlow's settings would be split.
    """
    wanted = os.environ.get(CACHE_SWITCH)
    if not wanted:
        return None
    folder = str(Path(wanted).expanduser().absolute())
    if any(c.isspace() for c in folder):
        raise ValueError(
            f"The folder that {CACHE_SWITCH} names must have no blanks in its name. "
            f"Received: {folder!r}."
        )
    flags = os.environ.get(_XLA_FLAGS, "")
    if _CACHE_FLAG + folder in flags.split():
        return folder
    # Not at the top: this module checks whether TensorFlow is installed at all.
    from bptt_keras.tensorflow_internals import operations_have_run

    if operations_have_run():
        warnings.warn(
            f"{CACHE_SWITCH} has no effect in this process: TensorFlow ran before "
            "`bptt_keras` was imported. Import it first.",
            stacklevel=2,
        )
        return None
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"The folder that {CACHE_SWITCH} names cannot be made: {error}. Received: "
            f"{folder!r}."
        ) from error
    settings = [flags, _CACHE_FLAG + folder]
    writable = os.access(folder, os.W_OK)
    if not writable or shutil.disk_usage(folder).free < _ROOM:
        why = "has too little room" if writable else "is read-only"
        warnings.warn(
            f"The folder that {CACHE_SWITCH} names {why}: no more programs are kept "
            f"there. Received: {folder!r}.",
            stacklevel=2,
        )
        settings.append(_READ_ONLY)
    damaged = _remove_damaged(Path(folder))
    if damaged:
        removed = not any(path.exists() for path in damaged)
        warnings.warn(
            f"The folder that {CACHE_SWITCH} names has damaged programs: "
            f"{len(damaged)}. They are compiled anew"
            f"{'' if removed else ', and the folder is not used'}. Received: "
            f"{folder!r}.",
            stacklevel=2,
        )
        if not removed:
            return None
    os.environ[_XLA_FLAGS] = " ".join(filter(None, settings))
    return folder


def _remove_damaged(folder: Path) -> list[Path]:
    """Removes programs that have changed or are incomplete; returns their paths."""
    damaged = []
    for path in folder.glob("*.pb"):
        note = path.with_name(path.name + _SUM)
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            known = note.read_text() if note.exists() else None
            # Without a note, TensorFlow has written it since: it is whole, unless the
            # disk was full.
            if known != digest if known is not None else not _is_whole(content):
                damaged.append(path)
                note.unlink(missing_ok=True)
                path.unlink()
            elif known is None:
                # In one step: other processes may be reading it.
                write_whole(note, digest)
    return damaged


def _is_whole(message: bytes) -> bool:
    """Whether the fields of a protocol buffer message end where the file ends."""
    place = 0

    def number():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            value |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                return value

    try:
        while place < len(message):
            kind = number() & 7
            if kind == 0:
                number()
            elif kind == 2:
                length = number()
                place += length
            else:
                return False
    except IndexError:
        return False
    return place == len(message) > 0


def compile_cache() -> str | None:
    """The folder where XLA's programs are kept, or `None`."""
    for flag in reversed(os.environ.get(_XLA_FLAGS, "").split()):
        if flag.startswith(_CACHE_FLAG):
            return flag.removeprefix(_CACHE_FLAG)
    return None


@contextlib.contextmanager
def forgetting_gradients() -> Iterator[None]:
    """A context that frees what was traced within it, and models no longer in use.

    TensorFlow never frees a custom gradient or the graph that it belongs to, so a
    program that trains one model after another would keep growing.
    """
    # Not at the top: this module checks whether TensorFlow is installed at all.
    from bptt_keras.tensorflow_internals import custom_gradients, forget_gradients

    before = custom_gradients()
    try:
        yield
    finally:
        forget_gradients(custom_gradients() - before)
        gc.collect()
