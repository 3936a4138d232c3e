"""Keras layers for the zoo's tasks that are not in any library."""

from zoo.layers.beside import Beside
from zoo.layers.convolution import CausalConvolution
from zoo.layers.influence import Influence
from zoo.layers.pooling import MeanAndMax
from zoo.layers.tied_logits import TiedLogits
from zoo.layers.word_embedding import WordEmbedding

__all__ = [
    "Beside",
    "CausalConvolution",
    "Influence",
    "MeanAndMax",
    "TiedLogits",
    "WordEmbedding",
]
