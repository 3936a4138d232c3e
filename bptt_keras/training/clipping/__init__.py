"""Rules that bound gradients, and the optimizer that applies them.

| rule | bound |
|---|---|
| `GlobalNorm` | on the norm of all gradients together |
| `VariableNorm` | on the norm of each variable's gradient |
| `Value` | on each element |
| `AGC` | on each unit's norm, in proportion to its weights |
| `AutoClip` | a percentile of the norms seen so far |
| `ZClip` | a number of standard deviations above the previous norms |

`ClippedOptimizer` applies them before any Keras optimizer and skips updates whose
gradient is not finite.
"""

from bptt_keras.training.clipping.agc import AGC
from bptt_keras.training.clipping.autoclip import AutoClip
from bptt_keras.training.clipping.base import Clipping
from bptt_keras.training.clipping.global_norm import GlobalNorm
from bptt_keras.training.clipping.optimizer import ClippedOptimizer
from bptt_keras.training.clipping.value import Value
from bptt_keras.training.clipping.variable_norm import VariableNorm
from bptt_keras.training.clipping.zclip import ZClip

__all__ = [
    "AGC",
    "AutoClip",
    "ClippedOptimizer",
    "Clipping",
    "GlobalNorm",
    "Value",
    "VariableNorm",
    "ZClip",
]
