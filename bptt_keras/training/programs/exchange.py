"""Sums over processes: what an update, its loss and its metrics are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.process_group import DIGITS, WISHES, ProcessGroup, Share
from bptt_keras.training.assertions import require
from bptt_keras.training.measures.averages import Term, weighted_means
from bptt_keras.training.measures.live import Live, state_norm
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import Tensor

# Places in what describes a window, after its terms and penalty.
_NORM, _ROWS, _BAD = -3, -2, -1


class Exchange:
    """Makes of the windows of all processes what one process would have computed.

    With `W_p` the weight of the valid timesteps of process `p`, and `g_p` the gradient
    of its mean loss, the gradient of the mean over all of them is

        g = sum_p W_p g_p / sum_p W_p

    before it is clipped. Several outputs are averaged each with their own weights. What
    is summed travels as one vector.

    Args:
        programs: The trainer's `Programs` for training.
        group: The processes.
        live: `Live`, which records the time that sums take, or `None`.
    """

    def __init__(self, programs: Programs, group: ProcessGroup, live: Live | None):
        self._group = group
        self._clock = None if live is None else live.exchange
        self._losses = programs.losses
        self._apart = programs.apart
        self._shapes = [tuple(v.shape) for v in programs.variables]
        self._sizes = [v.shape.num_elements() for v in programs.variables]
        # Known while tracing: variables that no loss depends on have no gradient.
        self._present: list[bool] = []
        self._packed = programs.compiled(self._pack)
        self._unpacked = programs.compiled(self._unpack)
        self._measured = programs.compiled(self._measure)

    def window(self, result: WindowResult, share: Share) -> tuple[WindowResult, Tensor]:
        """The result of a window of all processes.

        Args:
            result: `WindowResult` with the gradients of this process.
            share: The `Share` of the window's batch.

        Returns:
            `(result, state_norm)`: the result with the gradients, terms and loss of
            all rows, but the state of this process's; and the mean norm of the state of
            all rows.
        """
        groups: list[Any] = [result.gradients]
        if self._apart:
            groups = list(result.gradients or [])
        weights = self._weights(result)
        self._note_present(groups)
        vector = self._packed(groups, weights)
        # Programs of XLA do not say what shapes they return.
        size = len(weights) * sum(_where(self._present, self._sizes))
        vector = tf.ensure_shape(vector, [size])
        measures, summed = self._measures(result, share, vector)
        gradients = self._unpacked(summed, self._group_weights(measures))
        whole = self._merged(result, measures)._replace(gradients=gradients)
        return whole, measures[_NORM]

    def measures_of(
        self, result: WindowResult, share: Share, finite: Tensor
    ) -> tuple[WindowResult, Tensor, Tensor]:
        """Like `window`, for gradients that wait for those of other windows.

        Args:
            result: `WindowResult` with the gradients of this process.
            share: The `Share` of the window's batch.
            finite: Scalar boolean: whether those are finite.

        Returns:
            `(result, state_norm, finite)`: the result with the gradients of this
            process; whether those of all processes are finite.
        """
        measures, _ = self._measures(result, share, None, finite)
        return self._merged(result, measures), measures[_NORM], measures[_BAD] < 0.5

    def sums(
        self, sums: list[list[Tensor]], weights: list[Tensor], present: list[bool]
    ) -> list[Tensor | None]:
        """The gradient of windows that have waited, over all processes.

        Args:
            sums: For each group of gradients that are averaged together, the weighted
                sum of each variable.
            weights: The weight of each group.
            present: Whether a variable has a gradient.

        Returns:
            A gradient or `None` for each variable.
        """
        self._present = present
        flat = [
            tf.reshape(tf.cast(s, tf.float32), [-1])
            for group in sums
            for s in _where(present, group)
        ]
        summed, total = self._total(
            tf.concat(flat, 0), tf.cast(tf.stack(weights), tf.float32)
        )
        return self._unpacked(summed, tf.unstack(total))

    # --- What is summed --------------------------------------------------------

    def _weights(self, result: WindowResult) -> list[Tensor]:
        """The weight of each output, and of all together."""
        each = [term.weight for term in result.terms]
        total = tf.add_n(each)
        return [*each, total] if self._apart else [total]

    def _group_weights(self, measures: list[Tensor]) -> list[Tensor]:
        count = len(self._losses)
        each = measures[count : 2 * count]
        return [*each, tf.add_n(each)] if self._apart else [tf.add_n(each)]

    def _measures(
        self,
        result: WindowResult,
        share: Share,
        vector: Tensor | None,
        finite: Tensor | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """The sums of what describes a window, and that of a vector."""
        finite = tf.constant(True) if finite is None else finite
        described = self._measured(
            list(result.terms), result.loss, result.state, share, finite
        )
        count = 2 * len(self._losses) + 4 + 2 * DIGITS + len(WISHES)
        described = tf.ensure_shape(described, [count - len(WISHES)])
        described = tf.concat([described, self._group.wishes.read_value()], 0)
        vector = tf.zeros([0]) if vector is None else vector
        summed, described = self._total(vector, described)
        described, wishes = tf.split(described, [count - len(WISHES), len(WISHES)])
        self._group.agreed.assign(wishes)
        count -= len(WISHES) + 2 * DIGITS
        own, total, squares = tf.split(described, [count, DIGITS, DIGITS])
        same = tf.reduce_all(self._group.count * squares == total**2)
        message = (
            "The processes have drawn different batches, of which each trains on some "
            "rows. Give every process the same data in the same order: a pipeline that "
            "shuffles needs a seed."
        )
        with tf.control_dependencies([require(same, message)]):
            measures = tf.unstack(tf.identity(own), count)
        norm = tf.math.divide_no_nan(measures[_NORM], measures[_ROWS])
        measures[_NORM] = norm
        return measures, summed

    def _measure(
        self,
        terms: list[Term],
        loss: Tensor,
        state: Any,
        share: Share,
        finite: Tensor,
    ) -> Tensor:
        """Totals and weights of the terms, penalties, norm of the state, rows, ..."""
        weights = [term.weight for term in terms]
        totals = [
            tf.where(w > 0, t.total, 0.0) for w, t in zip(weights, terms, strict=True)
        ]
        weight = tf.add_n(weights)
        penalty = loss - tf.add_n(weighted_means(self._losses, terms))
        penalty = tf.where(weight > 0, penalty * weight, 0.0)
        leaves = tf.nest.flatten(state)
        rows = tf.cast(tf.shape(leaves[0])[0] if leaves else 1, tf.float32)
        rows = tf.where(share.counts, rows, 0.0)
        norm = tf.where(share.counts, state_norm(state) * rows, 0.0)
        bad = tf.where(finite, 0.0, 1.0)
        own = [*totals, *weights, penalty, norm, rows, bad]
        own = tf.stack([tf.cast(value, tf.float32) for value in own])
        return tf.concat([own, share.digits, share.digits**2], 0)

    def _merged(self, result: WindowResult, measures: list[Tensor]) -> WindowResult:
        count = len(self._losses)
        terms = [
            Term(total, weight, term.labels_valid)
            for total, weight, term in zip(
                measures[:count], measures[count : 2 * count], result.terms, strict=True
            )
        ]
        weight = tf.add_n([term.weight for term in terms])
        penalty = tf.math.divide_no_nan(measures[2 * count], weight)
        loss = tf.add_n([*weighted_means(self._losses, terms), penalty])
        return result._replace(terms=terms, loss=loss)

    # --- How it travels --------------------------------------------------------

    def _total(self, vector: Tensor, measures: Tensor) -> tuple[Tensor, Tensor]:
        """The sums of a long vector and a short one over all processes."""
        began = self._now([vector, measures])
        count = vector.shape[0]
        narrow = self._group.gradient_dtype
        if narrow == tf.float32 or not count:
            summed = self._group.total(tf.concat([vector, measures], 0))
            found = tf.split(summed, [count, measures.shape[0]])
        else:
            short = self._group.total(measures)
            # One after the other: the order must be the same everywhere.
            with tf.control_dependencies([short]):
                long = self._group.total(tf.cast(vector, narrow))
            found = [tf.cast(long, tf.float32), short]
        ended = self._now(found)
        if self._clock is not None:
            self._clock.update_state(ended - began)
        return found[0], found[1]

    @staticmethod
    def _now(after: Sequence[Tensor]) -> Tensor:
        with tf.control_dependencies(list(after)):
            return tf.timestamp()

    def _note_present(self, groups: Sequence[Any]) -> None:
        self._present = [
            any(g is not None for g in of_variable)
            for of_variable in zip(*groups, strict=True)
        ]

    def _pack(self, groups: list[Any], weights: list[Tensor]) -> Tensor:
        """Gradients times their weights, as one vector."""
        parts = []
        for gradients, weight in zip(groups, weights, strict=True):
            for gradient, shape in zip(
                _where(self._present, gradients),
                _where(self._present, self._shapes),
                strict=True,
            ):
                if gradient is None:
                    gradient = tf.zeros(shape)
                # A gradient with weight 0 may be NaN.
                own = tf.where(weight > 0, weight * tf.cast(gradient, tf.float32), 0.0)
                parts.append(tf.reshape(own, [-1]))
        return tf.concat(parts, 0)

    def _unpack(self, vector: Tensor, weights: list[Tensor]) -> list[Tensor | None]:
        """The mean gradient of each variable."""
        sizes = _where(self._present, self._sizes)
        parts = tf.split(vector, sizes * len(weights))
        shapes = iter(_where(self._present, self._shapes))
        means = []
        for place in range(len(sizes)):
            of_groups = [
                tf.math.divide_no_nan(part, weight)
                for part, weight in zip(
                    parts[place :: len(sizes)], weights, strict=True
                )
            ]
            means.append(tf.reshape(tf.add_n(of_groups), next(shapes)))
        given = iter(means)
        return [next(given) if present else None for present in self._present]


def _where(present: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    return [value for value, there in zip(values, present, strict=True) if there]
