"""Metrics over the rows of all processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from bptt_keras.process_group import ProcessGroup

# Not for several threads: a trainer is used by one at a time.
_within: list[bool] = []


@contextlib.contextmanager
def summed(
    group: ProcessGroup | None, metrics: Sequence[keras.metrics.Metric]
) -> Iterator[None]:
    """Within: metrics have seen the rows of all processes.

    Args:
        group: The processes; `None`: there is one.
        metrics: Metrics of Keras. What they keep are sums.

    Raises:
        ValueError: If a metric keeps something else.
    """
    variables = {id(v): v for metric in metrics for v in metric.variables}
    if group is None or _within or not variables:
        yield
        return
    for metric in metrics:
        for variable in metric.variables:
            if variable.aggregation not in ("sum", None, "none"):
                raise ValueError(
                    f"The metric {metric.name!r} cannot be computed over processes: "
                    f"its variable {variable.name!r} has the aggregation "
                    f"{variable.aggregation!r}, not 'sum'."
                )
    kept = [variable.value for variable in variables.values()]
    own = [tf.identity(value) for value in kept]
    _within.append(True)
    try:
        with tf.control_dependencies(own):
            for value, total in zip(kept, group.totals(own), strict=True):
                value.assign(total)
        yield
        for value, before in zip(kept, own, strict=True):
            value.assign(before)
    finally:
        _within.pop()
