"""How a recipe bounds gradients: a rule and its threshold."""

from __future__ import annotations

# Kind -> the meaning of `clip`, and values worth trying: low, high, log.
KINDS: dict[str, tuple[str, tuple[float, float, bool]]] = {
    "global-norm": ("largest norm of all gradients together", (0.03, 10.0, True)),
    "variable-norm": ("largest norm of a variable's gradient", (0.01, 3.0, True)),
    "value": ("largest number in a gradient", (0.001, 0.3, True)),
    "agc": (
        "largest norm of a unit's gradient, in that of its weights",
        (
            0.003,
            0.3,
            True,
        ),
    ),
    "autoclip": ("percentile of the norms that were seen", (5.0, 95.0, False)),
    "zclip": ("standard deviations above the norms before", (1.5, 5.0, False)),
}


def allows(kind: str, clip: float | None) -> bool:
    """Whether a threshold is valid for a kind of clipping."""
    most = 100.0 if kind == "autoclip" else float("inf")
    return clip is None or (0 < clip <= most and clip != float("inf"))
