"""Checks of layers with random regularisation."""

from __future__ import annotations

from typing import Any


def checked_rate(name: str, rate: float, *, below: bool = False) -> float:
    """`rate` as a float, if it is a probability and, with `below`, less than 1."""
    number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not number or not 0 <= rate <= 1 or (below and rate == 1):
        expected = "from 0 to below 1" if below else "from 0 to 1"
        raise ValueError(f"`{name}` must be {expected}. Received: {name}={rate!r}.")
    return float(rate)


def refuse_unless_fused(layer: Any) -> None:
    """Raises if an option of the layer would run a loop without its random draws."""
    if layer.learn_initial_state:
        raise ValueError(
            f"`{type(layer).__name__}` starts from zeros. Received: "
            f"learn_initial_state=True. Leave it out, or use `bk.layers.LSTM`."
        )
    reason = layer._why_not_fused()
    if reason:
        raise ValueError(
            f"`{type(layer).__name__}` runs on its fused kernel alone, which does not "
            f"serve this layer: {reason}. Expected: activation tanh, recurrent "
            "activation sigmoid, recurrent_dropout 0, no `unroll`, no other "
            "`implementation`. Received: "
            f"activation={layer.activation.__name__}, "
            f"recurrent_activation={layer.recurrent_activation.__name__}, "
            f"recurrent_dropout={layer.recurrent_dropout}, unroll={layer.unroll}, "
            f"use_cudnn={getattr(layer, 'use_cudnn', None)!r}, "
            f"implementation={layer.implementation!r}."
        )
