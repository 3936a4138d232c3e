"""Findings that appear and disappear between the looks at a training run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bptt_keras.diagnostics.measuring.flow import GradientFlow, percent
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias
from bptt_keras.diagnostics.watching.findings import (
    NEAR,
    Finding,
    of_lag,
    of_shorter,
    of_window,
)
from bptt_keras.diagnostics.watching.looks import Look

_OPPOSITES = (
    {"window too long", "window too short"},
    {"window too long", "biased"},
    {"vanishing", "exploding"},
    {"clips always", "clips never"},
)
# Findings about the time between two looks, which the next look cannot retract.
_EVENTS = {"growing"}


class Period(NamedTuple):
    """A finding over the consecutive looks that had it.

    Fields:
        finding: `Finding`, as stated by the last of these looks.
        time: When it began and ended, in words.
        holds: Whether it still holds at the very last look.
        after: What was measured once it was gone, in words; empty if nothing was.
    """

    finding: Finding
    time: str
    holds: bool
    after: str


def news(looks: Sequence[Look]) -> list[tuple[str, Finding]]:
    """What each look found that the previous one had not, and what was gone.

    Args:
        looks: List of `Look`.

    Returns:
        List of `(when, finding)`: "at the start", or "after epoch n". A finding that is
        gone has the severity "no longer" and says what was measured instead, unless the
        opposite finding took its place: then that one mentions it.
    """
    reported = []
    for look, fresh, gone in _changes(looks):
        for finding in fresh:
            was = _opposite(finding.kind, gone)
            if was is not None:
                gone.remove(was)
                words = f'The opposite of what was found before, "{was}". '
                finding = finding._replace(words=words + finding.words)
            reported.append((when(look), finding))
        taken_back = [kind for kind in gone if kind not in _EVENTS]
        reported += [
            (when(look), Finding(k, "no longer", _now(k, look))) for k in taken_back
        ]
    return reported


def periods(looks: Sequence[Look]) -> list[Period]:
    """Each finding of a training run, with its time.

    Args:
        looks: List of `Look`.

    Returns:
        List of `Period`: those that hold at the last look first, and warnings before
        notes.
    """
    if not looks:
        return []
    found: list[Period] = []
    begun: dict[str, tuple[Look, Finding]] = {}
    last = looks[0]
    for look, fresh, gone in _changes(looks):
        for kind in gone:
            first, finding = begun.pop(kind)
            found.append(_ended(first, finding, last, look))
        begun |= {finding.kind: (look, finding) for finding in fresh}
        for finding in look.findings:
            begun[finding.kind] = (begun[finding.kind][0], finding)
        last = look
    found += [_lasting(first, finding, last) for first, finding in begun.values()]
    return sorted(found, key=lambda s: (not s.holds, s.finding.severity != "warning"))


def when(look: Look) -> str:
    """The time of a look, in words."""
    return f"after epoch {look.epoch}" if look.epoch else "at the start"


def _changes(looks: Sequence[Look]) -> Iterator[tuple[Look, list[Finding], list[str]]]:
    """Yields `(look, findings that are new, kinds that are gone)` for each look."""
    before: dict[str, Finding] = {}
    for look in looks:
        now = {finding.kind: finding for finding in look.findings}
        if "not finite" in now:
            # Nothing else can be measured then, so nothing is refuted.
            now = before | now
        fresh = [finding for kind, finding in now.items() if kind not in before]
        yield look, fresh, [kind for kind in before if kind not in now]
        before = now


def _opposite(kind: str, others: Iterable[str]) -> str | None:
    return next((k for k in others if {kind, k} in _OPPOSITES), None)


def _lasting(first: Look, finding: Finding, last: Look) -> Period:
    if first is last:
        return Period(finding, when(first), True, "")
    return Period(finding, f"since {_point(first)}", True, "")


def _ended(first: Look, finding: Finding, last: Look, look: Look) -> Period:
    if finding.kind in _EVENTS:
        return Period(finding, when(first), False, "")
    lasted = first is not last
    time = f"from {_point(first)} to {_point(last)}" if lasted else when(first)
    other = _opposite(finding.kind, [f.kind for f in look.findings])
    after = _now(finding.kind, look) if other is None else f'Then "{other}".'
    return Period(finding, time, False, f"No longer {when(look)}: {after}")


def _point(look: Look) -> str:
    return f"epoch {look.epoch}" if look.epoch else "the start"


def _now(kind: str, look: Look) -> str:
    """What a look measured on the subject of an earlier finding."""
    flow, bias = look.flow, look.bias
    fraction = look.logs.get("clipped_fraction")
    if kind in ("wrong way", "biased", "not judged"):
        return of_window(bias) if bias else "What the window is worth was not measured."
    if kind == "window too long" and bias and flow.kind() == "vanishing":
        return of_shorter(bias) if len(bias.windows) > 2 else _reach(flow, bias)
    if kind == "window too short" and bias and bias.windows[-2] < len(flow.norms):
        near = bias.bias[-2] <= NEAR
        return of_window(bias) if near else f"Now {of_lag(flow, bias.windows[-2])}"
    if kind in ("vanishing", "exploding", "window too long", "window too short"):
        return flow.verdict()
    if kind in ("dead", "saturated"):
        return look.activity.verdict()
    if kind in ("clips always", "clips never") and fraction is not None:
        return f"Clipping shortened {percent(fraction)} of the epoch's gradients."
    return "All is finite." if kind == "not finite" else "It was not found any more."


def _reach(flow: GradientFlow, bias: TruncationBias) -> str:
    return (
        f"Now less than 1 % of the gradient lies beyond {flow.horizon()} timesteps (at "
        f"lags up to {len(flow.norms)} of these data), and the window is "
        f"{bias.windows[-2]}."
    )
