"""Finds out, by tracing a model without running it, what it does."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers, inner_layers, is_seed
from bptt_keras.state.buffers import Buffers
from bptt_keras.state.carriable import within_time_distributed
from bptt_keras.state.examining.timed import with_sizes
from bptt_keras.state.pure_step import PureStep
from bptt_keras.types import Structure

SEVERAL_MEANS = "each of several outputs has an average of its own"
_SHARE_DRAWS = (
    keras.layers.RNN,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)


class ModelTraits(NamedTuple):
    """What a dry run of a model showed, see `discover`.

    Fields:
        buffers: Variables that the model changes by itself when it is called.
        sequence_output: True if the outputs have one step for each input step.
        outputs: `tf.TensorSpec` of the outputs, structured like them; the numbers of
            rows and, if there are any, timesteps are `None`.
        why_rows_depend: Why the rows of a batch cannot be run separately, or `None`:
            moving averages over the batch, losses added by layers, several outputs.
        why_not_in_parts: Why a window cannot be run in parts with the same result, or
            `None`: moving averages, losses added by layers, random draws that the
            parts would repeat.
        why_padding_counts: Why padding that is added to a window, and flagged in
            `valid`, would change the result, or `None`: random draws for a whole
            window, losses or moving averages of layers that cannot get the flags.
        all_masked: True if a mask reaches every recurrent layer.
    """

    buffers: list[keras.Variable]
    sequence_output: bool
    outputs: Structure
    why_rows_depend: str | None
    why_not_in_parts: str | None
    why_padding_counts: str | None
    all_masked: bool


def discover(step: PureStep, specs: Structure) -> ModelTraits:
    """Traces a model with two lengths, without running it.

    Args:
        step: A `PureStep`.
        specs: Structure of `tf.TensorSpec` like the model's inputs, each
            `(batch, time, ...)`, or `(batch, ...)` if `timed_inputs` says so.

    Returns:
        `ModelTraits`.

    Raises:
        ValueError: If only some of the outputs have a time axis.
    """
    traces = [_dry_run(step, specs, 5, True), _dry_run(step, specs, 7, False)]
    buffers: list[keras.Variable] = []
    outputs = [trace["outputs"] for trace in traces]
    for trace in traces:
        buffers += [
            v for v in trace["changed"] if all(v is not known for known in buffers)
        ]
    shapes = [[tuple(s.shape) for s in tf.nest.flatten(spec)] for spec in outputs]
    sequence = {
        len(a) > 1 and (a[1], b[1]) == (5, 7) for a, b in zip(*shapes, strict=True)
    }
    if len(sequence) > 1:
        raise ValueError(
            f"All outputs must have a time axis, or none. Received: a model "
            f"{step.model.name!r} with outputs {shapes[0]} for 5 timesteps and "
            f"{shapes[1]} for 7."
        )
    fixed = 2 if True in sequence else 1
    output_specs = tf.nest.map_structure(
        lambda s: tf.TensorSpec([None] * fixed + s.shape[fixed:], s.dtype), outputs[0]
    )
    shared = _why_timesteps_depend(buffers, traces[0]["added_losses"])
    several = len(tf.nest.flatten(output_specs)) > 1
    at_once = _why_parts_repeat(step.model, buffers)
    return ModelTraits(
        buffers=buffers,
        sequence_output=True in sequence,
        outputs=output_specs,
        why_rows_depend=shared or (SEVERAL_MEANS if several else None),
        why_not_in_parts=shared or at_once,
        why_padding_counts=at_once or _why_padding_counts(step, specs),
        all_masked=traces[0]["all_masked"],
    )


def _why_timesteps_depend(
    buffers: list[keras.Variable], added_losses: int
) -> str | None:
    averages = [v.path for v in buffers if not is_seed(v)]
    if averages:
        return f"the model updates {averages[0]} from the whole batch"
    if added_losses:
        return "a layer adds a loss of its own"
    return None


def _why_padding_counts(step: PureStep, specs: Structure) -> str | None:
    found = [step.examined(specs, training) for training in (True, False)]
    return next((f.why for f in found if f is not None and f.why is not None), None)


def _why_parts_repeat(model: keras.Model, buffers: list[keras.Variable]) -> str | None:
    """Names a layer that would draw the same numbers in each part of a window.

    Here `Dropout` draws by timestep; recurrent layers and `SpatialDropout1D` draw one
    mask for all timesteps, which the parts should share. Within `TimeDistributed` they
    see timesteps as rows, each with its own mask.
    """
    rows = within_time_distributed(model)
    seeds = {id(v) for v in buffers if is_seed(v)}
    for layer in all_layers(model):
        others = {id(v) for other in inner_layers(layer) for v in other.variables}
        draws = ({id(v) for v in layer.variables} & seeds) - others
        by_step = type(layer).call is keras.layers.Dropout.call
        shares = isinstance(layer, _SHARE_DRAWS) or hasattr(layer, "state_size")
        ours = type(layer).__module__.startswith("bptt_keras.")
        once = id(layer) not in rows and (shares or ours)
        if draws and not (by_step or once):
            return (
                f"layer {layer.name!r} ({type(layer).__name__}) draws random numbers "
                f"for a whole window at once"
            )
    return None


def _dry_run(
    step: PureStep, specs: Structure, length: int, training: bool
) -> dict[str, Any]:
    found = {}

    def run(inputs):
        trainable = step.model.trainable_variables
        with Buffers([], [], trainable) as scope:
            outputs, _, calls = step._run(inputs, training=training)
        found["changed"] = scope.changed
        found["all_masked"] = bool(calls) and all(
            call.mask is not None for call in calls.values()
        )
        found["added_losses"] = len(scope.losses)
        found["outputs"] = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), outputs
        )

    specs = with_sizes(step.model, specs, rows=2, length=length)
    tf.function(run, autograph=False).get_concrete_function(specs)
    return found
