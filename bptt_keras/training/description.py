"""The lines that `TruncatedBPTT.summary()` adds: what runs."""


def describe(trainer):
    """What runs, in words.

    Args:
        trainer: A `TruncatedBPTT`.

    Returns:
        Several lines of text.
    """
    rows = [
        ("window", _reach(trainer)),
        ("loss", _loss(trainer)),
        ("XLA", _xla(trainer)),
        ("shards", _shards(trainer)),
        *(("state", line) for line in _state(trainer)),
        ("reset", "a batch without `reset` starts afresh; one with `reset` continues"),
        ("", "the batch before it, but for the rows that are flagged; each epoch"),
        ("", "starts afresh, but with `steps_per_epoch` it goes on;"),
        ("", "evaluate and predict have a state of their own and start afresh"),
    ]
    lines = [f"  {name:<8}{text}" for name, text in rows]
    return "\n".join(["Truncated backpropagation through time", *lines])


def _reach(trainer):
    truncation = trainer._truncation
    return (
        f"{truncation.window} timesteps: gradients reach {truncation.window} steps at "
        f"most, {truncation.mean_horizon:g} on average; one update per window"
    )


def _loss(trainer):
    if trainer._findings is None:
        return "known at the first batch"
    if trainer._findings.sequence_output:
        return "at every timestep, averaged over the valid timesteps of a window"
    return (
        "at the end of the sequence: only the last window is backpropagated, the "
        "steps before run without a tape; one update per batch"
    )


def _xla(trainer):
    programs = trainer._programs
    if programs is None:
        return "known at the first batch"
    requested = trainer._requested_xla
    if programs.xla:
        return "on" + (" (auto: the model compiles)" if requested == "auto" else "")
    if trainer._xla_refusal is not None:
        return f"off (auto: the model does not compile: {trainer._xla_refusal})"
    return "off (run_eagerly)" if trainer.run_eagerly else "off"


def _shards(trainer):
    if trainer._findings is None:
        return "known at the first batch"
    requested = " (auto)" if trainer.shards == "auto" else ""
    reason = trainer._shards_reason
    return f"{trainer._shards}{requested}" + (f": {reason}" if reason else "")


def _state(trainer):
    if trainer._step is None:
        return ["known at the first batch"]
    step = trainer._step
    initial = step.initial_state(1)
    lines = []
    for name, layer in step.layers.items():
        parts = ", ".join(
            f"{key} {tuple(tensor.shape[1:])}" for key, tensor in initial[name].items()
        )
        fused = "fused kernel" if getattr(layer, "fused", False) else "Keras' loop"
        lines.append(f"{name} ({type(layer).__name__}, {fused}): {parts}")
    return lines or ["none: the model has no recurrent layer"]
