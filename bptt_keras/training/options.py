"""What a `TruncatedBPTT` can be told, checked together."""

from bptt_keras.arguments import whole
from bptt_keras.training.programs.shards import check_shards
from bptt_keras.training.windows.perturbation import Perturbation
from bptt_keras.training.windows.updates import check_update
from bptt_keras.truncation.serialization import (
    as_recomputation,
    as_schedule,
    check_recomputation,
)

ARGUMENTS = (
    "window",
    "stride",
    "update",
    "burn_in",
    "recompute",
    "state_noise",
    "state_dropout",
    "shards",
    "live_metrics",
)


def configured(
    *,
    window,
    stride,
    update,
    burn_in,
    recompute,
    state_noise,
    state_dropout,
    shards,
    live_metrics,
):
    """Attributes of a trainer, from arguments of its constructor.

    Returns:
        `{name: value}`: the arguments, and what is made of several of them.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of its bounds, or two contradict each other.
    """
    truncation = as_schedule(window, stride)
    recomputation = as_recomputation(recompute)
    check_recomputation(recomputation, truncation)
    check_update(update)
    check_shards(shards)
    if not isinstance(live_metrics, bool):
        raise TypeError(
            f"`live_metrics` must be True or False. Received: "
            f"live_metrics={live_metrics!r}."
        )
    perturbation = Perturbation(state_noise, state_dropout)
    return {
        "window": window,
        "stride": stride,
        "update": update,
        "burn_in": whole("burn_in", burn_in, least=0),
        "recompute": recompute,
        "state_noise": perturbation.noise,
        "state_dropout": perturbation.dropout,
        "shards": shards,
        "live_metrics": live_metrics,
        "truncation": truncation,
        "_recomputation": recomputation,
        "_perturbation": perturbation,
    }


def check_jit_compile(jit_compile, run_eagerly):
    """Raises if `jit_compile` is unknown, or contradicts `run_eagerly`."""
    if jit_compile not in (True, False, "auto"):
        raise ValueError(
            f"`jit_compile` must be True, False or 'auto'. Received: "
            f"jit_compile={jit_compile!r}."
        )
    if jit_compile is True and run_eagerly:
        raise ValueError(
            "`run_eagerly=True` runs without a graph, so nothing can be compiled. "
            "Received: jit_compile=True. Leave one of them out."
        )
