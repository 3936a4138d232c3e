"""Checks the output of a command before it starts to work."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from zoo.system.errors import UserError
from zoo.system.locks import LOCK


def output_file(
    out: str | os.PathLike,
    suffixes: tuple[str, ...],
    *,
    keep: str | os.PathLike | None = None,
    option: str = "--out",
) -> Path:
    """Checks the path of a file that a command will write, before it starts to work.

    Args:
        out: The path.
        suffixes: The allowed suffixes.
        keep: A file that the command reads and must not replace.
        option: Name of the option, for the error.

    Returns:
        The path.

    Raises:
        UserError: If it has a different suffix, its folder is missing or read-only, or
            it is a folder or `keep`.
    """
    out = Path(out)
    if out.suffix not in suffixes:
        raise UserError(f"`{option}` must be a file {' or '.join(suffixes)}: {out}")
    if out.is_dir() or not out.parent.is_dir():
        what = "is a folder" if out.is_dir() else "lies in a folder that does not exist"
        raise UserError(f"`{option}` {what}: {out}")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"`{option}` lies in a folder that is read-only: {out}")
    if keep is not None and out.resolve() == Path(keep).resolve():
        raise UserError(f"`{option}` would replace the file that is read: {out}")
    return out


def prepare_output(
    out: str | os.PathLike, *, overwrite: bool, names: Iterable[str] = ()
) -> Path:
    """Creates the folder that a training run writes to, and checks that it is writable.

    Args:
        out: Folder, created with its parents if missing.
        overwrite: Whether files of an earlier run may be removed.
        names: The files and folders that a run writes, which are the ones to remove.
            Others in the folder are left alone.

    Returns:
        The folder.

    Raises:
        UserError: If `out` is a file, cannot be created or written to, or is not empty
            and `overwrite` is False.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        occupied = any(path.name != LOCK for path in out.iterdir())
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"`--out` must be a folder, but {out} is a file or lies below one."
        ) from None
    except OSError as error:
        raise UserError(
            f"`--out` cannot be written to: {out} ({error.strerror})."
        ) from None
    if occupied and not overwrite:
        raise UserError(
            f"`--out` is not empty: {out}. Choose another folder, or add --overwrite "
            "to replace the files of the earlier run."
        )
    for path in (out / name for name in names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return out


def leaves_no_empty_folder(command: Callable) -> Callable:
    """Decorates a command to remove the folder `arguments.out` if it fails early.

    Only folders that the command has created, and that hold nothing except its lock,
    are removed.

    Args:
        command: Function of parsed arguments.
    """

    @functools.wraps(command)
    def run(arguments):
        out = Path(arguments.out)
        new = [folder for folder in (out, *out.parents) if not folder.exists()]
        try:
            return command(arguments)
        except BaseException:
            with contextlib.suppress(OSError):
                if new and [path.name for path in out.iterdir()] == [LOCK]:
                    (out / LOCK).unlink()
                for folder in new:
                    folder.rmdir()
            raise

    return run
