"""What every `fit` reports about its gradients and speed, at almost no cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.state import floats, row_norms
from bptt_keras.types import State, Tensor

MEANS = ("grad_norm", "clipped_norm", "clipped_fraction", "update_ratio", "state_norm")
SPEED = "timesteps_per_second"
SKIPPED = "skipped_windows"
EXCHANGE = "exchange_share"


class Live:
    """Metrics of the training itself, not of the model's outputs.

    Args:
        exchanges: Whether several processes exchange gradients.

    Values from updates and windows are summed in a single variable inside the compiled
    programs: Keras metrics, each with its own operations, would cost a small model more
    than its windows do.

    Attributes:
        metrics: `{name: keras.metrics.Metric}`.
        speed: The `Throughput` among them.
        exchange: The `ExchangeShare` among them, or `None`.
    """

    def __init__(self, *, exchanges: bool = False):
        self._names = [*MEANS, SKIPPED]
        with tf.init_scope():
            # Row 0: sums; row 1: their weights.
            self._totals = tf.Variable(tf.zeros((2, len(self._names))), trainable=False)
        self.speed = Throughput(name=SPEED)
        self.metrics = {
            name: _Place(name, self._totals, place, is_mean=name != SKIPPED)
            for place, name in enumerate(self._names)
        }
        self.exchange = ExchangeShare(self.speed) if exchanges else None
        if self.exchange is not None:
            # It looks at the clock when it is reset, so it comes before it.
            self.metrics[EXCHANGE] = self.exchange
        self.metrics[SPEED] = self.speed

    def add(self, values: dict[str, Tensor], weight: Tensor) -> None:
        """Adds values to their means; runs inside a compiled program.

        Args:
            values: `{name: scalar}`.
            weight: Scalar boolean: whether they count. If not, they may be NaN.
        """
        zero, weight = tf.constant(0.0), tf.cast(weight, tf.float32)
        known = {
            name: tf.where(weight > 0, tf.cast(value, tf.float32), zero)
            for name, value in values.items()
        }
        sums = [known.get(name, zero) for name in self._names]
        weights = [weight if name in known else zero for name in self._names]
        self._totals.assign_add(tf.reshape(tf.stack([*sums, *weights]), (2, -1)))

    def results(self, *, skips: bool) -> dict[str, Tensor]:
        """`{name: result}` of all metrics, with fewer operations than one by one.

        Args:
            skips: Whether updates that are not finite are skipped; if not, their
                number is left out.
        """
        sums, weights = tf.unstack(self._totals)
        means = tf.unstack(tf.math.divide_no_nan(sums, weights))
        results = dict(zip(self._names, means, strict=True))
        del results[SKIPPED]
        if skips:
            results[SKIPPED] = sums[self._names.index(SKIPPED)]
        if self.exchange is not None:
            results[EXCHANGE] = self.exchange.result()
        return results | {SPEED: self.speed.result()}


class _Place(keras.metrics.Metric):
    """A column of a variable that several metrics share."""

    def __init__(self, name: str, totals: tf.Variable, place: int, *, is_mean: bool):
        super().__init__(name=name)
        self._totals = totals
        self._place = place
        self._is_mean = is_mean

    def reset_state(self) -> None:
        """Sets this metric's column to zero."""
        others = 1 - tf.one_hot(self._place, self._totals.shape[1])
        self._totals.assign(self._totals * others)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Not for use: `Live.add` updates the column."""
        raise RuntimeError(f"`{self.name}` is measured by the trainer itself.")

    def result(self) -> Tensor:
        """The mean, or the sum, since the last reset."""
        total, weight = tf.unstack(self._totals[:, self._place])
        return tf.math.divide_no_nan(total, weight) if self._is_mean else total


class Throughput(keras.metrics.Metric):
    """Timesteps of all rows trained on per second, including the wait for data.

    The clock runs from the end of the first batch, which may have waited for a
    compiler, unless that is the only batch.

    Args:
        name: As for every metric.
    """

    def __init__(self, name: str = SPEED):
        super().__init__(name=name, dtype="float64")
        # Begin, end, timesteps, batches: one variable, because each costs time.
        self._kept = self.add_variable((4,), "zeros", dtype="float64", name="kept")

    def update_state(self, timesteps: Tensor, began: Tensor) -> None:
        """Counts a batch that ends now.

        Args:
            timesteps: Timesteps of all its rows.
            began: `tf.timestamp()` at its start.
        """
        begin, end, steps, batches = tf.unstack(self._kept)
        now, timesteps = tf.timestamp(), tf.cast(timesteps, tf.float64)
        # With one batch: from its start. From the second on: from the end of the first.
        first, second = tf.equal(batches, 0), tf.equal(batches, 1)
        begin = tf.where(first, began, tf.where(second, end, begin))
        steps = tf.where(second, timesteps, steps + timesteps)
        self._kept.assign(tf.stack([begin, now, steps, batches + 1]))

    def result(self) -> Tensor:
        """Timesteps per second since the last reset."""
        begin, end, steps, _ = tf.unstack(self._kept)
        return tf.math.divide_no_nan(steps, end - begin)

    @property
    def runs(self) -> Tensor:
        """Whether the clock runs already, a scalar boolean."""
        return self._kept[3] > 0

    @property
    def seconds(self) -> Tensor:
        """Seconds on the clock, a scalar."""
        begin, end, *_ = tf.unstack(self._kept)
        return end - begin


class ExchangeShare(keras.metrics.Metric):
    """Part of the time of training in which processes sum gradients or wait for that.

    The first batch does not count: processes wait for one another's compilers.

    Args:
        clock: `Throughput` of the same training.
    """

    def __init__(self, clock: Throughput):
        super().__init__(name=EXCHANGE, dtype="float64")
        self._clock = clock
        self._seconds = self.add_variable((), "zeros", dtype="float64", name="seconds")
        self._warm = tf.Variable(False, trainable=False)

    def reset_state(self) -> None:
        """Sets the time to zero."""
        self._warm.assign(self._warm | self._clock.runs)
        self._seconds.assign(0.0)

    def update_state(self, seconds: Tensor) -> None:
        """Adds the time of one sum.

        Args:
            seconds: Scalar.
        """
        counts = self._warm | self._clock.runs
        self._seconds.assign_add(tf.where(counts, seconds, 0.0))

    def result(self) -> Tensor:
        """From 0 to 1, since the last reset."""
        share = tf.math.divide_no_nan(self._seconds.value, self._clock.seconds)
        return tf.minimum(share, 1.0)


def results_of(metrics: Iterable[keras.metrics.Metric]) -> dict[str, Any]:
    """`{name: result}` of metrics, including each entry of those with several.

    Args:
        metrics: Keras metrics.
    """
    results: dict[str, Any] = {}
    for metric in metrics:
        result = metric.result()
        results |= result if isinstance(result, dict) else {metric.name: result}
    return results


def number(result: Any) -> Any:
    """A scalar result of a metric as a float; an array stays as it is.

    Args:
        result: A number, an array or an eager tensor.
    """
    return float(result) if getattr(result, "shape", ()) == () else result


def state_norm(state: State) -> Tensor:
    """Mean over rows of the L2 norm of a row's state, over all layers.

    Args:
        state: Named state: tensors `(batch, ...)`; only floats are included.

    Returns:
        A float32 scalar, 0 if there is no state.
    """
    return tf.reduce_mean(row_norms(floats(state)))
