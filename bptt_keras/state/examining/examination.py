"""Finds out, by tracing a model with two lengths, what padding would do to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.keras_internals import inner_layers
from bptt_keras.state.buffers import Buffers
from bptt_keras.state.examining.timed import with_sizes
from bptt_keras.state.padding import is_foreign, takes_flags, zeros_add_nothing
from bptt_keras.state.place import Note, Place
from bptt_keras.state.replaced import replaced, replaced_call
from bptt_keras.types import Structure, Tensor

ROWS, LENGTHS = 2, (5, 7)


class Examination(NamedTuple):
    """What two traces showed.

    Fields:
        fits: `{key: boolean}`, what `Place.fits` should answer; `None` if the model
            does not run with those lengths.
        why: Why padding would count, a sentence without a full stop, or `None`.
        remedy: What to do about it, a sentence.
    """

    fits: dict[tuple, bool] | None
    why: str | None
    remedy: str


class _Made(NamedTuple):
    """A loss, or a new value of a variable, that one call of a layer made.

    Fields:
        layer: The layer.
        what: What it made, in words.
        inputs: `(shape, boolean)` of each tensor passed to the call: whether the result
            depends on it.
        given_flags: Whether the layer was given the steps that count.
    """

    layer: keras.Layer
    what: str
    inputs: list[tuple[tf.TensorShape, bool]]
    given_flags: bool


def examine(step: Any, specs: Structure, training: bool) -> Examination:
    """Traces a model with two lengths, with all steps valid, without running it.

    An axis that is as long as the sequence both times is time. A loss or a moving
    average that a layer computes from inputs that change with the length would count
    padding, unless the layer takes a mask.

    Args:
        step: A `PureStep`.
        specs: As for `discover`.
        training: Boolean.

    Returns:
        `Examination`.
    """
    try:
        traces = [_trace(step, specs, length, training) for length in LENGTHS]
    except Exception:  # noqa: BLE001 - a model can raise anything
        why = f"it does not run on {LENGTHS} timesteps of which some are padding"
        return Examination(None, why, "")
    (notes, made), (other_notes, other_made) = traces
    pairs = {key: (notes[key], other_notes[key]) for key in notes if key in other_notes}
    fits = {key: a.fits and b.fits for key, (a, b) in pairs.items()}
    problems = [
        _regularizer_problem(a, b)
        for (_, what, _), (a, b) in pairs.items()
        if what == "outputs"
    ]
    problems += map(_own_problem, made, other_made)
    found = [problem for problem in problems if problem is not None]
    return Examination(fits, *found[0]) if found else Examination(fits, None, "")


def _regularizer_problem(note: Note, other: Note) -> tuple[str, str] | None:
    layer = note.layer
    whose = f"the activity regularizer of layer {layer.name!r} ({type(layer).__name__})"
    if not (note.fits and other.fits):
        if not _varies(note.shape, other.shape):
            return None
        return (
            f"{whose} sees outputs of shape {tuple(note.shape)} for "
            f"{(ROWS, LENGTHS[0])} rows and timesteps, in which those that are padding "
            f"cannot be told",
            "Give the layer outputs (batch, time, ...).",
        )
    if zeros_add_nothing(layer.activity_regularizer, note, axis=note.axis):
        return None
    return (
        f"{whose} is not the same if outputs of 0 are added",
        "Use one that sums a function of each output that is 0 at 0, such as "
        "`keras.regularizers.L2`.",
    )


def _own_problem(made: _Made, other: _Made) -> tuple[str, str] | None:
    layer = made.layer
    counts = any(
        reached and _varies(shape, other_shape)
        for (shape, reached), (other_shape, _) in zip(
            made.inputs, other.inputs, strict=False
        )
    )
    if not counts or (made.given_flags and other.given_flags):
        return None
    why = (
        f"layer {layer.name!r} ({type(layer).__name__}) {made.what} from all timesteps "
        f"of its inputs, and cannot be told which of them are padding"
    )
    if takes_flags(layer):
        return (
            why,
            "Give it inputs (batch, time, ...), or wrap it in `TimeDistributed`.",
        )
    return (
        why,
        "Give its `call` an argument `mask`, booleans (batch, time), and leave out the "
        "steps where it is False; or train on sequences of one length.",
    )


def _varies(shape: tf.TensorShape, other: tf.TensorShape) -> bool:
    """Whether a shape depends, or may depend, on the number of timesteps."""
    if shape.rank is None or None in shape.as_list():
        return True
    return shape != other


def _trace(
    step: Any, specs: Structure, length: int, training: bool
) -> tuple[dict[tuple, Note], list[_Made]]:
    """Notes on tensors, and the losses and new values that layers made."""
    found: dict[tuple, Note] = {}
    made: list[_Made] = []

    def run(inputs):
        place = Place(tf.ones((ROWS, length), tf.bool))
        with Buffers([], [], step.model.trainable_variables) as scope:
            watched = _noting_all(step, place, scope, made)
            step._run(inputs, training=training, place=place, watched=watched)
        found.update(place.notes)

    specs = with_sizes(step.model, specs, rows=ROWS, length=length)
    tf.function(run, autograph=False).get_concrete_function(specs)
    return found, made


@contextlib.contextmanager
def _noting_all(
    step: Any, place: Place, scope: Buffers, made: list[_Made]
) -> Iterator[None]:
    """A context in which the losses and new values that layers make are recorded."""
    with contextlib.ExitStack() as stack:
        for layer in step.own_layers:
            if isinstance(layer, keras.layers.BatchNormalization) or is_foreign(layer):
                stack.enter_context(_noting(layer, place, scope, made))
        yield


def _noting(
    layer: keras.Layer, place: Place, scope: Buffers, made: list[_Made]
) -> AbstractContextManager[None]:
    original, add_loss = layer.call, layer.add_loss
    others = {id(v) for other in inner_layers(layer) for v in other.weights}
    own = [v for v in layer.non_trainable_weights if id(v) not in others]

    def call(*args, **kwargs):
        losses, before = [], [scope.get_current_value(v) for v in own]
        given_flags = place.given_flags[id(layer)]

        def adding(loss):
            losses.extend(keras.tree.flatten(loss))
            add_loss(loss)

        with replaced(layer, "add_loss", adding):
            outputs = original(*args, **kwargs)
        inputs = [t for t in keras.tree.flatten([args, kwargs]) if tf.is_tensor(t)]
        given_flags = place.given_flags[id(layer)] > given_flags
        for what, result in [
            *(("adds a loss of its own", loss) for loss in losses),
            *(
                (f"changes {v.path}", scope.get_current_value(v))
                for v, old in zip(own, before, strict=True)
                if scope.get_current_value(v) is not old
            ),
        ]:
            reached = _reached(result, inputs)
            pairs = [(t.shape, id(t) in reached) for t in inputs]
            made.append(_Made(layer, what, pairs, given_flags))
        return outputs

    return replaced_call(layer, call)


def _reached(result: Tensor, tensors: list[Tensor]) -> set[int]:
    """Ids of the tensors on which a result in the same graph depends."""
    wanted: dict[int, list[int]] = {id(t.op): [] for t in tensors if _is_symbolic(t)}
    for tensor in tensors:
        if _is_symbolic(tensor):
            wanted[id(tensor.op)].append(id(tensor))
    found: set[int] = set()
    seen: set[int] = set()
    waiting = [result.op] if _is_symbolic(result) else []
    while waiting:
        operation = waiting.pop()
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        found.update(wanted.get(id(operation), []))
        waiting.extend(tensor.op for tensor in operation.inputs)
    return found


def _is_symbolic(tensor: Any) -> bool:
    return tf.is_tensor(tensor) and tf.is_symbolic_tensor(tensor)
