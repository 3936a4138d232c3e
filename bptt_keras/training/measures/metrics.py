"""The compiled metrics, and what each of them sees of a window.

Keras' metrics average over rows. Here each sees timesteps as rows, and only those that
count. Some metrics cannot see the timesteps of a window one by one, because they look
along time; a trial on made-up data finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.keras_internals import metrics_by_output, names_of_outputs
from bptt_keras.types import Structure, Tensor

# Made-up rows and timesteps, and the timestep where the first of two windows ends.
_ROWS, _STEPS, _CUT = 3, 5, 2


class Shown(NamedTuple):
    """A metric and what it sees.

    Fields:
        metric: `keras.metrics.Metric`.
        output: Index of its output, in flat order.
        weighted: Whether it uses sample weights.
        how: "weights": all timesteps, with weight 0 for those that do not count;
            "steps": only those that count; "mean": the same, weighted with their
            number, because it averages over them itself; "whole": sequences as they
            are, `(batch, time, ...)`, because it looks along time.
    """

    metric: Any
    output: int
    weighted: bool
    how: str


class Metrics:
    """The metrics of a compiled trainer.

    Args:
        compiled: Keras' `CompileMetrics`.
        targets: Flat list of `tf.TensorSpec`, `None` for an output without targets.
        outputs: Structure of `tf.TensorSpec` of the outputs.
        sequence_output: Whether outputs have a time axis.

    Attributes:
        whole: Names of the metrics that look along time.
        selected: Whether a trace had to remove timesteps for a metric that takes no
            weights, which XLA cannot do.

    Raises:
        ValueError: If a metric belongs to an output without targets.
    """

    def __init__(
        self,
        compiled: Any,
        targets: Sequence[tf.TensorSpec | None],
        outputs: Structure,
        sequence_output: bool,
    ):
        flat = tf.nest.flatten(outputs)
        given = [
            output if target is None else target
            for target, output in zip(targets, flat, strict=True)
        ]
        if not compiled.built:
            compiled.build(tf.nest.pack_sequence_as(outputs, given), outputs)
        self._sequence_output = sequence_output
        self.selected = False
        self._shown: list[Shown] = []
        for index, metric, weighted in _flat(compiled, outputs):
            if targets[index] is None:
                raise ValueError(
                    f"`y` must hold targets for each output that has a metric. "
                    f"Received: none for the output of metric {metric.name!r}."
                )
            how = _how(metric, targets[index], flat[index], sequence_output)
            self._shown.append(Shown(metric, index, weighted, how))
        self.whole = [s.metric.name for s in self._shown if s.how == "whole"]

    def select_from(self, batch: Any) -> bool:
        """Whether timesteps of a batch must be removed for a metric without weights.

        Args:
            batch: `Batch` with its field `counts`.
        """
        by_steps = any(shown.how in ("steps", "mean") for shown in self._shown)
        return by_steps and batch.counts is not None

    def update(
        self,
        targets: Sequence[Tensor],
        outputs: Sequence[Tensor],
        masks: Sequence[Tensor | None],
        weights: Sequence[Tensor] | None,
        counts: Sequence[Tensor] | None,
        *,
        whole: bool = False,
    ) -> None:
        """Shows a window, or whole sequences, to the metrics.

        Args:
            targets: Flat list of targets at the new timesteps.
            outputs: Flat list of outputs there.
            masks: Flat list of booleans `(batch, time)`, or `None`: the model's masks,
                False where an output does not count.
            weights: `None`, or a flat list `(batch, time)`.
            counts: `None`, or a flat list of booleans: `Batch.counts`.
            whole: True: update the metrics that look along time; False: the others.
        """
        for shown in self._shown:
            if (shown.how == "whole") != whole:
                continue
            i = shown.output
            weight = weights[i] if shown.weighted and weights is not None else None
            keep = _combined(masks[i], None if counts is None else counts[i])
            if whole:
                self._show_whole(shown, targets[i], outputs[i], weight, keep)
            else:
                self._show_steps(shown, targets[i], outputs[i], weight, keep)

    def require_unmasked(self, masks: Sequence[Tensor | None]) -> None:
        """Raises if timesteps would be left out for a metric that looks along time.

        Args:
            masks: As for `update`.

        Raises:
            ValueError: If so; names the metric.
        """
        for shown in self._shown:
            if shown.how == "whole" and masks[shown.output] is not None:
                raise ValueError(
                    f"Metric {shown.metric.name!r} looks along time, so timesteps that "
                    f"do not count cannot be left out of what it sees. Received: data "
                    f"with padding, masks, or weights beside floating-point targets. "
                    f"Write it for single timesteps, or compute it from the outputs of "
                    f"`predict`."
                )

    def _show_whole(
        self,
        shown: Shown,
        target: Tensor,
        output: Tensor,
        weight: Tensor | None,
        keep: Tensor | None,
    ) -> None:
        self.require_unmasked([keep] * (shown.output + 1))
        shown.metric.update_state(target, output, **_weights(weight))

    def _show_steps(
        self,
        shown: Shown,
        target: Tensor,
        output: Tensor,
        weight: Tensor | None,
        keep: Tensor | None,
    ) -> None:
        if self._sequence_output:
            target, output, weight, keep = map(_merged, (target, output, weight, keep))
        metric, how = shown.metric, shown.how
        if how == "weights":
            if keep is not None:
                keep = tf.cast(keep, tf.float32)
                weight = keep if weight is None else weight * keep
            metric.update_state(target, output, **_weights(weight))
            return
        if keep is not None:
            self.selected = True
            target, output, weight = (
                None if t is None else tf.boolean_mask(t, keep)
                for t in (target, output, weight)
            )
        count = tf.shape(output)[0]
        if how == "mean" and weight is None:
            weight = tf.cast(count, tf.float32)
        if keep is None:
            metric.update_state(target, output, **_weights(weight))
            return

        def update() -> int:
            metric.update_state(target, output, **_weights(weight))
            return 0

        # A mean over nothing would be NaN.
        tf.cond(count > 0, update, lambda: 0)


def _flat(compiled: Any, outputs: Structure) -> Iterator[tuple[int, Any, bool]]:
    """`(index of the output, metric, whether it is weighted)` for all metrics."""
    keys = sorted(outputs) if isinstance(outputs, dict) else None
    names = names_of_outputs(compiled) if keys is not None else None
    for weighted, group in enumerate(metrics_by_output(compiled)):
        for place, of_output in enumerate(group):
            index = keys.index(names[place]) if keys and names else place
            for metric in of_output.metrics if of_output else ():
                yield index, metric, bool(weighted)


def _how(
    metric: Any, target: tf.TensorSpec, output: tf.TensorSpec, sequence_output: bool
) -> str:
    """What the metric is to see (`Shown.how`); resets the metric."""
    random = np.random.default_rng(0)
    grid = (_ROWS, _STEPS)
    y, p = _made_up(target, output, random, 2 if sequence_output else 1)
    keep = random.random(grid) > 0.5
    flat = [array.reshape(-1, *array.shape[2:]) for array in (y, p)]
    windows = [
        [array[:, cut].reshape(-1, *array.shape[2:]) for array in (y, p)]
        for cut in (slice(_CUT), slice(_CUT, None))
    ]
    counts = [len(window[0]) for window in windows]
    by_steps = _result(metric, windows)
    whole = _result(metric, [(y, p) if sequence_output else flat])
    if by_steps is not None and (whole is None or _same(by_steps, whole)):
        selected = _result(metric, [(y[keep], p[keep])])
        weighted = _result(metric, [flat], [keep.reshape(-1).astype("float32")])
        return "weights" if _same(selected, weighted) else "steps"
    by_means = _result(metric, windows, [np.float32(count) for count in counts])
    if by_means is not None and _same(by_means, whole):
        return "mean"
    return "weights" if whole is None else "whole"


def _made_up(
    target: tf.TensorSpec,
    output: tf.TensorSpec,
    random: np.random.Generator,
    axes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets that can be labels, numbers or one-hot vectors; outputs from 0 to 1."""
    grid = (_ROWS, _STEPS)
    y_shape, p_shape = (
        [*grid, *(2 if size is None else size for size in spec.shape[axes:])]
        for spec in (target, output)
    )
    classes = 2 if len(y_shape) == len(p_shape) and y_shape[-1] > 1 else p_shape[-1]
    y = random.integers(0, max(2, classes if target.dtype.is_integer else 2), y_shape)
    p = random.uniform(0.05, 0.95, p_shape)
    return y.astype(target.dtype.as_numpy_dtype), p.astype(output.dtype.as_numpy_dtype)


def _result(
    metric: Any, updates: Iterable[Any], weights: Sequence[Any] = (None, None)
) -> list[np.ndarray] | None:
    """The metric's result after some updates, flat; `None` if it fails on them."""
    metric.reset_state()
    try:
        for (y, p), weight in zip(updates, weights, strict=False):
            metric.update_state(tf.constant(y), tf.constant(p), **_weights(weight))
        result = metric.result()
        return [np.asarray(part, "float64") for part in tf.nest.flatten(result)]
    except Exception:  # noqa: BLE001 - a metric can raise anything
        return None
    finally:
        metric.reset_state()


def _same(a: list[np.ndarray] | None, b: list[np.ndarray] | None) -> bool:
    if a is None or b is None:
        return False
    return all(
        x.shape == y.shape and np.allclose(x, y, rtol=1e-4, atol=1e-5, equal_nan=True)
        for x, y in zip(a, b, strict=True)
    )


def _weights(weight: Any) -> dict[str, Any]:
    return {} if weight is None else {"sample_weight": weight}


def _combined(mask: Tensor | None, counts: Tensor | None) -> Tensor | None:
    if mask is None or counts is None:
        return counts if mask is None else tf.cast(mask, tf.bool)
    return tf.cast(mask, tf.bool) & counts


def _merged(tensor: Tensor | None) -> Tensor | None:
    """`(batch, time, ...)` as `(batch * time, ...)`."""
    if tensor is None:
        return None
    merged = tf.reshape(tensor, tf.concat([[-1], tf.shape(tensor)[2:]], 0))
    merged.set_shape([None, *tensor.shape[2:]])
    return merged
