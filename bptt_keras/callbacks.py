"""Callbacks for `fit`, of `TruncatedBPTT` and of any Keras model."""

from bptt_keras.training.clipping.stop import StopOnSkipped

__all__ = ["StopOnSkipped"]
