"""Where a sequence is cut, and what is kept: integers only, no TensorFlow.

A *schedule* says how a sequence becomes windows (`FixedWindow`, `VariableWindow`,
`ARTBP`, `AdaptiveWindow`), a *recomputation* which states of a window are kept
(`Segments`, `Revolve`). `TruncatedBPTT` takes both.
"""

from bptt_keras.truncation.adaptive import AdaptiveWindow
from bptt_keras.truncation.arguments import whole
from bptt_keras.truncation.artbp import ARTBP
from bptt_keras.truncation.fixed import FixedWindow
from bptt_keras.truncation.recomputation import Revolve, Segments
from bptt_keras.truncation.serialization import (
    as_recomputation,
    as_schedule,
    check_recomputation,
    from_config,
    to_config,
)
from bptt_keras.truncation.span import Span
from bptt_keras.truncation.variable import VariableWindow

__all__ = [
    "ARTBP",
    "AdaptiveWindow",
    "FixedWindow",
    "Revolve",
    "Segments",
    "Span",
    "VariableWindow",
    "as_recomputation",
    "as_schedule",
    "check_recomputation",
    "from_config",
    "to_config",
    "whole",
]
