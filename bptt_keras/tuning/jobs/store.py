"""The state of a job on disk: written atomically, checked when read, with a backup."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bptt_keras.files import LARGEST_JSON, parse_json, read_text, write_durably

# The errors that reading corrupt content can raise.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


# Bytes of a file: within it, the JSON text of the value is a string.
_LARGEST = 2 * LARGEST_JSON


class DamagedError(Exception):
    """A state file and its previous version are both damaged, or hold no state.

    Example:
        import pathlib
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -4, 4)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        def search():
            bk.tuning.RandomSearch(
                Parabola(), objective, max_trials=1, directory="runs",
                project_name="damaged",
            ).search(verbose=0)

        search()
        for path in pathlib.Path("runs/damaged").glob("job*.json"):
            path.write_text(path.read_text()[:-1])
        try:
            search()
        except bk.tuning.DamagedError as error:
            assert "job.json" in str(error)
    """


class Store:
    """One JSON value in a file, with the previous value in a second file.

    A kill at any moment leaves either the old value or the new one. Each file has a
    checksum: if a file was truncated or changed, the previous one is used.

    Args:
        path: The file. Its folder must exist.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.previous = self.path.with_name(f"{self.path.stem}.previous.json")
        self._new = self.path.with_name(f".{self.path.name}.new")

    def exists(self) -> bool:
        """Whether a value was ever written."""
        return any(path.exists() for path in (self.path, self._new, self.previous))

    def write(self, value: Any) -> None:
        """Replaces the value.

        Raises:
            ValueError: If its text is larger than what is read again.
        """
        text = json.dumps(value)
        if len(text) > LARGEST_JSON:
            raise ValueError(
                f"The state in {self.path} would take {len(text):,} bytes; at most "
                f"{LARGEST_JSON:,} are read again. Start another job."
            )
        write_durably(self._new, json.dumps({"sha256": _hash(text), "value": text}))
        # Between the two renames the new file is complete under its temporary name,
        # where `read` looks as well.
        if self.path.exists():
            os.replace(self.path, self.previous)
        os.replace(self._new, self.path)

    def read(self) -> tuple[Any, str | None]:
        """Reads the value.

        Returns:
            The value, and a sentence that says what was damaged, or `None`.

        Raises:
            DamagedError: If no file is intact.
        """
        damaged: list[Path] = []
        for path in (self.path, self._new, self.previous):
            try:
                return _checked(read_text(path, at_most=_LARGEST)), _sentence(
                    damaged, path
                )
            except FileNotFoundError:
                continue
            except _DAMAGE:
                damaged.append(path)
        files = " and ".join(str(path) for path in damaged)
        raise DamagedError(
            f"{files or self.path} cannot be read: cut or changed since it was "
            "written. Start the job in another folder."
        )


def _checked(content: str) -> Any:
    stored = json.loads(content)
    text = stored["value"]
    if _hash(text) != stored["sha256"]:
        raise ValueError("the checksum is another")
    return parse_json(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _sentence(damaged: Sequence[Path], used: Path) -> str | None:
    if not damaged:
        return None
    names = " and ".join(path.name for path in damaged)
    return f"{names} is damaged; {used.name}, the copy before it, is used."
