"""How gradients flow through time and what training costs: numbers, words, pictures."""

from bptt_keras.diagnostics.activity import Activity, LayerActivity, activity
from bptt_keras.diagnostics.bias import truncation_bias
from bptt_keras.diagnostics.carried import CarriedState, carried_state
from bptt_keras.diagnostics.findings import Finding
from bptt_keras.diagnostics.flow import GradientFlow, plot_flows
from bptt_keras.diagnostics.looks import Look, read_looks
from bptt_keras.diagnostics.measure import gradient_flow
from bptt_keras.diagnostics.memory import memory
from bptt_keras.diagnostics.memory_use import MemoryUse
from bptt_keras.diagnostics.peak import MemoryGrowth, memory_growth, peak_memory
from bptt_keras.diagnostics.report import write_report
from bptt_keras.diagnostics.trade_off import TruncationBias

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
