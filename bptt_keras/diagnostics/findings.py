"""What measurements and logs say of a training, in words."""

import math
from typing import NamedTuple

# In a window so many times the horizon three quarters of the timesteps reach that far;
# one of twice that is far beyond it.
_ENOUGH = 4
# Growth of the gradient norm between two looks.
_GROWN = 10
_HALF = 0.5
# Parts of updates that clipping shortens.
_NEARLY_ALWAYS = 0.95


class Finding(NamedTuple):
    """Something that a user should know of a training.

    Fields:
        kind: "not finite", "exploding", "wrong way", "growing", "vanishing",
            "window too long", "window too short", "not judged", "saturated", "dead",
            "clips always" or "clips never".
        severity: "warning", or "note": worth knowing, and often as it should be.
        words: Sentences.

    Example:
        import bptt_keras as bk

        finding = bk.diagnostics.Finding("dead", "warning", "All states are zero.")
        assert str(finding) == "warning (dead): All states are zero."
    """

    kind: str
    severity: str
    words: str

    def __str__(self):
        return f"{self.severity} ({self.kind}): {self.words}"


def news(looks):
    """What each look found that the one before it had not.

    Args:
        looks: List of `Look`.

    Returns:
        List of `(when, finding)`: "at the start", or "after epoch n".
    """
    told, known = [], set()
    for index, look in enumerate(looks):
        when = f"after epoch {look.epoch}" if index else "at the start"
        told += [(when, f) for f in look.findings if f.kind not in known]
        known = {finding.kind for finding in look.findings}
    return told


def of_flow(flow, window, *, ends=False):
    """Findings of a gradient flow.

    Args:
        flow: `GradientFlow`.
        window: Timesteps of the trainer's windows, or `None`: no truncation.
        ends: Whether the only loss stands at the end of a sequence, and so reaches
            back the whole window; else a window's timesteps reach half of it on
            average.
    """
    kind, found = flow.kind(), []
    if kind in ("not finite", "exploding"):
        return [Finding(kind, "warning", flow.verdict())]
    if kind == "none":
        return [Finding("vanishing", "warning", flow.verdict())]
    horizon = flow.horizon()
    if kind == "vanishing":
        found.append(Finding("vanishing", "note", flow.verdict()))
        enough = 1 if ends else _ENOUGH
        if window is not None and window > 2 * enough * horizon:
            shorter = enough * horizon
            words = (
                f"The window of {window} timesteps is far beyond the horizon: less "
                f"than 1 % of the gradient lies beyond {horizon}. One of {shorter} "
                f"would teach the same with {100 * shorter / window:.0f} % of the "
                "memory."
            )
            found.append(Finding("window too long", "note", words))
    elif window is not None and window < len(flow.norms) and kind == "lasting":
        words = (
            f"The window of {window} timesteps is shorter than gradients reach: of "
            f"phi_1, {flow.norms[window - 1] / flow.norms[0]:.0%} is left there."
        )
        found.append(Finding("window too short", "note", words.replace("%", " %")))
    return found


def of_bias(bias):
    """Findings of a truncation bias: gradients that point the wrong way."""
    if not bias.wrong_way:
        return []
    return [Finding("wrong way", "warning", bias.verdict())]


def of_activity(activity):
    """Findings of what units do: half of them dead, or half of a gate saturated."""
    found = []
    if not all(layer.finite for layer in activity.layers.values()):
        return [Finding("not finite", "warning", activity.verdict())]
    if activity.dead >= _HALF:
        words = f"{activity.dead:.0%} of the state never changes: ".replace("%", " %")
        found.append(Finding("dead", "warning", words + activity.verdict()))
    gates = [where for where, part in activity.saturated.items() if part >= _HALF]
    if gates:
        where = ", ".join(f"{gate} of {layer}" for layer, gate in gates)
        words = f"Saturated in half of the units or more: {where}. "
        found.append(Finding("saturated", "warning", words + activity.verdict()))
    return found


def of_logs(logs, before, clips):
    """Findings of the logs of an epoch.

    Args:
        logs: `{name: number}` of `TruncatedBPTT.fit`.
        before: Those of the look before, or `{}`.
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
            f"The gradient norm grew from {earlier:.3g} to {norm:.3g} since the last "
            "look. Clip it, or lower the learning rate, before the loss follows."
        )
        found.append(Finding("growing", "warning", words))
    fraction = logs.get("clipped_fraction")
    if clips and fraction is not None and math.isfinite(fraction):
        found.extend(_of_clipping(fraction, norm, logs.get("clipped_norm")))
    return found


def _of_clipping(fraction, norm, clipped):
    if fraction >= _NEARLY_ALWAYS:
        words = (
            f"Clipping shortened {100 * fraction:.0f} % of the updates (from a norm "
            f"of {norm:.3g} to {clipped:.3g} on average): it sets the step size, not "
            "the optimizer's learning rate. Raise the threshold, or mean it."
        )
        return [Finding("clips always", "note", words)]
    if fraction == 0:
        words = (
            f"Clipping shortened no update: the norm, {norm:.3g} on average, stays "
            "below the threshold."
        )
        return [Finding("clips never", "note", words)]
    return []
