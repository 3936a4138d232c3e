"""How gradients flow through time, as numbers, in words and as a picture."""

from bptt_keras.diagnostics.flow import GradientFlow, plot_flows
from bptt_keras.diagnostics.measure import gradient_flow

__all__ = ["GradientFlow", "gradient_flow", "plot_flows"]
