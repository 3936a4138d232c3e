"""Schedules from what the user gave, and to and from plain data."""

from bptt_keras.truncation.adaptive import AdaptiveWindow
from bptt_keras.truncation.artbp import ARTBP
from bptt_keras.truncation.fixed import FixedWindow
from bptt_keras.truncation.recomputation import Revolve, Segments
from bptt_keras.truncation.variable import VariableWindow

_SCHEDULES = (FixedWindow, VariableWindow, ARTBP, AdaptiveWindow)
_RECOMPUTATIONS = (Segments, Revolve)


def as_schedule(window, stride=None):
    """The schedule that `window` and `stride` describe.

    Args:
        window: A schedule, a number of timesteps, or `None` for full backpropagation.
        stride: Timesteps between two updates, or `None`.

    Raises:
        TypeError: If `window` is none of these.
        ValueError: If `stride` is given beside a schedule, or a number is wrong.

    Example:
        from bptt_keras.truncation.serialization import as_schedule

        assert as_schedule(8, 2).get_config() == {"window": 8, "stride": 2}
    """
    if not isinstance(window, _SCHEDULES):
        return FixedWindow(window, stride)
    if stride is not None:
        raise ValueError(
            f"`stride` belongs to a `window` that is a number. Received: "
            f"stride={stride!r} beside a {type(window).__name__}. Use "
            f"`bk.truncation.FixedWindow(window, stride)`, or leave `stride` out."
        )
    return window


def as_recomputation(recompute):
    """The recomputation that the argument `recompute` describes, or `None`.

    Args:
        recompute: `None`, `"sqrt"`, a number of segments, `Segments` or `Revolve`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a number or a word is wrong.
    """
    if recompute is None or isinstance(recompute, _RECOMPUTATIONS):
        return recompute
    return Segments(recompute)


def check_recomputation(recomputation, schedule):
    """Raises if a recomputation does not go with a schedule.

    Args:
        recomputation: What `as_recomputation` returned.
        schedule: What `as_schedule` returned.

    Raises:
        ValueError: If the windows have not all one length.
    """
    if recomputation is not None and not isinstance(schedule, FixedWindow):
        raise ValueError(
            f"`recompute` needs windows of one length, a number or a `FixedWindow`. "
            f"Received: window={type(schedule).__name__}. Leave `recompute` out."
        )


def to_config(value):
    """Plain data from which `from_config` makes a schedule or recomputation again.

    Args:
        value: A schedule or recomputation; anything else is handed back.

    Example:
        from bptt_keras.truncation import Revolve
        from bptt_keras.truncation.serialization import from_config, to_config

        assert from_config(to_config(Revolve(3))).get_config() == {
            "slots": 3, "segment": 1
        }
    """
    if isinstance(value, _SCHEDULES + _RECOMPUTATIONS):
        return {"kind": type(value).__name__, "config": value.get_config()}
    return value


def from_config(value):
    """What `to_config` described.

    Args:
        value: What `to_config` returned.

    Raises:
        ValueError: If it names no schedule or recomputation of this package.
    """
    if not (isinstance(value, dict) and set(value) == {"kind", "config"}):
        return value
    by_name = {cls.__name__: cls for cls in _SCHEDULES + _RECOMPUTATIONS}
    if value["kind"] not in by_name:
        raise ValueError(
            f"A configuration must be of one of {sorted(by_name)}. Received: "
            f"kind={value['kind']!r}."
        )
    return by_name[value["kind"]](**value["config"])
