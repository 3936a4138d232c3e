"""Gradient clipping as a hyperparameter: rules and their thresholds."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from bptt_keras.keras_internals import schedule_of
from bptt_keras.training import clipping as rules
from bptt_keras.training.clipping.optimizer import own_clipping
from bptt_keras.tuning.ranges import Range, check_numbers, declared, is_tuned

# The kinds, and the thresholds that are worth trying: low, high, log.
CLIPPINGS: dict[str, tuple[float, float, bool] | None] = {
    "none": None,
    "global_norm": (0.03, 10.0, True),
    "variable_norm": (0.01, 3.0, True),
    "value": (0.001, 0.3, True),
    "agc": (0.003, 0.3, True),
    "autoclip": (5.0, 95.0, False),
    "zclip": (1.5, 5.0, False),
}
_RULES = {
    "global_norm": rules.GlobalNorm,
    "variable_norm": rules.VariableNorm,
    "value": rules.Value,
    "agc": rules.AGC,
    "autoclip": rules.AutoClip,
    "zclip": rules.ZClip,
}


def kinds_of(clipping: Any) -> dict[str, Any] | None:
    """The kinds and thresholds to try, from the argument `clipping`.

    Returns:
        `{kind: Range, list or value}`, `None` for the kind "none"; or just `None` if
        the optimizer is to be left unchanged.

    Raises:
        TypeError: If the argument is of the wrong type.
        ValueError: If a kind is unknown, or a threshold out of range.
    """
    if clipping is None:
        return None
    if clipping == "all":
        clipping = list(CLIPPINGS)
    if isinstance(clipping, str):
        clipping = [clipping]
    if not isinstance(clipping, list | tuple | dict):
        raise TypeError(
            "`clipping` must be a kind, a list of kinds, or a dict of thresholds. "
            f"Received: {clipping!r}."
        )
    unknown = [kind for kind in clipping if kind not in CLIPPINGS]
    if unknown or not clipping:
        raise ValueError(
            f"`clipping` must be of {', '.join(CLIPPINGS)}. Received: {clipping}."
        )
    kinds: dict[str, Any] = {}
    for kind in clipping:
        usual = CLIPPINGS[kind]
        given = clipping[kind] if isinstance(clipping, dict) else usual
        if kind == "none":
            if given is not None:
                raise ValueError(
                    f"`clipping['none']` has no threshold. Received: {given!r}."
                )
            kinds[kind] = None
        elif usual is not None and given == usual and isinstance(given, tuple):
            low, high, log = usual
            middle = (low * high) ** 0.5 if log else (low + high) / 2
            kinds[kind] = Range(low, high, log=log, default=middle)
        else:
            check_numbers(f"clipping[{kind!r}]", given, above=0, whole=False)
            kinds[kind] = given
    return kinds


def tuned_rule(
    hp: keras_tuner.HyperParameters, kinds: dict[str, Any] | None
) -> rules.Clipping | None:
    """The clipping rule of a trial, `None` for none.

    Args:
        hp: Hyperparameters of the trial.
        kinds: The result of `kinds_of`; `None` if clipping is not tuned.
    """
    if kinds is None:
        return None
    kind = declared(hp, "clipping", list(kinds))
    thresholds = {}
    # All thresholds are declared, so that the space is known from the start.
    for other, allowed in kinds.items():
        if not is_tuned(allowed) or len(kinds) == 1:
            thresholds[other] = declared(hp, f"clip_{other}", allowed)
            continue
        with hp.conditional_scope("clipping", [other]):
            thresholds[other] = declared(hp, f"clip_{other}", allowed)
    return None if kind == "none" else _RULES[kind](thresholds[kind])


def optimizer_with(
    optimizer: Any, rate: float | None, rule: rules.Clipping | None
) -> keras.optimizers.Optimizer:
    """An optimizer with the learning rate and the clipping rule of a trial.

    Args:
        optimizer: An optimizer as for `compile`; `None` is Adam.
        rate: The learning rate, or `None` for that of the optimizer.
        rule: The clipping rule, or `None`.

    Raises:
        FatalValueError: If the optimizer has a learning rate schedule, or also clips by
            itself.
    """
    optimizer = keras.optimizers.get("adam" if optimizer is None else optimizer)
    if rate is not None:
        if schedule_of(optimizer) is not None:
            raise keras_tuner.errors.FatalValueError(
                "`learning_rate` cannot be tuned over a schedule. Make the schedule "
                'with `hp.Float("learning_rate", ...)` where the model is compiled.'
            )
        optimizer.learning_rate = rate
    if rule is None:
        return optimizer
    name = own_clipping(optimizer)
    if name is not None:
        raise keras_tuner.errors.FatalValueError(
            f"The optimizer clips as well ({name}), so the tuned clipping would not be "
            "the only one. Leave it out."
        )
    return rules.ClippedOptimizer(optimizer, rule)
