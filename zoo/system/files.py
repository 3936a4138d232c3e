"""Output folders and files that a kill never leaves half written."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from zoo.system.errors import UserError, ZooError

LOCK = ".lock"  # in the folder of a training
WAIT = 900  # seconds, for another process that does the same


@contextlib.contextmanager
def one_at_a_time(lock: Path, doing: str) -> Iterator[None]:
    """Within: no other process is here with the same lock; those that come wait.

    Args:
        lock: A file, whose folder exists.
        doing: What is done, for the error.

    Raises:
        ZooError: If another process does not come to an end.

    Example:
        from pathlib import Path
        from zoo.system.files import one_at_a_time

        with one_at_a_time(Path(".results.lock"), "writing results"):
            Path("results.txt").write_text("0.1")
    """
    refusal = ZooError(
        f"Another process has been {doing} for {WAIT} s. If none is, remove {lock}."
    )
    with _locked(lock, WAIT, refusal):
        yield


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike) -> Iterator[None]:
    """Within: no other process trains into the same folder.

    Args:
        folder: An existing folder; a file `.lock` is left in it.

    Raises:
        UserError: If another process does.

    Example:
        from zoo.system.files import alone_in

        with alone_in("."):
            print("nobody else writes here")
    """
    refusal = UserError(
        f"Another process trains in {folder}. Wait for its end, or choose another "
        "folder."
    )
    with _locked(Path(folder) / LOCK, 0, refusal):
        yield


@contextlib.contextmanager
def _locked(lock: Path, wait: float, refusal: ZooError) -> Iterator[None]:
    """Within: the lock is held. Raises the refusal after `wait` seconds without it."""
    # Late: what reads and lists only works without the extra that has it.
    from filelock import FileLock, Timeout

    taken = FileLock(lock, timeout=wait)
    try:
        taken.acquire()
    except Timeout:
        raise refusal from None
    try:
        yield
    finally:
        taken.release()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        A path in the same folder, with the same suffixes, to write to.

    Raises:
        ZooError: If the disk is full.
        UserError: If the file cannot be written for another reason.

    Example:
        from zoo.system.files import atomic_path

        with atomic_path("history.json") as temporary:
            temporary.write_text("{}")
    """
    path = Path(path)
    # The suffix stays: Keras and matplotlib choose the format by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with _named(path, temporary):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file atomically, with the line endings it has."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file atomically, and waits until the disk has it."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | os.PathLike, value) -> None:
    """Writes a JSON file atomically, indented, keys in the order given."""
    write_text(path, as_json(value))


def as_json(value) -> str:
    """The text that `write_json` writes."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextlib.contextmanager
def new_folder(
    path: str | os.PathLike, *, keep: str | os.PathLike | None = None
) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place when the block ends well.

    Args:
        path: The folder to write; an older one is replaced. The folder above must
            exist.
        keep: As in `replace_folder`.

    Yields:
        A path in the same folder, to write to; it is gone if the block fails.

    Raises:
        ZooError: If the disk is full.
        UserError: If the folder cannot be written for another reason.

    Example:
        from zoo.system.files import new_folder

        with new_folder("results") as new:
            (new / "loss.txt").write_text("0.1")
    """
    path = Path(path)
    new = _beside(path, "new")
    with _named(path, new):
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            replace_folder(new, path, keep=keep)
        finally:
            shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def _named(path: Path, temporary: Path) -> Iterator[None]:
    """Within: errors of a temporary file name the one that it is for."""
    try:
        yield
    except OSError as error:
        # Without a name: while something was written.
        name = "" if error.filename is None else os.fspath(error.filename)
        if name and not str(name).startswith(str(temporary)):
            raise
        raise cannot_write(path, error) from error
    except ZooError as error:
        # The same, told of a file in a temporary folder.
        cause = error.__cause__
        if not isinstance(cause, OSError) or str(temporary) not in str(error):
            raise
        raise cannot_write(path, cause) from cause


def make_folder(path: str | os.PathLike) -> None:
    """Makes a folder and those above it, where they are missing.

    Raises:
        ZooError: If that cannot be; names the folder and the reason.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: str | os.PathLike, error: OSError) -> ZooError:
    """The error for a file that cannot be written, which names it and the reason.

    Args:
        path: The file that was asked for.
        error: What the system says.
    """
    reason = error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ZooError(f"There is no room for {path} ({reason}).")
    return UserError(f"{path} cannot be written ({reason}).")


def replace_folder(
    new: Path, path: Path, *, keep: str | os.PathLike | None = None
) -> None:
    """Puts the complete folder `new` in the place of `path`, which may exist.

    Two renames: a kill between them leaves both versions whole, under other names,
    which `recover_folder` puts right.

    Args:
        new: The new version.
        path: Its place.
        keep: Another name in the same folder, which the older version takes; None: it
            is removed.
    """
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    if keep is not None and old.exists():
        shutil.rmtree(keep, ignore_errors=True)
        os.replace(old, keep)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: str | os.PathLike) -> Path:
    """Ends a replacement that was killed between its two renames.

    Args:
        path: The place of the folder.

    Returns:
        The place; nothing is there if nothing ever was.
    """
    path, found = Path(path), whole_folder(path)
    if found != path:
        os.replace(found, path)
    return path


def whole_folder(path: str | os.PathLike) -> Path:
    """Where the newest whole version of a folder is; its place, but after such a kill.

    Args:
        path: The place of the folder.
    """
    path = Path(path)
    old, new = _beside(path, "old"), _beside(path, "new")
    # The old version leaves its place only when the new one is complete.
    if old.exists() and not path.exists():
        return new if new.exists() else old
    return path


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{what}.{path.name}")


def output_file(
    out: str | os.PathLike,
    suffixes: tuple[str, ...],
    *,
    keep: str | os.PathLike | None = None,
    option: str = "--out",
) -> Path:
    """Checks the name of a file that a command will write, before it works for it.

    Args:
        out: The name.
        suffixes: Those that it may have.
        keep: A file that the command reads, and that is not to be replaced.
        option: Name of the option, for the error.

    Returns:
        The name as a path.

    Raises:
        UserError: If it has another suffix, its folder is missing or read-only, or it
            is a folder or `keep`.
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
    """Creates the folder that a training run writes to, and proves it writable.

    Args:
        out: Folder, created with its parents where missing.
        overwrite: Whether files of an earlier run may be removed.
        names: The files and folders that a run writes, and so those that are removed.
            Others in the folder are left alone.

    Returns:
        The folder.

    Raises:
        UserError: If `out` is a file, cannot be created or written to, or holds
            something and `overwrite` is False.
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
    """A command that removes the folder `arguments.out` again if it fails early.

    Only folders that the command has made, and that hold nothing but its lock, are
    removed.

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
