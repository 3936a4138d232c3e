"""Data sets of the zoo by name. A new one is a builder module and one row here."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import platform
import warnings
from collections.abc import Callable

from zoo.datasets.cache import cache_folder
from zoo.datasets.text import Text, from_file, sha256
from zoo.datasets.vocabulary import Vocabulary
from zoo.errors import UserError, ZooError

__all__ = ["DATASETS", "Text", "Vocabulary", "from_file", "load"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One data set.

    Args:
        summary: One line for `bptt-zoo list`.
        load: `load(data_dir) -> Text`.
    """

    summary: str
    load: Callable[[str | None], Text]


def load(name: str, *, data_dir: str | os.PathLike | None = None) -> Text:
    """Loads a data set; prepares it in the cache folder the first time.

    Args:
        name: A key of `DATASETS`.
        data_dir: Where a local copy is, for the data sets that are files.

    Returns:
        The `Text`.

    Raises:
        UserError: If `data_dir` does not have the file, the file is not the
            registered one, or the data set does not come from a file.
        ZooError: If the data can neither be found nor downloaded.
    """
    return DATASETS[name].load(data_dir)


def _tiny_shakespeare(data_dir) -> Text:
    from zoo.datasets import tiny_shakespeare as module

    source = module.find_local(data_dir)
    if source is not None:
        module.read_checked(source)  # A cached copy must not hide a wrong file.
    text = _read(module.TinyShakespeare, "tiny-shakespeare", source=source)
    if text.sha256 != module.SHA256:
        raise ZooError(
            f"The prepared data set below {cache_folder()} is damaged. Delete that "
            "folder and try again."
        )
    text.details["source"] = module.URL
    return text


def _python_topics(data_dir) -> Text:
    from zoo.datasets import python_topics as module

    if data_dir is not None:
        raise UserError(
            "`--data-dir` is for data sets that come from a file; python-topics comes "
            f"with Python. Received: --data-dir {data_dir}"
        )
    text = _read(module.PythonTopics, "python-topics")
    if text.sha256 != sha256(module.topics_text()):
        raise ZooError(
            f"The prepared data set below {cache_folder()} is damaged. Delete that "
            "folder and try again."
        )
    text.details["source"] = "pydoc_data.topics"
    text.details["python"] = platform.python_version()
    return text


def _read(builder_class, name: str, **kwargs) -> Text:
    """Prepares a `TextBuilder`'s data if it is not there, and reads both splits."""
    import tensorflow_datasets as tfds

    folder = cache_folder()
    tfds.disable_progress_bar()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _quiet():
            builder = builder_class(data_dir=folder / "datasets", **kwargs)
            builder.download_and_prepare(download_dir=folder / "downloads")
    except OSError as error:
        raise UserError(
            f"The cache folder {folder} cannot be used ({error.strerror}). Name "
            "another with the environment variable BPTT_ZOO_CACHE."
        ) from None
    parts = {}
    for part in ("train", "validation"):
        with _quiet():
            (example,) = tfds.as_numpy(builder.as_dataset(split=part))
        parts[part] = example["text"].decode("utf-8")
    return Text(name, parts["train"], parts["validation"])


@contextlib.contextmanager
def _quiet():
    """Keeps TFDS from printing a page about a data set of one line, and warnings."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


DATASETS = {
    "python-topics": Row(
        "the reference text that ships with every Python (no network needed)",
        _python_topics,
    ),
    "tiny-shakespeare": Row(
        "1.1 M characters of plays (--data-dir, $BPTT_ZOO_DATA or a download)",
        _tiny_shakespeare,
    ),
}
