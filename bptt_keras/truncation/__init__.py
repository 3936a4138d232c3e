"""Where a sequence is cut, and which states are kept: integers only, no TensorFlow.

A *schedule* says how a sequence is cut into windows (`FixedWindow`, `VariableWindow`,
`ARTBP`, `AdaptiveWindow`, or one of your own: see `Schedule`). A *recomputation* says
which states of a window are kept (`Segments`, `Revolve`). `TruncatedBPTT` takes both.
"""

from bptt_keras.truncation.adaptive import AdaptiveWindow
from bptt_keras.truncation.artbp import ARTBP
from bptt_keras.truncation.fixed import FixedWindow
from bptt_keras.truncation.recomputation import Revolve, Segments
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.truncation.span import Span
from bptt_keras.truncation.variable import VariableWindow

__all__ = [
    "ARTBP",
    "AdaptiveWindow",
    "FixedWindow",
    "Revolve",
    "Schedule",
    "Segments",
    "Span",
    "VariableWindow",
]
