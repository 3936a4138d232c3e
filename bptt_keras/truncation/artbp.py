"""Randomised truncation whose gradient is unbiased."""

from __future__ import annotations

import random
from typing import Any

from bptt_keras.arguments import real, whole
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.truncation.span import Span


class ARTBP(Schedule):
    """Anticipated reweighted truncated backpropagation: random cuts without bias.

    After the `d`-th timestep since the last cut (d = 1 for the first) the sequence is
    cut with probability

        c_d = (alpha - 1) / ((alpha - 2) * mean + d)

    so that lengths are `mean` on average, with a tail that decays as a power law with
    exponent `alpha`. Where the sequence is not cut, the gradient that flows back across
    that boundary is multiplied by 1 / (1 - c_d). In expectation this compensates for
    the cuts: the gradient, summed over the windows of a batch, is that of full
    backpropagation through the batch. The gradient of one window is a mean over its
    timesteps, as everywhere in this package, so its update is weighted by its length:

        rate = length / mean              (factor of the learning rate)

    Without this factor short windows would weigh too much and bias the gradient again.
    With `update="sequence"` the average over timesteps has the same effect.

    Two things leave a small bias: a window never has more than `longest` timesteps, and
    never continues into the next batch.

    The model runs timestep by timestep, so that the gradient can be scaled between any
    two timesteps. This takes several times as long as a `FixedWindow` of the same
    length. Evaluation and prediction use windows of `longest` timesteps.

    Args:
        mean: Mean length of a window before the bound `longest`, a number of
            timesteps > 1.
        alpha: Exponent of the tail, a number > 2. The smaller it is, the longer are the
            rare long windows.
        longest: Bound on the length, an integer number of timesteps. Default
            (`None`): `16 * mean`, which cuts short about one window in 3,500
            (`alpha` 6).
        seed: Integer that makes the draws reproducible. Default (`None`): drawn from
            Python's `random`, which `keras.utils.set_random_seed` seeds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of its bounds.

    Example:
        import bptt_keras as bk

        schedule = bk.truncation.ARTBP(16, seed=1)
        lengths = [s.stop - s.start for s in schedule.spans(100_000)]
        assert 15 < sum(lengths) / len(lengths) < 17
        assert max(lengths) <= 256

    Source: Tallec & Ollivier, "Unbiasing truncated backpropagation through time"
    (2017). `longest` is ours.
    """

    longest: int
    uniform = False
    stepwise = True

    def __init__(
        self,
        mean: float,
        *,
        alpha: float = 6.0,
        longest: int | None = None,
        seed: int | None = None,
    ):
        self.mean = real("mean", mean, above=1)
        self.alpha = real("alpha", alpha, above=2)
        if longest is None:
            longest = round(16 * self.mean)
        # The furthest that gradients reach back.
        self.window = self.longest = whole("longest", longest)
        # The factors compensate for the timesteps further back.
        self.mean_horizon = self.mean
        self.seed = seed
        self._random = random.Random(random.getrandbits(64) if seed is None else seed)

    def cut_probability(self, distance: int) -> float:
        """Probability of a cut after the `distance`-th timestep since the last cut."""
        if distance >= self.longest:
            return 1.0
        return (self.alpha - 1) / ((self.alpha - 2) * self.mean + distance)

    def factors(self) -> list[float]:
        """Factors by which gradients are multiplied between the timesteps of a window.

        Returns:
            List of `longest` numbers: entry `i` applies at the boundary before timestep
            `i` of a window, and entry 0, where every window starts, is 0.
        """
        return [0.0] + [
            1 / (1 - self.cut_probability(d)) for d in range(1, self.longest)
        ]

    def reseed(self, seed: int | str) -> None:
        """Continues with the draws of a schedule created with this seed."""
        self._random.seed(seed)

    def draw(self) -> int:
        """Draws a length, in timesteps."""
        length = 1
        while self._random.random() >= self.cut_probability(length):
            length += 1
        return length

    def rate(self, steps: int) -> float:
        """Factor of the learning rate, which weights a window by its length."""
        return steps / self.mean

    def last(self, length: int) -> Span:
        """The window of a loss at the end of a sequence only."""
        return self.spans(length)[-1]._replace(rate=1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "mean": self.mean,
            "alpha": self.alpha,
            "longest": self.longest,
            "seed": self.seed,
        }
