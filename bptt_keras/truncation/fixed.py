"""Windows of one length: the schedule that most training needs."""

from __future__ import annotations

from typing import Any

from bptt_keras.arguments import whole
from bptt_keras.truncation.schedule import Schedule


class FixedWindow(Schedule):
    """Windows of one length, a fixed stride apart.

    Window `j` of a sequence of `T` timesteps covers

        [max(0, (j + 1) * stride - window), min((j + 1) * stride, T))

    and its loss is taken over the last `stride` of them, the new ones. It starts from
    the detached state that the previous window reached at that point. With
    `stride=window`, the default, windows do not overlap, and the gradient from timestep
    `i` of a window (from 1) reaches back `i` timesteps: `(window + 1) / 2` on average.
    With `stride=1` the gradient from every timestep, except the first ones, reaches
    back exactly `window` timesteps, at the cost of running each timestep `window`
    times.

    Args:
        window: Timesteps that gradients flow back through, an integer >= 1, or
            `None`: all timesteps of a batch (full backpropagation).
        stride: New timesteps between two updates, an integer from 1 to `window`.
            Default (`None`): `window`.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is less than 1, `stride` exceeds `window`, or there
            is a `stride` without a `window`.

    Example:
        from bptt_keras.truncation import FixedWindow

        def cut(schedule, length):
            return [(s.start, s.stop) for s in schedule.spans(length)]

        assert cut(FixedWindow(4), 10) == [(0, 4), (4, 8), (8, 10)]
        assert cut(FixedWindow(4, stride=2), 7) == [(0, 2), (0, 4), (2, 6), (4, 7)]
        assert cut(FixedWindow(None), 10) == [(0, 10)]
        assert FixedWindow(64).mean_horizon == 32.5

    Source: Williams & Peng (1990): BPTT(h; h') has `window` h and `stride` h'.
    TBPTT(k1, k2) in Sutskever (2013) has `stride` k1 and `window` k2. Theano's
    `truncate_gradient=k` has `window` k and `stride` 1.
    """

    random = False

    def __init__(self, window: int | None, stride: int | None = None):
        self.window = None if window is None else whole("window", window)
        if stride is not None:
            stride = whole("stride", stride)
            if self.window is None:
                raise ValueError(
                    f"`stride` needs a `window` that it can be shorter than. Received: "
                    f"stride={stride} with window=None, which cuts nothing. Leave one "
                    f"of them out."
                )
            if stride > self.window:
                raise ValueError(
                    f"`stride` must not exceed `window`: steps between two windows "
                    f"would have no loss. Received: stride={stride}, "
                    f"window={self.window}."
                )
        self.stride = stride or self.window

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"window": self.window, "stride": self.stride}
