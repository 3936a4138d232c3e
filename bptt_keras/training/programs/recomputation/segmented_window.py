"""A window cut into segments, each of which runs with or without its own tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from bptt_keras.state import floats, shaped_like
from bptt_keras.training.measures.averages import Term, weighted_means
from bptt_keras.training.programs.batch_like import AnyBatch, BatchLike, Size
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs, as_arrays
from bptt_keras.types import State, Tensor


class Gradients(NamedTuple):
    """The gradients that flow out of a segment.

    Fields:
        of_variables: One tensor (or `None`) for each trainable variable.
        of_state: One tensor for each floating-point tensor of the state before the
            segment.
    """

    of_variables: list[Tensor | None]
    of_state: list[Tensor]


class SegmentedWindow:
    """Runs the segments of a window.

    Every segment starts from the random seeds of the window and gets its position in
    the window, so that numbers drawn once per window or timestep are the same as if the
    window ran in one piece.

    Args:
        programs: The trainer's `Programs` for training.
        window: `Batch` of one window whose length is known.
        buffers: Values of the model's buffers, all of them random seeds.
        length: Timesteps of a segment, an integer; the last one may be shorter.

    Attributes:
        programs: As passed in.
        given: The window, with flags for its first timestep moved to `fresh`.
        variables: Values of the trainable variables.
        buffers: As passed in.
        length: As passed in.
        count: Number of segments.
        last_length: Timesteps of the last segment.
        used: For each variable, whether the loss of any segment depends on it, as found
            while tracing.
    """

    def __init__(
        self, programs: Programs, window: BatchLike, buffers: list[Tensor], length: int
    ):
        if window.reset is not None and not window.resets_inside:
            # Flags of shape (batch,) apply before the first segment.
            window = window._replace(fresh=window.reset, reset=None)
        self.programs = programs
        self.given = window
        self.variables = [variable.value for variable in programs.variables]
        self.buffers = buffers
        self.length = length
        self._window = _weighted_everywhere(window, programs.sequence_output)
        steps = known_length(window)
        self.count = -(-steps // length)
        self.last_length = steps - (self.count - 1) * length
        self.used = [False] * len(self.variables)

    def forward(
        self, segment: Size, state: State, length: int | None = None
    ) -> WindowResult:
        """Runs a segment.

        Args:
            segment: Index of the segment.
            state: Named state before it.
            length: Its timesteps. Default (`None`): those of a full segment.
        """
        start = segment * self.length
        piece = self._window.cut(
            start,
            self.length if length is None else length,
            cut_targets=self.programs.sequence_output,
        )
        result, _ = self.programs.forward(
            piece, state, self.buffers, training=True, start=start, losses_count=False
        )
        return result

    def no_weights(self) -> list[Tensor]:
        """A zero for each loss: the weights of no segments."""
        return [tf.zeros([]) for _ in self.programs.losses]

    def advance(
        self, segment: Size, state: State, weights: list[Tensor]
    ) -> tuple[State, list[Tensor]]:
        """Runs a segment without a tape; the state after it, and the summed weights."""
        result = self.forward(segment, state)
        weights = [
            a + term.weight for a, term in zip(weights, result.terms, strict=True)
        ]
        return shaped_like(result.state, state), weights

    def differentiate_last(
        self, segment: Size, state: State, weights: list[Tensor], length: int
    ) -> tuple[WindowResult, list[Tensor], Gradients]:
        """Runs the last segment and differentiates its loss.

        Args:
            segment: Index of the segment.
            state: Named state before it.
            weights: Summed weights of the segments before it, one for each loss.
            length: Its timesteps.

        Returns:
            Its result, the weights of the whole window, and its gradients.
        """
        with tf.GradientTape() as tape:
            tape.watch(floats(state))
            result = self.forward(segment, state, length)
            own = [term.weight for term in result.terms]
            if self.programs.sequence_output:
                own = [a + b for a, b in zip(weights, own, strict=True)]
            loss = self._scaled_loss(result.terms, own)
        found = tape.gradient(loss, [*self.variables, *floats(state)])
        return result, own, self._gradients(found, state)

    def differentiate(
        self,
        segment: Size,
        state: State,
        weights: list[Tensor],
        state_gradient: list[Tensor],
    ) -> tuple[WindowResult, Gradients]:
        """Runs a segment before the last forward and backward.

        Args:
            segment: Index of the segment.
            state: Named state before it.
            weights: Summed weights of the whole window.
            state_gradient: Gradient that flows out of the segment after it.
        """
        timed = self.programs.sequence_output
        with tf.GradientTape() as tape:
            tape.watch(floats(state))
            result = self.forward(segment, state)
            targets = floats(result.state)
            if timed:
                targets = [self._scaled_loss(result.terms, weights), *targets]
        incoming = [tf.ones([]), *state_gradient] if timed else state_gradient
        found = tape.gradient(
            targets,
            [*self.variables, *floats(state)],
            output_gradients=[
                tf.cast(g, t.dtype) for g, t in zip(incoming, targets, strict=True)
            ],
        )
        return result, self._gradients(found, state)

    def _scaled_loss(self, terms: Sequence[Term], weights: list[Tensor]) -> Tensor:
        """The contribution of these terms to the loss, given the window's weights."""
        shares = [t._replace(weight=w) for t, w in zip(terms, weights, strict=True)]
        loss = tf.add_n(weighted_means(self.programs.losses, shares))
        return self.programs.optimizer.scale_loss(loss)

    def _gradients(self, found: list[Tensor | None], state: State) -> Gradients:
        count, leaves = len(self.variables), floats(state)
        of_variables, of_state = as_arrays(found[:count]), as_arrays(found[count:])
        self.used = [
            known or g is not None
            for known, g in zip(self.used, of_variables, strict=True)
        ]
        of_state = [
            tf.zeros_like(leaf) if g is None else g
            for g, leaf in zip(of_state, leaves, strict=True)
        ]
        return Gradients(of_variables, shaped_like(of_state, leaves))


def known_length(window: BatchLike) -> int:
    """Timesteps of a window whose length is known, if need be by padding."""
    length = window.known_length
    assert length is not None
    return length


def _weighted_everywhere(window: AnyBatch, sequence_output: bool) -> AnyBatch:
    """The window with targets and weights at all timesteps; old ones have weight 0."""
    if not sequence_output:
        return window
    length, new = known_length(window), window.target_length
    weights = window.weights or [tf.ones([window.rows, new]) for _ in window.targets]

    def padded(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or (isinstance(new, int) and new == length):
            return tensor
        shape = tf.shape(tensor)
        old = tf.zeros(
            tf.concat([[shape[0], length - new], shape[2:]], 0), tensor.dtype
        )
        joint = tf.concat([old, tensor], axis=1)
        joint.set_shape([tensor.shape[0], length, *tensor.shape[2:]])
        return joint

    return window._replace(
        targets=tf.nest.map_structure(padded, window.targets),
        weights=tf.nest.map_structure(padded, weights),
    )
