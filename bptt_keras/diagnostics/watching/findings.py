"""What measurements and logs say about a training run, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bptt_keras.diagnostics.measuring.activity import Activity
from bptt_keras.diagnostics.measuring.flow import GONE, GradientFlow, percent
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias

# In a window of this many horizons, three quarters of the timesteps reach a horizon
# back; twice that length is far beyond it.
_ENOUGH = 4
# Relative bias up to which a window is close to the full gradient, as for
# `truncation_bias` and `AdaptiveWindow`.
NEAR = 0.1
# Relative bias from which it is reported: three times the bias that is close. Measured
# on a few rows it varies by a factor of two from epoch to epoch, so a finding at 0.1
# would come and go.
_BIASED = 0.3
# From this bias on an update may raise the loss: with b = |g_w - g| / |g| it is only
# certain that <g_w, g> >= (1 - b) |g|^2.
_UNSAFE = 1.0
# Growth of the gradient norm between two looks.
_GROWN = 10
_HALF = 0.5
# Fraction of updates that are clipped.
_NEARLY_ALWAYS = 0.95
# Problems that already harm the first update. How far gradients reach, and how accurate
# windows are, changes as a network learns, and is not reported before training.
_AT_ONCE = {
    "not finite",
    "exploding",
    "wrong way",
    "saturated",
    "dead",
    "not judged",
}


class Finding(NamedTuple):
    """Something that a user should know about a training run.

    Fields:
        kind: "not finite", "exploding", "wrong way", "biased", "growing", "vanishing",
            "window too long", "window too short", "not judged", "saturated", "dead",
            "clips always" or "clips never".
        severity: "warning", or "note": worth knowing, and often as it should be. In
            the output of a `TrainingWatch` also "no longer": it held before.
        words: The finding, in full sentences.

    Example:
        import bptt_keras as bk

        finding = bk.diagnostics.Finding("dead", "warning", "All states are zero.")
        assert str(finding) == "warning (dead): All states are zero."
    """

    kind: str
    severity: str
    words: str

    def __str__(self) -> str:
        return f"{self.severity} ({self.kind}): {self.words}"


def before_training(found: Sequence[Finding]) -> list[Finding]:
    """The findings that matter in an untrained network.

    Args:
        found: List of `Finding`.
    """
    return [finding for finding in found if finding.kind in _AT_ONCE]


def shorter(
    flow: GradientFlow, window: int | None, *, ends: bool = False
) -> int | None:
    """A window that may replace one far beyond the horizon, or `None`.

    Args:
        flow: `GradientFlow`.
        window: Timesteps of the trainer's windows, or `None`: no truncation.
        ends: As for `of_flow`.

    Returns:
        Timesteps, a power of two, so that few lengths are traced.
    """
    if window is None or flow.kind() != "vanishing":
        return None
    enough = flow.horizon() * (1 if ends else _ENOUGH)
    return 1 << (enough - 1).bit_length() if window > 2 * enough else None


def of_flow(
    flow: GradientFlow,
    window: int | None,
    *,
    ends: bool = False,
    bias: TruncationBias | None = None,
) -> list[Finding]:
    """Findings of a gradient flow.

    How much of the gradient of a single loss is left where a window ends does not say
    how accurate the window is, since the gradients of many losses are summed and may
    cancel. If `bias` was measured, it decides.

    Args:
        flow: `GradientFlow`.
        window: Timesteps of the trainer's windows, or `None`: no truncation.
        ends: Whether the only loss is at the end of a sequence, and so its gradient
            reaches back over the whole window; otherwise the timesteps of a window
            reach back half of it on average.
        bias: `TruncationBias` of the window, and of `shorter(flow, window)` if there
            is one; `None` if not measured.
    """
    kind = flow.kind()
    if kind in ("not finite", "exploding"):
        return [Finding(kind, "warning", flow.verdict())]
    if kind == "none":
        return [Finding("vanishing", "warning", flow.verdict())]
    found = []
    if kind == "vanishing":
        found.append(Finding("vanishing", "note", flow.verdict()))
    if shorter(flow, window, ends=ends) is not None:
        found += _too_long(flow, window, bias)
    elif window is not None and window < len(flow.norms):
        near = bias is not None and _off(bias) <= NEAR
        if flow.norms[window - 1] >= GONE * flow.norms[0] and not near:
            words = (
                f"The window of {window} timesteps is shorter than gradients reach: "
                f"{of_lag(flow, window)}"
            )
            found.append(Finding("window too short", "note", words))
    return found


def _too_long(
    flow: GradientFlow, window: int | None, bias: TruncationBias | None
) -> list[Finding]:
    less = "What a shorter window would change was not measured."
    if bias is not None and len(bias.windows) > 2:
        if not bias.bias[0] <= NEAR:
            return []
        less = of_shorter(bias)
    words = (
        f"The window of {window} timesteps is far beyond the horizon: less than 1 % of "
        f"the gradient lies beyond {flow.horizon()} timesteps, as measured at lags up "
        f"to {len(flow.norms)} on these data. {less} "
        "Gradients may come to reach further as training goes on."
    )
    return [Finding("window too long", "note", words)]


def of_lag(flow: GradientFlow, lag: int) -> str:
    """Says how much of a gradient is left at a lag, in words.

    Args:
        flow: `GradientFlow`.
        lag: A measured lag, in timesteps.
    """
    left = percent(flow.norms[lag - 1] / flow.norms[0])
    return (
        f"of the gradient one step back, {left} is left at {lag} steps on these data."
    )


def of_bias(bias: TruncationBias) -> list[Finding]:
    """Findings of a truncation bias: inaccurate gradients, or a wrong direction.

    Args:
        bias: `TruncationBias` whose longest window, apart from the full one, is that of
            the trainer.
    """
    if bias.cosine[-2] < 0:
        return [Finding("wrong way", "warning", bias.verdict())]
    if not _off(bias) >= _BIASED:
        return []
    words = f"{of_window(bias)} `truncation_bias` measures what others are worth."
    if _off(bias) < _UNSAFE:
        return [Finding("biased", "note", words)]
    words += " So far off, an update may raise the loss."
    return [Finding("biased", "warning", words)]


def of_window(bias: TruncationBias) -> str:
    """Says how accurate the trainer's window is, in words.

    Args:
        bias: As for `of_bias`.
    """
    if bias.cosine[-2] < 0 or not math.isfinite(_off(bias)):
        return bias.verdict()
    window, full = bias.windows[-2:]
    return (
        f"A window of {window} is off by {percent(_off(bias))} from the full gradient "
        f"over {full} timesteps of these data: the cosine is {bias.cosine[-2]:.2f}, "
        f"and the norm {bias.norm_ratio[-2]:.2f} times the full one."
    )


def of_shorter(bias: TruncationBias) -> str:
    """Says how accurate a shorter window is beside the trainer's, in words.

    Args:
        bias: As for `of_bias`, of two windows.
    """
    less, window, full = bias.windows
    return (
        f"One of {less} is off by {percent(bias.bias[0])} from the full gradient over "
        f"{full} timesteps of these data, where that of {window} is off by "
        f"{percent(bias.bias[1])}. It keeps {less} timesteps for the backward pass in "
        f"place of {window}."
    )


def _off(bias: TruncationBias) -> float:
    return bias.bias[-2]


def of_activity(activity: Activity) -> list[Finding]:
    """Findings of the activity of units: half of them dead, or of a gate saturated."""
    found = []
    if not all(layer.finite for layer in activity.layers.values()):
        return [Finding("not finite", "warning", activity.verdict())]
    if activity.dead >= _HALF:
        words = f"{percent(activity.dead)} of the state never changes on these data: "
        found.append(Finding("dead", "warning", words + activity.verdict()))
    gates = [where for where, share in activity.saturated.items() if share >= _HALF]
    if gates:
        where = ", ".join(f"{gate} of {layer}" for layer, gate in gates)
        words = f"Saturated in half of the units or more: {where}. {activity.verdict()}"
        if all(_keeps(activity, *gate) for gate in gates):
            words += " Open, these gates keep what the state holds."
            found.append(Finding("saturated", "note", words))
        else:
            found.append(Finding("saturated", "warning", words))
    return found


def _keeps(activity: Activity, layer: str, gate: str) -> bool:
    """Whether a gate is open in most units, and so makes the memory long.

    Such gates are f of the LSTM and z of the GRU, which biases for long memory open.
    """
    opened = activity.layers[layer].saturated[gate][:, 1]
    return gate in ("f", "z") and opened.mean() >= _HALF


def of_logs(
    logs: Mapping[str, float], before: Mapping[str, float], clips: bool
) -> list[Finding]:
    """Findings of the logs of an epoch.

    Args:
        logs: `{name: number}` of `TruncatedBPTT.fit`.
        before: The logs of the previous look, or `{}`.
        clips: Whether the optimizer clips gradients.
    """
    found = []
    norm, earlier = logs.get("grad_norm"), before.get("grad_norm")
    bad = [k for k in ("loss", "grad_norm") if not math.isfinite(logs.get(k, 0.0))]
    if bad:
        words = f"Not finite any more: {' and '.join(bad)}."
        found.append(Finding("not finite", "warning", words))
    elif norm is not None and earlier and norm > _GROWN * earlier:
        words = (
            f"The mean gradient norm of an epoch grew from {earlier:.3g} to {norm:.3g} "
            "since the last look. If the loss follows, clip it or lower the learning "
            "rate."
        )
        found.append(Finding("growing", "warning", words))
    fraction = logs.get("clipped_fraction")
    if clips and fraction is not None and math.isfinite(fraction):
        found.extend(_of_clipping(fraction, norm, logs.get("clipped_norm")))
    return found


def _of_clipping(
    fraction: float, norm: float | None, clipped: float | None
) -> list[Finding]:
    if fraction >= _NEARLY_ALWAYS:
        words = (
            f"Clipping shortened {percent(fraction)} of the epoch's gradients (from "
            f"a norm of {norm:.3g} to {clipped:.3g} on average): it decides how long "
            "they are. Raise the threshold if that is not meant."
        )
        return [Finding("clips always", "note", words)]
    if fraction == 0:
        words = (
            f"Clipping shortened no update of the epoch: the norm, {norm:.3g} on "
            "average, stays below the threshold."
        )
        return [Finding("clips never", "note", words)]
    return []
