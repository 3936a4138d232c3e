"""A window as long as the gradients that were measured reach."""

import math

from bptt_keras.arguments import real, whole
from bptt_keras.truncation.span import Span


class AdaptiveWindow:
    """A window that follows the measured decay of gradients.

    Before the first batch of every `every`-th epoch the trainer measures

        phi_k = E || d loss_s / d state_{s-k} ||,    k = 0 ... longest

    on that batch. From the lag tau = `tail_from` on, phi is taken to fall
    geometrically: beta is fitted to log phi by least squares, and then

        tail(K) = phi_tau * beta^(K - tau) / (1 - beta)
        bias(K) = tail(K) / (phi_0 + ... + phi_{K-1} - tail(K))

    bounds the part of the gradient that a window of K leaves out, relative to the
    rest. (Before tau the tail is what was measured up to there, and tail(tau).) The
    window becomes the smallest K with `bias(K) <= tolerance`, rounded up to a
    multiple of `multiple`, and `longest` if there is none: with beta >= 1 gradients
    do not vanish within the measured lags.

    The trainer reads phi from lag 1 on, at the states between timesteps, and takes
    phi_0 to be equal to phi_1.

    Args:
        window: Timesteps of a window before the first measurement, an integer >= 1.
        tolerance: Relative bias that is tolerated, a number > 0.
        longest: Longest window, and the lags that are measured, an integer >= 2.
        every: Epochs between two measurements, an integer >= 1.
        tail_from: Lag from which the decay counts as geometric, from 0 to
            `longest - 2`. Default (`None`): a quarter of `longest`.
        multiple: Windows are multiples of this, an integer >= 1: XLA compiles each
            length once.

    Attributes:
        window: Timesteps of a window as things stand.
        decay: beta of the last measurement, `None` before.
        norms: phi of the last measurement, a list, `None` before.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its bounds.

    Example:
        import bptt_keras as bk

        schedule = bk.truncation.AdaptiveWindow(32, longest=64, multiple=1)
        schedule.observe([0.5**k for k in range(65)])
        assert round(schedule.decay, 6) == 0.5
        assert schedule.window == 4      # 1/8 of the 2 is left out, 7.1 % of the rest

    Source: Aicher, Foti & Fox, "Adaptively truncating backpropagation through time to
    control gradient bias" (2019). They bound the gradient by M * sum(phi) with a
    constant M of the model, which cancels in the ratio.
    """

    random = True
    lead = 0
    stride = None

    def __init__(
        self,
        window,
        *,
        tolerance=0.1,
        longest=256,
        every=1,
        tail_from=None,
        multiple=8,
    ):
        self.first_window = whole("window", window)
        self.tolerance = real("tolerance", tolerance, above=0)
        self.longest = whole("longest", longest, least=2)
        self.every = whole("every", every, unit="epochs")
        if tail_from is None:
            tail_from = min(self.longest // 4, self.longest - 2)
        self.tail_from = whole("tail_from", tail_from, least=0)
        self.multiple = whole("multiple", multiple)
        if self.first_window > self.longest:
            raise ValueError(
                f"`window` must not exceed `longest`. Received: "
                f"window={self.first_window}, longest={self.longest}."
            )
        if self.tail_from > self.longest - 2:
            raise ValueError(
                f"`tail_from` must leave two lags below `longest` to fit a decay to. "
                f"Received: tail_from={self.tail_from}, longest={self.longest}."
            )
        self.window = self.first_window
        self.decay = self.norms = None
        self._wanted = False

    @property
    def mean_horizon(self):
        """Timesteps that the gradient of a loss reaches back, on average."""
        return (self.window + 1) / 2

    @property
    def evaluation_window(self):
        """Timesteps of a window in evaluation and prediction."""
        return self.longest

    @property
    def wants_norms(self):
        """True if the next batch is to be measured."""
        return self._wanted

    def begin_epoch(self, epoch):
        """Notes that an epoch starts, counted from 0 in each call of `fit`."""
        self._wanted = epoch % self.every == 0

    def observe(self, norms):
        """Takes a measurement and chooses the window.

        Args:
            norms: phi_0, phi_1, ...: at least `tail_from + 2` numbers >= 0, not all
                of them 0. Otherwise the measurement is dropped.
        """
        self._wanted = False
        norms = [float(norm) for norm in norms]
        if not all(math.isfinite(norm) for norm in norms) or not any(norms):
            return
        tail = norms[self.tail_from :]
        if len(tail) < 2:
            return
        self.norms = norms
        self.decay = _decay(tail)
        self.window = self._smallest_window()

    def _smallest_window(self):
        anchor, start = self.norms[self.tail_from], self.tail_from
        inside, bound = 0.0, len(self.norms) - 1
        for lag in range(bound):
            inside += self.norms[lag]
            window = lag + 1
            if self.decay >= 1:
                break
            if window < start:
                # Before the tail begins, what is left out has been measured. (A power
                # with a negative exponent would overflow here, or divide by 0.)
                tail = anchor / (1 - self.decay) + sum(self.norms[window:start])
            else:
                tail = anchor * self.decay ** (window - start) / (1 - self.decay)
            if tail <= self.tolerance * (inside - tail):
                return min(self.longest, -(-window // self.multiple) * self.multiple)
        return self.longest

    def spans(self, length, lead=0):
        """The windows of a batch, one after the other; see `FixedWindow.spans`."""
        stops = [min(s + self.window, length) for s in range(0, length, self.window)]
        starts = range(0, length, self.window)
        return [Span(a, a, b, b) for a, b in zip(starts, stops, strict=True)]

    def last(self, length):
        """The window of a loss that stands at the end of a sequence alone."""
        start = max(0, length - self.window)
        return Span(start, start, length, length)

    def get_config(self):
        """Arguments of the constructor."""
        return {
            "window": self.first_window,
            "tolerance": self.tolerance,
            "longest": self.longest,
            "every": self.every,
            "tail_from": self.tail_from,
            "multiple": self.multiple,
        }


def _decay(norms):
    """Growth a lag: exp of the least-squares slope of log(norms), 0 for zeros."""
    logs = [math.log(norm) for norm in norms if norm > 0]
    if len(logs) < 2:
        return 0.0
    lags = [lag for lag, norm in enumerate(norms) if norm > 0]
    mean_lag, mean_log = sum(lags) / len(lags), sum(logs) / len(logs)
    covariance = sum(
        (x - mean_lag) * (y - mean_log) for x, y in zip(lags, logs, strict=True)
    )
    return math.exp(covariance / sum((x - mean_lag) ** 2 for x in lags))
