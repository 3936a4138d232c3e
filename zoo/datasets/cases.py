"""Labelled series of different lengths: Japanese Vowels and BasicMotions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from zoo.cases.case_files import read_ts
from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File

_URL = "https://raw.githubusercontent.com/aeon-toolkit/aeon/main/aeon/datasets/data/"


def _file(name: str, part: str, size: int, sha256: str) -> File:
    file = f"{name}_{part}.ts"
    return File(f"ucr/{file}", f"{_URL}{name}/{file}", size, sha256)


class _Cases(ZooBuilder):
    """Cases of `(timesteps, channels)` with the name of their class.

    Attributes:
        CHANNELS: Number of channels.
    """

    CHANNELS = 1
    HOMEPAGE = "https://www.timeseriesclassification.com"

    def features(self) -> dict[str, Any]:
        return {
            "values": tfds.features.Tensor(
                shape=(None, self.CHANNELS), dtype=np.float32
            ),
            "label": tfds.features.Text(),
        }

    def parts(self) -> dict[str, Any]:
        names = ("train", "test")
        texts = [self.contents[file.path].decode("utf-8") for file in self.FILES]
        return {
            name: [{"values": v, "label": label} for v, label in read_ts(text)]
            for name, text in zip(names, texts, strict=True)
        }


class JapaneseVowels(_Cases):
    """Two vowels by nine speakers: 12 channels, 7 to 29 timesteps, 270 and 370 cases.

    Source: Kudo, Toyama & Shimbo, "Multidimensional curve classification using
    passing-through regions" (1999).
    """

    CHANNELS = 12
    FILES = (
        _file(
            "JapaneseVowels",
            "TRAIN",
            487_971,
            "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
        ),
        _file(
            "JapaneseVowels",
            "TEST",
            649_132,
            "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
        ),
    )
    DESCRIPTION = "Nine male speakers say two Japanese vowels."
    CITATION = """@article{kudo1999multidimensional,
  title={Multidimensional curve classification using passing-through regions},
  author={Kudo, Mineichi and Toyama, Jun and Shimbo, Masaru},
  journal={Pattern Recognition Letters}, volume={20}, year={1999}}"""


class BasicMotions(_Cases):
    """Four activities on a smart watch: 6 channels, 100 timesteps, 40 and 40 cases."""

    CHANNELS = 6
    FILES = (
        _file(
            "BasicMotions",
            "TRAIN",
            227_790,
            "8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6",
        ),
        _file(
            "BasicMotions",
            "TEST",
            227_713,
            "79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc",
        ),
    )
    DESCRIPTION = "Standing, walking, running and badminton, measured by a smart watch."
