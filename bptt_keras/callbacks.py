"""Callbacks for `fit`, of `TruncatedBPTT` and of any Keras model."""

from bptt_keras.diagnostics.watching.watch import TrainingWatch
from bptt_keras.resume.resume import Resume
from bptt_keras.resume.saves import ResumeError
from bptt_keras.training.clipping.stop import StopOnSkipped

__all__ = ["Resume", "ResumeError", "StopOnSkipped", "TrainingWatch"]
