"""The reference text that ships with Python."""

from __future__ import annotations

import platform
from typing import Any

import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.system.errors import ZooError
from zoo.texts.text import sha256, split


class PythonTopics(ZooBuilder):
    """The topics of Python's `help()`, concatenated in sorted order.

    About 465,000 characters of the reference manual, with code and grammar. The text
    differs from one version of Python to the next, so each text has its own config and
    folder, named after the version and the text's checksum.

    Args:
        **kwargs: Forwarded to `tfds.core.GeneratorBasedBuilder`.

    Source: the module `pydoc_data.topics` of Python's standard library.
    """

    DESCRIPTION = "The reference text behind Python's help(), topic by topic."
    HOMEPAGE = "https://docs.python.org/3/library/pydoc.html"
    LICENCE = "PSF License"

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("config", topics_config())
        super().__init__(**kwargs)

    def features(self) -> dict[str, Any]:
        return {"text": tfds.features.Text()}

    def parts(self) -> dict[str, Any]:
        train, validation = split(topics_text())
        return {"train": [{"text": train}], "validation": [{"text": validation}]}


def topics_text() -> str:
    """All topics, sorted by name, separated by empty lines.

    Raises:
        ZooError: If this Python was installed without its help texts.
    """
    # Missing in some installations of Python.
    try:
        # pydoc_data.topics: put off, as it has 700 KB.
        from pydoc_data.topics import topics
    except ImportError:
        raise ZooError(
            "This Python has no `pydoc_data.topics`, so --dataset python-topics cannot "
            "be made. Install Python's full standard library, or give --data FILE."
        ) from None
    return "\n\n".join(topics[name] for name in sorted(topics))


def topics_config() -> tfds.core.BuilderConfig:
    """The config of this Python's text: the version and part of the checksum."""
    version = platform.python_version().replace("+", "_")
    return tfds.core.BuilderConfig(
        name=f"python_{version}_{sha256(topics_text())[:12]}",
        description=f"As shipped with Python {platform.python_version()}.",
    )
