"""Recurrences as pure functions of tensors: no Keras layer, no variable."""

from bptt_keras.kernels.gru import gru
from bptt_keras.kernels.linear_scan import linear_scan
from bptt_keras.kernels.loop import cell_loop
from bptt_keras.kernels.lstm import lstm
from bptt_keras.kernels.recurrence import recurrence
from bptt_keras.kernels.simple_rnn import simple_rnn

__all__ = ["cell_loop", "gru", "linear_scan", "lstm", "recurrence", "simple_rnn"]
