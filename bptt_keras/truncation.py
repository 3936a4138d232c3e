"""How a sequence is cut into windows: integers only, no TensorFlow."""

import numbers


class FixedWindow:
    """Windows of one length, one after the other: stride equals window.

    A sequence of `T` timesteps becomes `T // window` full windows and, if `T` does
    not divide, one shorter window of `T % window` timesteps at the end.

    Step `i` of a window (from 1) sees gradients of the steps up to its end, so a
    loss at step `i` reaches back `i` steps: `window` at most and
    `(window + 1) / 2` on average.

    Args:
        window: Timesteps that gradients flow back through, an integer >= 1.

    Raises:
        TypeError: If `window` is no integer.
        ValueError: If `window` is less than 1.

    Example:
        from bptt_keras.truncation import FixedWindow

        assert FixedWindow(4).spans(10) == [(0, 4), (4, 4), (8, 2)]
        assert FixedWindow(64).mean_horizon == 32.5

    Source: the "segment" form of truncated backpropagation through time: Williams &
    Peng (1990) with h' = h; TBPTT(k1, k2) with k1 = k2 in Sutskever (2013).
    """

    def __init__(self, window):
        if isinstance(window, bool) or not isinstance(window, numbers.Integral):
            raise TypeError(
                f"`window` must be an integer number of timesteps. Received: "
                f"window={window!r} of type {type(window).__name__}."
            )
        if window < 1:
            raise ValueError(
                f"`window` must be at least 1 timestep. Received: window={window}."
            )
        self.window = int(window)

    @property
    def mean_horizon(self):
        """Timesteps that the gradient of a loss reaches back, on average."""
        return (self.window + 1) / 2

    def count(self, length):
        """Full windows in `length` timesteps, an integer or a scalar tensor."""
        return length // self.window

    def tail(self, length):
        """Timesteps of the last, shorter window; 0 if `length` divides."""
        return length % self.window

    def spans(self, length):
        """`(start, length)` of every window of a sequence, in order."""
        starts = range(0, length, self.window)
        return [(start, min(self.window, length - start)) for start in starts]
