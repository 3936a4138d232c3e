"""Windows that a schedule plans while the step runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.truncation.span import Span
from bptt_keras.types import Tensor


def planned(
    spans_of: Callable[[int, int], list[Span]],
    length: int | Tensor,
    lead: int | Tensor,
) -> tuple[Tensor, Tensor]:
    """The windows of a batch.

    Args:
        spans_of: Function `(length, lead) -> spans` of a schedule.
        length: Timesteps of the batch.
        lead: Timesteps before it that windows may reach back to.

    Returns:
        `(spans, rates)`: integers `(windows, 4)`, the fields of `truncation.Span`
        except the rate, counted from the first timestep of the lead; and the rates,
        floats `(windows,)`.
    """

    def plan(length: Any, lead: Any) -> tuple[np.ndarray, np.ndarray]:
        spans = spans_of(int(length), int(lead))
        # In eager mode `lead` has 64 bits, which would turn the places into int64.
        places = np.array([span[:4] for span in spans], np.int32) + int(lead)
        return places, np.array([span.rate for span in spans], np.float32)

    # In NumPy, because schedules draw and measure with plain numbers.
    spans, rates = tf.numpy_function(plan, [length, lead], [tf.int32, tf.float32])
    return tf.ensure_shape(spans, [None, 4]), tf.ensure_shape(rates, [None])


def last_start(
    schedule: Any, length: int | Tensor, burn_in: int
) -> tuple[int | Tensor, Tensor]:
    """Where the window of a loss at the end of a batch starts.

    Args:
        schedule: Schedule of windows, from `bptt_keras.truncation`.
        length: Timesteps of the batch.
        burn_in: Timesteps that gradients do not reach.

    Returns:
        `(start, rate)`: its first timestep, and the factor of the learning rate.
    """
    if schedule.window is None:
        # Known while tracing, for any length: only the burn-in comes before it.
        return burn_in, tf.constant(1.0)
    if schedule.random or not isinstance(length, int):
        spans, rates = planned(lambda n, _: [schedule.last(n)], length, 0)
        return tf.maximum(spans[0, 0], burn_in), rates[0]
    return max(schedule.last(length).start, burn_in), tf.constant(1.0)
