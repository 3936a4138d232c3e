"""What every TFDS builder of one text has in common."""

from __future__ import annotations

import abc

import tensorflow_datasets as tfds

from zoo.datasets.text import split


class TextBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """One text as a TFDS data set: a single example `{"text": ...}` per split.

    A subclass gives `DESCRIPTION`, `HOMEPAGE` and `read()`. The splits are `train`,
    the first 90 % of the characters, and `validation`, the rest.
    """

    VERSION = tfds.core.Version("1.0.0")
    DESCRIPTION = ""
    HOMEPAGE = ""

    @abc.abstractmethod
    def read(self) -> str:
        """The whole text, its checksum verified where one is registered."""

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            homepage=self.HOMEPAGE,
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # `read` fetches and checks the text itself.
        train, validation = split(self.read())
        return {
            "train": self._generate_examples(train),
            "validation": self._generate_examples(validation),
        }

    def _generate_examples(self, text: str):
        yield "text", {"text": text}
