"""Data for truncated backpropagation through time."""

from bptt_keras.data.streams import streams

__all__ = ["streams"]
