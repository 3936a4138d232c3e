"""Combines the results of segments, as if their window had run in one piece."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from bptt_keras.state import Buffers
from bptt_keras.training.measures.averages import weighted_means
from bptt_keras.training.programs.batch_like import Size
from bptt_keras.training.programs.loop import joined
from bptt_keras.training.programs.recomputation.kept_states import array_like
from bptt_keras.training.programs.recomputation.segmented_window import SegmentedWindow
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import as_arrays
from bptt_keras.types import State, Tensor


class Sums(NamedTuple):
    """What is accumulated while the segments run backward.

    Fields:
        gradients: Summed gradients of the variables.
        totals: Summed losses, one for each output.
        labels_valid: Scalar booleans, one for each output.
        ids_valid: `{Embedding layer name: scalar boolean}`.
    """

    gradients: list[Tensor]
    totals: list[Tensor]
    labels_valid: list[Tensor]
    ids_valid: dict[str, Tensor]


def sums_of_last(
    window: SegmentedWindow, result: WindowResult, gradients: list[Tensor | None]
) -> Sums:
    """The sums of the last segment alone.

    Args:
        window: The window.
        result: Result of the segment.
        gradients: Gradients of its loss with respect to the variables.
    """
    pairs = zip(gradients, window.variables, strict=True)
    return Sums(
        gradients=[tf.zeros_like(v) if g is None else g for g, v in pairs],
        totals=[term.total for term in result.terms],
        labels_valid=[term.labels_valid for term in result.terms],
        ids_valid=result.ids_valid,
    )


def differentiated(
    window: SegmentedWindow,
    segment: Tensor,
    state: State,
    weights: list[Tensor],
    state_gradient: list[Tensor],
    sums: Sums,
    arrays: list[tf.TensorArray],
) -> tuple[list[Tensor], Sums, list[tf.TensorArray]]:
    """Runs a segment before the last one backward, and adds what comes of it.

    Args:
        window: The window.
        segment: Number of the segment.
        state: Named state before it.
        weights: Summed weights of all segments.
        state_gradient: Gradient with respect to the state after it.
        sums: Sums of the segments after it.
        arrays: Outputs of the segments after it, from `output_arrays`.

    Returns:
        `(state_gradient, sums, arrays)`: the gradient with respect to the state before
        the segment, and the others with this segment's.
    """
    result, found = window.differentiate(segment, state, weights, state_gradient)
    timed = window.programs.sequence_output
    sums = _add(sums, result, found.of_variables, has_loss=timed)
    return found.of_state, sums, write_outputs(arrays, segment, result)


def _add(
    sums: Sums,
    result: WindowResult,
    gradients: list[Tensor | None],
    *,
    has_loss: bool,
) -> Sums:
    """Adds a segment before the last to the sums.

    Args:
        sums: Sums of the segments after it.
        result: Result of the segment.
        gradients: Gradients with respect to the variables that flow out of it.
        has_loss: Whether it has a loss of its own.
    """
    totals, labels_valid = sums.totals, sums.labels_valid
    if has_loss:
        totals = [a + t.total for a, t in zip(totals, result.terms, strict=True)]
        labels_valid = [
            a & t.labels_valid for a, t in zip(labels_valid, result.terms, strict=True)
        ]
    return Sums(
        gradients=[
            total if g is None else total + g
            for total, g in zip(sums.gradients, gradients, strict=True)
        ],
        totals=totals,
        labels_valid=labels_valid,
        ids_valid={
            name: valid & result.ids_valid[name]
            for name, valid in sums.ids_valid.items()
        },
    )


def complete(
    window: SegmentedWindow, last: WindowResult, sums: Sums, weights: list[Tensor]
) -> WindowResult:
    """The result of the window, except for outputs, which are those of its end.

    Args:
        window: The window.
        last: Result of its last segment.
        sums: Sums of all segments.
        weights: Summed weights of all segments, one for each output.
    """
    programs = window.programs
    of_penalties, penalties = _penalties(window)
    gradients = [
        None if not used and g is None else total if g is None else total + g
        for total, g, used in zip(
            sums.gradients, of_penalties, window.used, strict=True
        )
    ]
    terms = [
        term._replace(total=total, weight=weight, labels_valid=valid)
        for term, total, weight, valid in zip(
            last.terms, sums.totals, weights, sums.labels_valid, strict=True
        )
    ]
    result = last._replace(
        gradients=gradients,
        loss=tf.add_n([*weighted_means(programs.losses, terms), *penalties]),
        terms=terms,
        ids_valid=sums.ids_valid,
    )
    if programs.needs_outputs:
        return result
    return result._replace(outputs=None, masks=None)


def _penalties(window: SegmentedWindow) -> tuple[list[Tensor | None], list[Tensor]]:
    """Gradients and losses of weight regularisation."""
    programs = window.programs
    scope = Buffers(programs.buffers, window.buffers, programs.variables)
    with tf.GradientTape() as tape, scope:
        losses = [
            tf.cast(tf.reduce_sum(loss), tf.float32)
            for loss in programs.step.model.losses
        ]
        total = tf.add_n([tf.zeros([]), *losses])
        scaled = programs.optimizer.scale_loss(total)
    return as_arrays(tape.gradient(scaled, window.variables)), losses


# --- Outputs ---------------------------------------------------------------------


def output_arrays(
    window: SegmentedWindow, result: WindowResult, size: int
) -> list[tf.TensorArray]:
    """An array over segments for each output and for each mask that is not `None`.

    Args:
        window: The window.
        result: Result of one of its segments.
        size: Number of segments.

    Returns:
        A list, empty if the outputs are not needed.
    """
    programs = window.programs
    if not (programs.needs_outputs and programs.sequence_output):
        return []
    flat = _flat_outputs(result)
    return [array_like(size, tensor, steps=window.length) for tensor in flat]


def write_outputs(
    arrays: list[tf.TensorArray], segment: Size, result: WindowResult
) -> list[tf.TensorArray]:
    """The arrays with the outputs of a segment written to them."""
    if not arrays:
        return arrays
    pairs = zip(arrays, _flat_outputs(result), strict=True)
    return [array.write(segment, tensor) for array, tensor in pairs]


def with_outputs(
    window: SegmentedWindow,
    result: WindowResult,
    arrays: list[tf.TensorArray],
    *,
    last: WindowResult | None = None,
) -> WindowResult:
    """The result with the outputs of all segments, joined along time.

    Args:
        window: The window.
        result: Its result.
        arrays: Outputs of its segments.
        last: Result of the last segment, if the arrays do not contain it.
    """
    if not arrays:
        return result
    flat = [joined(array.stack()) for array in arrays]
    if last is not None:
        flat = [
            tf.concat([before, end], axis=1)
            for before, end in zip(flat, _flat_outputs(last), strict=True)
        ]
    flat = [window.given.new_steps(tensor) for tensor in flat]
    count = len(tf.nest.flatten(result.outputs))
    masks = iter(flat[count:])
    return result._replace(
        outputs=tf.nest.pack_sequence_as(result.outputs, flat[:count]),
        masks=[None if mask is None else next(masks) for mask in result.masks or []],
    )


def _flat_outputs(result: WindowResult) -> list[Tensor]:
    """Outputs and the masks that are not `None`, flat."""
    masks = [mask for mask in result.masks or [] if mask is not None]
    return [*tf.nest.flatten(result.outputs), *masks]
