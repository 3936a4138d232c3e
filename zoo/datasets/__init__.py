"""The zoo's data sets by name. A new one takes a builder module and one row here."""

from __future__ import annotations

import dataclasses
import importlib
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zoo.datasets.cache import cache_folder
from zoo.system.errors import UserError, ZooError
from zoo.texts.own_text import from_file
from zoo.texts.text import Text, sha256
from zoo.texts.vocabulary import Vocabulary
from zoo.texts.words import Words

if TYPE_CHECKING:
    from zoo.datasets.builder import ZooBuilder

__all__ = [
    "DATASETS",
    "Text",
    "Vocabulary",
    "Words",
    "describe",
    "from_file",
    "load",
]


@dataclasses.dataclass(frozen=True)
class Row:
    """One data set.

    Args:
        summary: Description in one line for `bptt-zoo list`.
        builder: Module in `zoo.datasets` and class of its TFDS builder, imported when
            it is needed.
        text: Whether it is one text, divided into parts.
    """

    summary: str
    builder: str
    text: bool = False

    @property
    def builder_class(self) -> type[ZooBuilder]:
        """The `ZooBuilder`."""
        module, name = self.builder.split(".")
        return getattr(importlib.import_module(f"zoo.datasets.{module}"), name)


DATASETS = {
    "python-topics": Row(
        "the reference text that ships with every Python (no network needed)",
        "python_topics.PythonTopics",
        text=True,
    ),
    "tiny-shakespeare": Row(
        "1.1 M characters of plays", "tiny_shakespeare.TinyShakespeare", text=True
    ),
    "penn-treebank": Row(
        "1 M words of a newspaper, 10,000 different ones",
        "language.PennTreebank",
        text=True,
    ),
    "wikitext-2": Row(
        "2.5 M words of Wikipedia, 33,278 different ones",
        "language.WikiText2",
        text=True,
    ),
    "mnist": Row("70,000 handwritten digits of 28 x 28 pixels", "mnist.Mnist"),
    "jsb-chorales": Row(
        "382 chorales by Bach as piano rolls", "piano_rolls.JsbChorales"
    ),
    "nottingham": Row("1,037 folk tunes as piano rolls", "piano_rolls.Nottingham"),
    "etth1": Row(
        "17,420 hours of a transformer's temperature and loads", "series.EttH1"
    ),
    "sunspots": Row("2,820 months of sunspots", "series.Sunspots"),
    "japanese-vowels": Row(
        "640 utterances of 9 speakers, 12 channels", "cases.JapaneseVowels"
    ),
    "basic-motions": Row(
        "80 recordings of 4 activities, 6 channels", "cases.BasicMotions"
    ),
}


def load(name: str, *, data_dir: str | os.PathLike | None = None) -> Any:
    """Loads a data set; prepares it in the cache folder the first time.

    Args:
        name: A key of `DATASETS`.
        data_dir: Folder with a local copy, for data sets that consist of files. None:
            the environment variable BPTT_ZOO_DATA or, if that is unset, a download.

    Returns:
        A `Text`; for the other data sets `{split: list of examples}`, each example a
        dict of NumPy values.

    Raises:
        UserError: If the name is unknown, the given folder does not have the registered
            files, or the data set does not come from a file.
        ZooError: If the data can neither be found nor downloaded.

    Example:
        from zoo import datasets

        text = datasets.load("python-topics")
        assert len(text.train) > 8 * len(text.validation)
    """
    # TFDS: put off.
    from zoo.datasets.builder import load_parts

    row = _row(name)
    if data_dir is not None and not row.builder_class.FILES:
        raise UserError(
            f"`--data-dir` is for data sets that come from a file; {name} comes with "
            f"Python. Received: --data-dir {data_dir}"
        )
    parts = load_parts(row.builder_class, data_dir)
    return _as_text(name, row, parts) if row.text else parts


def describe(name: str) -> dict[str, Any]:
    """Facts about a data set: description, source, licence, citation, files.

    Args:
        name: A key of `DATASETS`.

    Returns:
        A dict of JSON values.

    Raises:
        UserError: If the name is unknown.

    Example:
        from zoo import datasets

        assert datasets.describe("etth1")["licence"] == "CC BY-ND 4.0"
    """
    row = _row(name)
    builder = row.builder_class
    return {
        "name": name,
        "summary": row.summary,
        "description": builder.DESCRIPTION,
        "homepage": builder.HOMEPAGE,
        "licence": builder.LICENCE,
        "citation": builder.CITATION,
        "files": [dataclasses.asdict(file) for file in builder.FILES],
    }


def _row(name: str) -> Row:
    if name not in DATASETS:
        raise UserError(
            f"There is no data set {name!r}. There are: {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def _as_text(name: str, row: Row, parts: dict[str, list[dict[str, Any]]]) -> Text:
    texts = {part: "".join(_decoded(parts[part])) for part in parts}
    text = Text(name, texts["train"], texts["validation"], texts.get("test", ""))
    if name == "python-topics":
        # TFDS: put off.
        from zoo.datasets import python_topics

        text.details["source"] = "pydoc_data.topics"
        text.details["python"] = platform.python_version()
        expected = sha256(python_topics.topics_text())
    else:
        text.details["source"] = row.builder_class.HOMEPAGE
        expected = None
        if len(row.builder_class.FILES) == 1:
            expected = row.builder_class.FILES[0].sha256
    if expected is not None and text.sha256 != expected:
        raise ZooError(
            f"The prepared data set below {cache_folder()} is damaged. Delete that "
            "folder and try again."
        )
    return text


def _decoded(examples: list[dict[str, Any]]) -> Iterator[str]:
    return (example["text"].decode("utf-8") for example in examples)
