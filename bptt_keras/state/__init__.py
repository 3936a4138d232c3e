"""Any Keras model as a pure step: `(inputs, state) -> (outputs, new_state)`.

This is the only part of the library that changes how Keras' layers work. While a model
is called, the `call` of some of its layers is replaced: recurrent ones get their state
from outside and return the new one. Nothing is copied, so the step shares the model's
weights, and everything is restored when the call returns.
"""

from bptt_keras.state.buffers import Buffers
from bptt_keras.state.carriable import check_carriable
from bptt_keras.state.carried import combine_masks
from bptt_keras.state.examining.by_running import check_by_running
from bptt_keras.state.examining.dry_run import ModelTraits, discover
from bptt_keras.state.examining.timed import timed_inputs
from bptt_keras.state.ids import watched_ids
from bptt_keras.state.pure_step import PureStep, where_rows
from bptt_keras.state.trees import floats, row_norms, shaped_like

__all__ = [
    "Buffers",
    "ModelTraits",
    "PureStep",
    "combine_masks",
    "check_by_running",
    "check_carriable",
    "discover",
    "floats",
    "row_norms",
    "shaped_like",
    "timed_inputs",
    "watched_ids",
    "where_rows",
]
