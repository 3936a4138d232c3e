"""Recurrent layers: Keras' own with a faster loop over time, and some Keras lacks.

`LSTM`, `GRU` and `SimpleRNN` have Keras' names, weights and results.
"""

from bptt_keras.layers.activation_regularization import ActivationRegularization
from bptt_keras.layers.gru import GRU
from bptt_keras.layers.ind_rnn import IndRNN
from bptt_keras.layers.ind_rnn_cell import IndRNNCell
from bptt_keras.layers.layer_norm_lstm import LayerNormLSTM
from bptt_keras.layers.layer_norm_lstm_cell import LayerNormLSTMCell
from bptt_keras.layers.lru import LRU
from bptt_keras.layers.lstm import LSTM
from bptt_keras.layers.min_gru import MinGRU
from bptt_keras.layers.min_lstm import MinLSTM
from bptt_keras.layers.simple_rnn import SimpleRNN
from bptt_keras.layers.weight_drop_lstm import WeightDropLSTM
from bptt_keras.layers.zoneout_lstm import ZoneoutLSTM

__all__ = [
    "ActivationRegularization",
    "GRU",
    "LRU",
    "LSTM",
    "IndRNN",
    "IndRNNCell",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "MinGRU",
    "MinLSTM",
    "SimpleRNN",
    "WeightDropLSTM",
    "ZoneoutLSTM",
]
