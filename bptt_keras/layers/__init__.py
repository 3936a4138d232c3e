"""Keras layers with Keras' names, weights and results, and a faster loop over time."""

from bptt_keras.layers.gru import GRU
from bptt_keras.layers.lstm import LSTM
from bptt_keras.layers.simple_rnn import SimpleRNN

__all__ = ["GRU", "LSTM", "SimpleRNN"]
