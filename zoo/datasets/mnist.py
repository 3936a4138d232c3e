"""MNIST: 70,000 handwritten digits, to be read row by row or pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File

_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_MIB = 2**20


def _file(name: str, size: int, sha256: str) -> File:
    return File(f"mnist/{name}", _URL + name, size, sha256)


# The checksums are of the unpacked files: mirrors compress them differently.
TRAIN_IMAGES = _file(
    "train-images-idx3-ubyte.gz",
    10 * _MIB,
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
TRAIN_LABELS = _file(
    "train-labels-idx1-ubyte.gz",
    _MIB,
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
TEST_IMAGES = _file(
    "t10k-images-idx3-ubyte.gz",
    2 * _MIB,
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
TEST_LABELS = _file(
    "t10k-labels-idx1-ubyte.gz",
    _MIB,
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


class Mnist(ZooBuilder):
    """Images of 28 x 28 bytes with the digit they show: 60,000 and 10,000.

    Source: LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to
    document recognition" (1998).
    """

    FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    DESCRIPTION = "70,000 handwritten digits of 28 x 28 pixels."
    HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"
    CITATION = """@article{lecun1998gradient,
  title={Gradient-based learning applied to document recognition},
  author={LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal={Proceedings of the IEEE}, volume={86}, number={11}, year={1998}}"""

    def features(self) -> dict[str, Any]:
        return {
            "images": tfds.features.Tensor(shape=(None, 28, 28), dtype=np.uint8),
            "labels": tfds.features.Tensor(shape=(None,), dtype=np.uint8),
        }

    def parts(self) -> dict[str, Any]:
        pairs = {
            "train": (TRAIN_IMAGES, TRAIN_LABELS),
            "test": (TEST_IMAGES, TEST_LABELS),
        }
        return {
            name: _blocks(*(self.contents[file.path] for file in files))
            for name, files in pairs.items()
        }


def _blocks(images: bytes, labels: bytes) -> Iterator[dict[str, np.ndarray]]:
    """Examples of 1,000 digits each: single digits would take a minute to load."""
    pictures = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    digits = np.frombuffer(labels, np.uint8, offset=8)
    for start in range(0, len(pictures), 1000):
        rows = slice(start, start + 1000)
        yield {"images": pictures[rows], "labels": digits[rows]}
