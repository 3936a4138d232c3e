"""Data for truncated backpropagation through time."""

from bptt_keras.data.pack import pack
from bptt_keras.data.streams import streams

__all__ = ["pack", "streams"]
