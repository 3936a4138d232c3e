"""Tiny Shakespeare: 1,115,394 characters of plays."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File
from zoo.texts.text import split


class TinyShakespeare(ZooBuilder):
    """40,000 lines of Shakespeare, the usual first test of a character model.

    65 distinct characters, all ASCII. 1,003,854 characters are for training and
    111,540 for validation.

    Source: Karpathy 2015, https://github.com/karpathy/char-rnn.
    """

    FILES = (
        File(
            "tinyshakespeare/input.txt",
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
            "tinyshakespeare/input.txt",
            1_115_394,
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        ),
    )
    DESCRIPTION = "40,000 lines of Shakespeare's plays in one text."
    HOMEPAGE = "https://github.com/karpathy/char-rnn"
    LICENCE = "public domain by age"

    def features(self) -> dict[str, Any]:
        return {"text": tfds.features.Text()}

    def parts(self) -> dict[str, Any]:
        (file,) = self.FILES
        train, validation = split(self.contents[file.path].decode("ascii"))
        return {"train": [{"text": train}], "validation": [{"text": validation}]}
