"""Makes schedules from users' arguments, and converts them to and from plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from bptt_keras.truncation.adaptive import AdaptiveWindow
from bptt_keras.truncation.artbp import ARTBP
from bptt_keras.truncation.fixed import FixedWindow
from bptt_keras.truncation.recomputation import Recomputation, Revolve, Segments
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.truncation.variable import VariableWindow

# The classes of this package, which are saved by name alone.
_OURS: dict[str, type[Schedule] | type[Recomputation]] = {
    cls.__name__: cls
    for cls in (
        FixedWindow,
        VariableWindow,
        ARTBP,
        AdaptiveWindow,
        Segments,
        Revolve,
    )
}
# The keys that Keras writes for an object.
_KERAS = {"module", "class_name", "config", "registered_name"}


def as_schedule(window: Schedule | int | None, stride: int | None = None) -> Schedule:
    """The schedule that `window` and `stride` describe.

    Args:
        window: A `Schedule`, a number of timesteps, or `None` for full
            backpropagation.
        stride: Timesteps between two updates, or `None`.

    Raises:
        TypeError: If `window` is none of these.
        ValueError: If `stride` is given with a schedule, or a number is out of range.

    Example:
        from bptt_keras.truncation.serialization import as_schedule

        assert as_schedule(8, 2).get_config() == {"window": 8, "stride": 2}
    """
    if not isinstance(window, Schedule):
        return FixedWindow(window, stride)
    if stride is not None:
        raise ValueError(
            f"`stride` belongs to a `window` that is a number. Received: "
            f"stride={stride!r} beside a {type(window).__name__}. Use "
            f"`bk.truncation.FixedWindow(window, stride)`, or leave `stride` out."
        )
    return window


def as_recomputation(
    recompute: Recomputation | int | Literal["sqrt"] | None,
) -> Recomputation | None:
    """The recomputation that the argument `recompute` describes, or `None`.

    Args:
        recompute: `None`, `"sqrt"`, a number of segments, `Segments` or `Revolve`.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a number is out of range or a string is not `"sqrt"`.
    """
    if recompute is None or isinstance(recompute, Recomputation):
        return recompute
    return Segments(recompute)


def check_recomputation(
    recomputation: Recomputation | None, schedule: Schedule
) -> None:
    """Raises if a recomputation does not work with a schedule.

    Args:
        recomputation: What `as_recomputation` returned.
        schedule: What `as_schedule` returned.

    Raises:
        ValueError: If the windows do not all have the same length.
    """
    if recomputation is not None and schedule.random:
        raise ValueError(
            f"`recompute` needs windows of one length, a number or a `FixedWindow`. "
            f"Received: window={type(schedule).__name__}. Leave `recompute` out."
        )


def to_config(value: Any, *, others: Callable[[Any], Any] | None = None) -> Any:
    """Plain data from which `from_config` restores a schedule or recomputation.

    Args:
        value: A schedule or recomputation; anything else is returned unchanged.
        others: Function that serializes objects of the user's own classes, such as
            `keras.saving.serialize_keras_object`.

    Raises:
        TypeError: If the class is the user's own, and there is no `others`.

    Example:
        from bptt_keras.truncation import Revolve
        from bptt_keras.truncation.serialization import from_config, to_config

        assert from_config(to_config(Revolve(3))).get_config() == {
            "slots": 3, "segment": 1
        }
    """
    if not isinstance(value, Schedule | Recomputation):
        return value
    if type(value) in _OURS.values():
        return {"kind": type(value).__name__, "config": value.get_config()}
    if others is None:
        raise TypeError(
            f"`value` must be of one of {sorted(_OURS)}. Received: value={value!r}."
        )
    return others(value)


def from_config(value: Any, *, others: Callable[[Any], Any] | None = None) -> Any:
    """The object that `to_config` described.

    Args:
        value: What `to_config` returned.
        others: The inverse of the function given to `to_config`, such as
            `keras.saving.deserialize_keras_object`.

    Raises:
        ValueError: If `value` names no schedule or recomputation of this package.
    """
    if not isinstance(value, dict):
        return value
    if others is not None and set(value) >= _KERAS:
        return others(value)
    if set(value) != {"kind", "config"}:
        return value
    if value["kind"] not in _OURS:
        raise ValueError(
            f"A configuration must be of one of {sorted(_OURS)}. Received: "
            f"kind={value['kind']!r}."
        )
    return _OURS[value["kind"]](**value["config"])
