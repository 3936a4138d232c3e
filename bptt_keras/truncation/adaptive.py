"""A window as long as the measured gradients reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bptt_keras.arguments import real, whole
from bptt_keras.truncation.schedule import Schedule


class AdaptiveWindow(Schedule):
    """A window that follows the measured decay of gradients.

    Before the first batch of every `every`-th epoch the trainer measures

        phi_k = E || d loss_s / d state_{s-k} ||,    k = 0 ... longest

    on that batch. From the lag tau = `tail_from` on, phi is assumed to decay
    geometrically: beta is fitted to log phi by least squares, and then

        tail(K) = phi_tau * beta^(K - tau) / (1 - beta)
        bias(K) = tail(K) / (phi_0 + ... + phi_{K-1} - tail(K))

    bounds the gradient that a window of K leaves out, relative to the rest. (For K
    below tau the tail is the sum of the phi measured from K up to tau, plus tail(tau).)
    The window becomes the smallest K with `bias(K) <= tolerance`, rounded up to a
    multiple of `multiple`, or `longest` if there is none: with beta >= 1 gradients do
    not vanish within the measured lags.

    The trainer measures phi from lag 1 on, at the states between timesteps, and sets
    phi_0 to phi_1.

    Args:
        window: Timesteps of a window before the first measurement, an integer >= 1.
        tolerance: Relative bias that is tolerated, a number > 0.
        longest: Longest window, and largest lag that is measured, an integer >= 2.
        every: Epochs between two measurements, an integer >= 1.
        tail_from: Lag from which the decay is assumed to be geometric, from 0 to
            `longest - 2`. Default (`None`): a quarter of `longest`.
        multiple: Windows are multiples of this, an integer >= 1, because XLA compiles
            a program for each length.

    Attributes:
        window: Timesteps of the current window.
        decay: beta of the last measurement; `None` before the first.
        norms: phi of the last measurement, a list; `None` before the first.

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
    control gradient bias" (2019). They bound the gradient by M * sum(phi), where M is a
    constant of the model that cancels in the ratio.
    """

    longest: int
    observes = True

    def __init__(
        self,
        window: int,
        *,
        tolerance: float = 0.1,
        longest: int = 256,
        every: int = 1,
        tail_from: int | None = None,
        multiple: int = 8,
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
        self.decay: float | None = None
        self.norms: list[float] | None = None
        self.wants_norms = False

    def begin_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch, counted from 0 in each call of `fit`."""
        self.wants_norms = epoch % self.every == 0

    def observe(self, norms: Sequence[float]) -> None:
        """Chooses the window from a measurement.

        Args:
            norms: phi_0, phi_1, ...: at least `tail_from + 2` numbers >= 0, not all
                of them 0. Otherwise the measurement is ignored.
        """
        self.wants_norms = False
        norms = [float(norm) for norm in norms]
        if not all(math.isfinite(norm) for norm in norms) or not any(norms):
            return
        tail = norms[self.tail_from :]
        if len(tail) < 2:
            return
        self.norms = norms
        self.decay = _decay(tail)
        self.window = self._smallest_window(norms, self.decay)

    def _smallest_window(self, norms: list[float], decay: float) -> int:
        anchor, start = norms[self.tail_from], self.tail_from
        inside, bound = 0.0, len(norms) - 1
        for lag in range(bound):
            inside += norms[lag]
            window = lag + 1
            if decay >= 1:
                break
            if window < start:
                # Before the tail begins, the norms that are left out were measured. (A
                # power with a negative exponent would overflow here, or divide by 0.)
                tail = anchor / (1 - decay) + sum(norms[window:start])
            else:
                tail = anchor * decay ** (window - start) / (1 - decay)
            if tail <= self.tolerance * (inside - tail):
                return min(self.longest, -(-window // self.multiple) * self.multiple)
        return self.longest

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "window": self.first_window,
            "tolerance": self.tolerance,
            "longest": self.longest,
            "every": self.every,
            "tail_from": self.tail_from,
            "multiple": self.multiple,
        }


def _decay(norms: list[float]) -> float:
    """Factor per lag: exp of the least-squares slope of log(norms); 0 for zeros."""
    logs = [math.log(norm) for norm in norms if norm > 0]
    if len(logs) < 2:
        return 0.0
    lags = [lag for lag, norm in enumerate(norms) if norm > 0]
    mean_lag, mean_log = sum(lags) / len(lags), sum(logs) / len(logs)
    covariance = sum(
        (x - mean_lag) * (y - mean_log) for x, y in zip(lags, logs, strict=True)
    )
    return math.exp(covariance / sum((x - mean_lag) ** 2 for x in lags))
