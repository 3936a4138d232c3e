"""The lines that `TruncatedBPTT.summary()` adds: what runs."""

from bptt_keras.backend import compile_cache
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.programs.allocator import SWITCH

_LATER = "known at the first batch"
_KERNELS = {
    "fused": "fused kernel",
    "cudnn": "cuDNN",
    "cell": "Keras' loop",
    "scan": "parallel in time",
}


def describe(engine):
    """What runs, in words.

    Args:
        engine: The `Engine` of a trainer.

    Returns:
        Several lines of text.
    """
    rows = [
        ("window", _reach(engine)),
        ("loss", _loss(engine)),
        *_options(engine.trainer),
        ("XLA", _xla(engine)),
        ("shards", _shards(engine)),
        *_memory(engine),
        *(("state", line) for line in _state(engine)),
        *_unchecked(engine),
        ("reset", "a batch without `reset` starts afresh; one with `reset` continues"),
        ("", "the batch before it, but for the rows that are flagged; each epoch"),
        ("", "starts afresh, but with `steps_per_epoch` it goes on;"),
        ("", "evaluate and predict have a state of their own and start afresh"),
    ]
    lines = [f"  {name:<8}{text}" for name, text in rows]
    return "\n".join(["Truncated backpropagation through time", *lines])


def _reach(engine):
    schedule = engine.schedule
    window = schedule.window
    ends = engine.findings is not None and not engine.findings.sequence_output
    if window is None:
        return "all timesteps of a batch: gradients reach back to its start"
    if ends:
        return f"{window} timesteps: gradients reach the last {window} steps"
    name = type(schedule).__name__
    kind = "" if name == "FixedWindow" else f" ({name})"
    return (
        f"{window} timesteps{kind}: gradients reach {window} steps at most, "
        f"{schedule.mean_horizon:g} on average; {_updates(engine)}"
    )


def _updates(engine):
    update, stride = engine.trainer.update, engine.schedule.stride
    if update == "sequence":
        return "one update per batch, over all its windows"
    if update not in ("window", 1):
        return f"one update every {update} windows"
    if stride not in (None, engine.schedule.window):
        return f"one update every {stride} steps"
    return "one update per window"


def _unchecked(engine):
    if engine.unchecked is None:
        return []
    return [("cutting", f"not tried out on this model: {engine.unchecked}")]


def _options(trainer):
    """Lines for options that are not at their default."""
    lines = []
    if trainer.burn_in:
        steps = trainer.burn_in
        lines.append(("burn-in", f"the first {steps} steps of a batch have no loss"))
    if trainer.recompute is not None:
        how = words = trainer.recompute
        if not isinstance(how, str | int):
            words = f"{type(how).__name__}, {how.get_config()}"
        lines.append(("memory", f"states are computed once more ({words})"))
    if trainer.state_noise or trainer.state_dropout:
        lines.append(
            (
                "carry",
                f"the carried state gets noise {trainer.state_noise:g} and dropout "
                f"{trainer.state_dropout:g} in training",
            )
        )
    if not trainer.live_metrics:
        lines.append(("logs", "losses and metrics alone"))
    return [*lines, *_clipping(getattr(trainer, "optimizer", None))]


def _clipping(optimizer):
    clipped = find_clipped(optimizer)
    if clipped is None:
        return []
    lines = [("clip", repr(rule)) for rule in clipped.clipping]
    if clipped.skip_nonfinite:
        stop = clipped.stop_after
        end = f"; {stop} of them in a row end a fit" if stop else ""
        lines.append(("skip", f"updates that are not finite{end}"))
    return lines


def _loss(engine):
    if engine.findings is None:
        return _LATER
    if engine.findings.sequence_output:
        return "at every timestep, averaged over the valid timesteps of a window"
    return "at the end: the steps before run without a tape; one update per batch"


def _xla(engine):
    if not engine.uses:
        return _LATER
    use = _known_use(engine)
    if use.refusal is not None:
        return f"off (auto: the model does not compile: {use.refusal})"
    if use.programs.xla:
        automatic = engine.jit_compile == "auto"
        words = "on" + (" (auto: the model compiles)" if automatic else "")
        folder = compile_cache()
        return f"{words}, programs kept in {folder}" if folder else words
    return "off (run_eagerly)" if engine.jit_compile else "off"


def _known_use(engine):
    """Training's choice is the one to know; without any, that of what has run."""
    return engine.uses.get("fit") or next(iter(engine.uses.values()))


def _shards(engine):
    if not engine.uses:
        return _LATER
    use = _known_use(engine)
    in_one = getattr(use.windows.in_one, "on", False)
    words = [use.why_one_shard, "one program runs many windows" * in_one]
    words = ", ".join(text for text in words if text)
    return f"{use.programs.shards}" + (f": {words}" if words else "")


def _memory(engine):
    if not engine.keeps_memory:
        return []
    return [("heap", f"freed memory is kept for the next window; {SWITCH}=0: not")]


def _state(engine):
    if engine.step is None:
        return [_LATER]
    initial = engine.step.initial_state(1)
    xla = bool(engine.uses) and _known_use(engine).programs.xla
    lines = []
    for name, layer in engine.step.layers.items():
        parts = ", ".join(
            f"{key} {tuple(tensor.shape[1:])}" for key, tensor in initial[name].items()
        )
        lines.append(f"{name} ({type(layer).__name__}, {_kernel(layer, xla)}): {parts}")
    return lines or ["none: the model has no recurrent layer"]


def _kernel(layer, xla):
    """What runs a layer, and who chose it."""
    if not hasattr(layer, "kernel_of"):
        return "Keras' loop"
    chosen = _KERNELS[layer.kernel_of(xla=xla)]
    asked = getattr(layer, "implementation", "auto") not in ("auto", 0, 1, 2)
    return f"{chosen}, as asked for" if asked else chosen
