"""The lines that `TruncatedBPTT.summary()` adds: how the model is trained."""

from __future__ import annotations

from typing import Any

import keras

from bptt_keras.backend import compile_cache
from bptt_keras.kernels.native.probe import instructions
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.engine import Engine
from bptt_keras.training.modes import Mode
from bptt_keras.training.options import Options
from bptt_keras.training.programs.allocator import SWITCH

_LATER = "known at the first batch"
_KERNELS = {
    "native": "native kernel",
    "fused": "fused kernel",
    "cudnn": "cuDNN",
    "cell": "Keras' loop",
    "scan": "parallel in time",
}


def describe(engine: Engine) -> str:
    """How a model is trained, in words.

    Args:
        engine: The trainer's engine.

    Returns:
        Several lines of text.
    """
    rows = [
        ("window", _reach(engine)),
        ("loss", _loss(engine)),
        *_options(engine.options),
        *_clipping(engine.compilation.optimizer),
        ("XLA", _xla(engine)),
        ("shards", _shards(engine)),
        *_memory(engine),
        *(("state", line) for line in _state(engine)),
        *_unchecked(engine),
        ("reset", "a batch without `reset` starts afresh; one with `reset` continues"),
        ("", "the batch before it, but for the rows that are flagged; each epoch"),
        ("", "starts afresh, but with `steps_per_epoch` it continues;"),
        ("", "evaluate and predict have a state of their own and start afresh"),
    ]
    lines = [f"  {name:<8}{text}" for name, text in rows]
    return "\n".join(["Truncated backpropagation through time", *lines])


def _reach(engine: Engine) -> str:
    schedule, setup = engine.options.schedule, engine.setup
    window = schedule.window
    ends = setup is not None and not setup.model.traits.sequence_output
    if window is None:
        return "all timesteps of a batch: gradients reach back to its start"
    if ends:
        return f"{window} timesteps: gradients reach the last {window} steps"
    name = type(schedule).__name__
    kind = "" if name == "FixedWindow" else f" ({name})"
    return (
        f"{window} timesteps{kind}: gradients reach {window} steps at most, "
        f"{schedule.mean_horizon:g} on average; {_updates(engine.options)}"
    )


def _updates(options: Options) -> str:
    update, stride = options.update, options.schedule.stride
    if update == "sequence":
        return "one update per batch, over all its windows"
    if update not in ("window", 1):
        return f"one update every {update} windows"
    if stride not in (None, options.schedule.window):
        return f"one update every {stride} steps"
    return "one update per window"


def _unchecked(engine: Engine) -> list[tuple[str, str]]:
    unchecked = None if engine.setup is None else engine.setup.model.unchecked
    if unchecked is None:
        return []
    return [("cutting", f"not tried out on this model: {unchecked}")]


def _options(options: Options) -> list[tuple[str, str]]:
    """Lines for options that differ from their defaults."""
    lines = []
    if options.burn_in:
        steps = options.burn_in
        lines.append(("burn-in", f"the first {steps} steps of a batch have no loss"))
    if options.recompute is not None:
        how = words = options.recompute
        if not isinstance(how, str | int):
            words = f"{type(how).__name__}, {how.get_config()}"
        lines.append(("memory", f"states are computed once more ({words})"))
    if options.state_noise or options.state_dropout:
        lines.append(
            (
                "carry",
                f"the carried state gets noise {options.state_noise:g} and dropout "
                f"{options.state_dropout:g} in training",
            )
        )
    if not options.live_metrics:
        lines.append(("logs", "losses and metrics alone"))
    if not options.skip_nonfinite:
        lines.append(("skip", "nothing: updates that are not finite are applied"))
    return lines


def _clipping(
    optimizer: keras.optimizers.Optimizer | None,
) -> list[tuple[str, str]]:
    clipped = find_clipped(optimizer)
    if clipped is None:
        return []
    lines = [("clip", repr(rule)) for rule in clipped.clipping]
    if clipped.skip_nonfinite:
        stop = clipped.stop_after
        end = f"; {stop} of them in a row end a fit" if stop else ""
        lines.append(("skip", f"updates that are not finite{end}"))
    return lines


def _loss(engine: Engine) -> str:
    if engine.setup is None:
        return _LATER
    if engine.setup.model.traits.sequence_output:
        return "at every timestep, averaged over the valid timesteps of a window"
    return "at the end: the steps before run without a tape; one update per batch"


def _xla(engine: Engine) -> str:
    mode, asked = _known_mode(engine), engine.compilation.jit_compile
    if mode is None:
        return _LATER
    if mode.refusal is not None:
        return f"off (auto: the model does not compile: {mode.refusal})"
    if mode.programs.xla:
        automatic = asked == "auto"
        words = "on" + (" (auto: the model compiles)" if automatic else "")
        folder = compile_cache()
        return f"{words}, programs kept in {folder}" if folder else words
    return "off (run_eagerly)" if asked else "off"


def _known_mode(engine: Engine) -> Mode | None:
    """The mode of training, or, before any training, of what has run."""
    modes = {} if engine.setup is None else engine.setup.modes
    return modes.get("fit") or next(iter(modes.values()), None)


def _shards(engine: Engine) -> str:
    mode = _known_mode(engine)
    if mode is None:
        return _LATER
    in_one = getattr(mode.windows.in_one, "on", False)
    words = [mode.why_one_shard, "one program runs many windows" * in_one]
    text = ", ".join(word for word in words if word)
    return f"{mode.programs.shards}" + (f": {text}" if text else "")


def _memory(engine: Engine) -> list[tuple[str, str]]:
    mode = _known_mode(engine)
    if mode is None or not mode.keeps_memory:
        return []
    return [("heap", f"freed memory is kept for the next window, unless {SWITCH}=0")]


def _state(engine: Engine) -> list[str]:
    if engine.setup is None:
        return [_LATER]
    step, mode = engine.setup.model.step, _known_mode(engine)
    initial = step.initial_state(1)
    xla = mode is not None and mode.programs.xla
    lines = []
    for name, layer in step.layers.items():
        shapes = ", ".join(
            f"{key} {tuple(tensor.shape[1:])}" for key, tensor in initial[name].items()
        )
        lines.append(
            f"{name} ({type(layer).__name__}, {_kernel(layer, xla)}): {shapes}"
        )
    return lines or ["none: the model has no recurrent layer"]


def _kernel(layer: Any, xla: bool) -> str:
    """The kernel that runs a layer; why it is not the native one, or was asked for."""
    if not hasattr(layer, "kernel_of"):
        return "Keras' loop"
    kernel = layer.kernel_of(xla=xla)
    asked = getattr(layer, "implementation", "auto") not in ("auto", 0, 1, 2)
    words = _KERNELS[kernel]
    if kernel == "native" and layer.why_not("native", xla=xla) is None:
        words += f" ({instructions(layer.cell.compute_dtype)})"
    elif kernel == "fused" and not asked:
        words += f" (no native one: {layer.why_not('native', xla=xla)})"
    return f"{words}, as asked for" if asked else words
