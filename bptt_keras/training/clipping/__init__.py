"""Rules that bound gradients, and the optimizer that applies them.

| rule | bound |
|---|---|
| `GlobalNorm` | of the norm of all gradients together |
| `VariableNorm` | of the norm of each variable's gradient |
| `Value` | of each number |
| `AGC` | of each unit's norm, in proportion to its weights |
| `AutoClip` | a percentile of the norms that were seen |
| `ZClip` | so many standard deviations above the norms before |

`ClippedOptimizer` applies them before any Keras optimizer, and leaves out updates whose
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
