"""Ranges of values in which a hyperparameter is searched."""

from __future__ import annotations

import numbers
from typing import Any

import keras_tuner

from bptt_keras.arguments import is_real, is_whole


class Range:
    """Numbers from `low` to `high`, both included.

    Args:
        low: The smallest number. If `low` and `high` are integers, so are all numbers.
        high: The largest number, above `low`.
        log: Whether numbers are drawn uniformly in their logarithm; `low` must then be
            above 0.
        default: Value of the first trial with `defaults_first`. Default: `low`.

    Raises:
        TypeError: If a bound is not a number.
        ValueError: If the range is empty.

    Example:
        import bptt_keras as bk

        rates = bk.tuning.Range(1e-4, 1e-2, log=True)
        assert not rates.whole
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        log: bool = False,
        default: float | None = None,
    ):
        for name, value in (("low", low), ("high", high)):
            if not is_real(value):
                raise TypeError(
                    f"`{name}` must be a number. Received: {name}={value!r}."
                )
        # KerasTuner and JSON do not accept the numbers of NumPy.
        low, high = _plain(low), _plain(high)
        if not low < high:
            raise ValueError(
                f"A range must not be empty. Received: low={low}, high={high}."
            )
        if log and not low > 0:
            raise ValueError(f"A log range must be above 0. Received: low={low}.")
        if default is not None and not low <= default <= high:
            raise ValueError(
                f"`default` must be in the range. Received: default={default}."
            )
        self.low, self.high, self.log = low, high, bool(log)
        self.default = low if default is None else default
        self.whole = is_whole(low) and is_whole(high)


def declared(hp: keras_tuner.HyperParameters, name: str, allowed: Any) -> Any:
    """Declares a hyperparameter and returns its value in a trial.

    Args:
        hp: `keras_tuner.HyperParameters`.
        name: Name of the hyperparameter.
        allowed: `Range`, a list or tuple of values, or one value, which is fixed and
            not part of the space.
    """
    if isinstance(allowed, Range):
        make = hp.Int if allowed.whole else hp.Float
        sampling = "log" if allowed.log else "linear"
        return make(
            name, allowed.low, allowed.high, sampling=sampling, default=allowed.default
        )
    if isinstance(allowed, tuple | list):
        if len(allowed) == 1:
            return _plain(allowed[0])
        values = [_plain(value) for value in allowed]
        if any(isinstance(value, float) for value in values):
            # The values of a choice must have one type.
            values = [float(value) for value in values]
        return hp.Choice(name, values, ordered=False)
    return allowed


def is_tuned(allowed: Any) -> bool:
    """Whether several values are allowed, which makes it a hyperparameter."""
    return isinstance(allowed, Range) or (
        isinstance(allowed, tuple | list) and len(allowed) > 1
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def check_numbers(
    name: str,
    allowed: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    whole: bool = True,
) -> None:
    """Refuses an argument that is not a number, a range or a list of numbers.

    Raises:
        TypeError: If a value is of the wrong type.
        ValueError: If a value is out of range, or a list is empty or has a value twice.
    """
    if allowed is None:
        return
    if isinstance(allowed, Range):
        values = [allowed.low, allowed.high]
        if whole and not allowed.whole:
            raise TypeError(f"`{name}` must be integers. Received: {values}.")
    elif isinstance(allowed, tuple | list):
        values = list(allowed)
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"`{name}` must be a list of different values. Received: {allowed}."
            )
    else:
        values = [allowed]
    fits = is_whole if whole else is_real
    for value in values:
        if not fits(value):
            raise TypeError(
                f"`{name}` must be {'integers' if whole else 'numbers'}, a list of "
                f"them or a `Range`. Received: {value!r}."
            )
        if least is not None and value < least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {value}.")
        if above is not None and value <= above:
            raise ValueError(f"`{name}` must be above {above}. Received: {value}.")
