"""When weights are updated: after each window, each sequence or every few windows."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.arguments import is_whole
from bptt_keras.keras_internals import clipping_by, learning_rate_times
from bptt_keras.process_group import Share
from bptt_keras.training.assertions import run_if
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.training.clipping.optimizer import (
    clipped_norm,
    find_clipped,
    innermost,
    is_shorter,
)
from bptt_keras.training.measures.averages import Term
from bptt_keras.training.measures.live import SKIPPED, Live, state_norm
from bptt_keras.training.programs.exchange import Exchange
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.windows.gradient_sums import GradientSums
from bptt_keras.training.windows.poison import all_finite
from bptt_keras.types import State, Tensor


def check_update(update: Any) -> None:
    """Raises if `update` is neither a known word nor an integer >= 1."""
    if update not in ("window", "sequence") and not (is_whole(update) and update >= 1):
        raise ValueError(
            f"`update` must be 'window', 'sequence' or an integer number of windows "
            f">= 1. Received: update={update!r}."
        )


class Updates:
    """Applies the gradients of windows, one by one or averaged over several.

    Over the windows `j` between two updates, with `W_j` the weight of the valid
    timesteps of window `j`, the gradient that is clipped and applied is

        g = sum_j W_j g_j / sum_j W_j

    the gradient of the loss averaged over all those timesteps. Several outputs are
    averaged separately, each with its own weights.

    Args:
        programs: The trainer's `Programs` for training.
        update: `"window"`, `"sequence"` or a number of windows.
        live: `Live`, which records each update, or `None`.

    Attributes:
        skips: Whether gradients that are not finite are skipped.
    """

    def __init__(self, programs: Programs, update: int | str, live: Live | None):
        self._optimizer = programs.optimizer
        self._clipped: Any = find_clipped(programs.optimizer)
        # A loss-scale optimizer skips by itself, and needs to see what it skips.
        self._scales = isinstance(
            programs.optimizer, keras.optimizers.LossScaleOptimizer
        )
        guards = self._clipped is not None and self._clipped.skip_nonfinite
        self.skips = guards or self._scales
        self._looks = guards and not self._scales
        self._variables = programs.variables
        self._apart = programs.apart
        self._live: Any = live
        words: dict[Any, Any] = {"window": 1, "sequence": None}
        self._every: Any = words.get(update, update)
        self._apply = programs.compiled(self._scale_and_apply)
        self._norm = programs.compiled(_norm_of)
        self._finite = programs.compiled(all_finite)
        self._note = programs.compiled(self._note_state)
        self._sums = GradientSums(programs) if self._every != 1 else None
        group = programs.group
        self._exchange = None if group is None else Exchange(programs, group, live)

    @property
    def wait(self) -> bool:
        """Whether gradients may wait for those of other windows."""
        return self._sums is not None

    @property
    def sums(self) -> list[tf.Variable]:
        """Variables that hold sums over windows."""
        return [] if self._sums is None else self._sums.variables

    def add(
        self, result: WindowResult, rate: Tensor, share: Share | None = None
    ) -> WindowResult:
        """Adds the gradient of a window, and updates the weights if that is due.

        Args:
            result: `WindowResult` with gradients.
            rate: Factor of the learning rate, scalar tensor. An update after several
                windows uses the mean of their factors, one after a sequence uses none.
            share: The `Share` of the window's batch, if there are several processes.

        Returns:
            The result, with the terms and the loss of all processes.
        """
        if self._sums is not None:
            return self._wait_for_more(self._sums, result, rate, share)
        norm = None
        if self._exchange is not None and share is not None:
            result, norm = self._exchange.window(result, share)
        run_if(
            _weight(result.terms) > 0,
            lambda: self._update(
                result.gradients, rate, result.state if norm is None else norm
            ),
        )
        return result

    def _wait_for_more(
        self,
        sums: GradientSums,
        result: WindowResult,
        rate: Tensor,
        share: Share | None,
    ) -> WindowResult:
        groups: list[Any] = [result.gradients]
        weights = [_weight(result.terms)]
        if self._apart:
            groups = list(result.gradients or [])
            weights = [*(term.weight for term in result.terms), *weights]
        # One window must not spoil the sum over the others.
        finite = self._finite(groups) if self._looks else tf.constant(True)
        state: State | Tensor = result.state
        if self._exchange is not None and share is not None:
            result, state, finite = self._exchange.measures_of(result, share, finite)
        counts = _weight(result.terms) > 0
        if self._looks:
            run_if(counts & ~finite, self._skip)
            counts &= finite
            weights = [tf.where(finite, weight, 0.0) for weight in weights]
        sums.add(groups, weights, counts=counts, rate=rate)
        if self._live is not None:
            self._note(state, counts)
        if self._every is not None:
            run_if(sums.windows >= self._every, self.flush)
        return result

    def end_sequence(self) -> None:
        """Updates the weights if that is done once per sequence."""
        if self._every is None:
            self.flush()

    def flush(self) -> None:
        """Applies the gradients that have been summed but not applied, if any."""
        sums = self._sums
        if sums is None:
            return

        def update() -> None:
            # The length of a sequence does not depend on how it is cut: no factor.
            rate = sums.mean_rate if self._every else tf.constant(1.0)
            self._update(sums.mean(self._exchange), rate, None)
            sums.clear()

        run_if(sums.windows > 0, update)

    def clear(self) -> None:
        """Discards the gradients that have been summed but not applied."""
        if self._sums is not None:
            self._sums.clear()

    def _skip(self) -> None:
        self._clipped.count_skipped()
        if self._live is not None:
            self._live.add({SKIPPED: 1.0}, True)

    def _update(
        self, gradients: Any, rate: Tensor, state: State | Tensor | None
    ) -> None:
        """Applies gradients, unless they are not finite and that is to be skipped."""
        if not self._looks or not _present(gradients):
            self._apply(gradients, rate, state)
            return
        norm = self._norm(gradients)
        # Not in the program of the update: XLA would copy all variables.
        run_if(
            tf.math.is_finite(norm),
            lambda: self._apply(gradients, rate, state, norm),
            otherwise=self._skip,
        )

    def _scale_and_apply(
        self,
        gradients: list[Tensor | None],
        rate: Tensor,
        state: State | Tensor | None,
        norm: Tensor | None = None,
    ) -> None:
        """Lets the optimizer clip and apply gradients; records the update in `Live`.

        Args:
            gradients: A gradient or `None` for each variable.
            rate: Factor of the learning rate.
            state: Named state after the window, its mean norm, or `None`.
            norm: Global norm of the gradients, which are finite; `None`: unknown.
        """
        optimizer, records = self._optimizer, self._live is not None
        if records:
            # Read first: the optimizer changes the weights, and may change its scale.
            scale, before = optimizer.scale_loss(tf.constant(1.0)), self._values()

        def norm_of(tensors: Sequence[Tensor]) -> Tensor:
            # What rules or a scale have changed has another norm.
            given = _present(gradients)
            same = len(tensors) == len(given) and all(map(operator.is_, tensors, given))
            return norm if norm is not None and same else global_norm(tensors)

        inner = innermost(optimizer)
        with learning_rate_times(inner, rate), clipping_by(inner, norm_of):
            if norm is None:
                optimizer.apply(gradients, self._variables)
            else:
                optimizer.apply_finite(gradients, self._variables, norm)
        if records:
            self._record(gradients, scale, before, state, norm)

    def _record(
        self,
        gradients: list[Tensor | None],
        scale: Tensor,
        before: list[Tensor],
        state: State | Tensor | None,
        known: Tensor | None,
    ) -> None:
        scaled = _present(gradients)
        norm = (global_norm(scaled) if known is None else known) / scale
        present = [tf.cast(g, tf.float32) / scale for g in scaled]
        clipped = self._clipped_norm(present, norm)
        moved = global_norm(self._values(), minus=before)
        values = {
            "grad_norm": norm,
            "clipped_norm": clipped,
            "clipped_fraction": is_shorter(clipped, norm),
            "update_ratio": tf.math.divide_no_nan(moved, global_norm(before)),
        }
        if state is not None:
            values["state_norm"] = _norm_of_state(state)
        # What is skipped does not count.
        finite = tf.math.is_finite(norm)
        self._live.add(values, finite if self.skips else True)
        if self.skips:
            self._live.add({SKIPPED: ~finite}, True)

    def _note_state(self, state: State | Tensor, counts: Tensor) -> None:
        self._live.add({"state_norm": _norm_of_state(state)}, counts)

    def _clipped_norm(self, present: list[Tensor], norm: Tensor) -> Tensor:
        if self._clipped is not None:
            return tf.convert_to_tensor(self._clipped.clipped_norm)
        return clipped_norm(innermost(self._optimizer), present, norm)

    def _values(self) -> list[Tensor]:
        return [tf.cast(tf.convert_to_tensor(v), tf.float32) for v in self._variables]


def _present(gradients: Any) -> list[Tensor]:
    return [g for g in gradients if g is not None]


def _weight(terms: Sequence[Term]) -> Tensor:
    return tf.add_n([term.weight for term in terms])


def _norm_of_state(state: State | Tensor) -> Tensor:
    return state if isinstance(state, tf.Tensor) else state_norm(state)


def _norm_of(gradients: list[Tensor | None]) -> Tensor:
    """Global norm of the gradients that are there."""
    return global_norm(_present(gradients))
