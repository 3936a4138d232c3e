"""How gradients flow through time and what training costs: numbers, words, pictures."""

from bptt_keras.diagnostics.measuring.activity import Activity, LayerActivity, activity
from bptt_keras.diagnostics.measuring.bias import truncation_bias
from bptt_keras.diagnostics.measuring.carried import CarriedState, carried_state
from bptt_keras.diagnostics.measuring.flow import GradientFlow, plot_flows
from bptt_keras.diagnostics.measuring.measure import gradient_flow
from bptt_keras.diagnostics.measuring.memory import memory
from bptt_keras.diagnostics.measuring.memory_use import MemoryUse
from bptt_keras.diagnostics.measuring.peak import (
    MemoryGrowth,
    memory_growth,
    peak_memory,
)
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias

# The zoo builds its own pages from these pieces.
from bptt_keras.diagnostics.reporting import page as page
from bptt_keras.diagnostics.reporting.report import write_report
from bptt_keras.diagnostics.watching.findings import Finding
from bptt_keras.diagnostics.watching.looks import Look, read_looks

__all__ = [
    "Activity",
    "CarriedState",
    "Finding",
    "GradientFlow",
    "LayerActivity",
    "Look",
    "MemoryGrowth",
    "MemoryUse",
    "TruncationBias",
    "activity",
    "carried_state",
    "gradient_flow",
    "memory",
    "memory_growth",
    "peak_memory",
    "plot_flows",
    "read_looks",
    "truncation_bias",
    "write_report",
]
