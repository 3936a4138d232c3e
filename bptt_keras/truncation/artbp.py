"""Randomised truncation whose gradient is right on average."""

from __future__ import annotations

import random
from typing import Any

from bptt_keras.arguments import real, whole
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.truncation.span import Span


class ARTBP(Schedule):
    """Anticipated reweighted truncated backpropagation: random cuts without bias.

    After a timestep that is `d` steps after the last cut (the first one has d = 1)
    the sequence is cut with probability

        c_d = (alpha - 1) / ((alpha - 2) * mean + d)

    so that lengths are `mean` on average, with a tail that falls as a power of
    `alpha`. Where it is not cut, the gradient that flows back over that border is
    multiplied by 1 / (1 - c_d). In expectation that makes up for the cuts: the
    gradient, summed over the windows of a batch, is that of full backpropagation over
    it. A window's own gradient is a mean over its timesteps, as everywhere in this
    package, so its update counts by its length:

        rate = length / mean              (factor of the learning rate)

    Without it short windows would weigh too much, and the bias would be back. With
    `update="sequence"` the average over timesteps does the same.

    Two causes leave a small bias: a window never has more than `longest` steps, and
    never goes on into the next batch.

    The model runs step by step here, so that the gradient can be scaled between any
    two steps: several times the time of a `FixedWindow` of the same length.
    Evaluation and prediction use windows of the length `longest`.

    Args:
        mean: Mean length of a window before the bound `longest`, a number of
            timesteps > 1.
        alpha: Power of the tail, a number > 2. Smaller: rare windows are longer.
        longest: Bound on the length, an integer number of timesteps. Default
            (`None`): `16 * mean`, which cuts short one window in about 3,500
            (`alpha` 6).
        seed: Integer for draws that repeat. Default (`None`): from Python's `random`,
            which `keras.utils.set_random_seed` seeds.

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
        # Gradients reach back so far at most.
        self.window = self.longest = whole("longest", longest)
        # The factors make up for what lies further back.
        self.mean_horizon = self.mean
        self.seed = seed
        self._random = random.Random(random.getrandbits(64) if seed is None else seed)

    def cut_probability(self, distance: int) -> float:
        """Probability of a cut after the step that is `distance` after the last one."""
        if distance >= self.longest:
            return 1.0
        return (self.alpha - 1) / ((self.alpha - 2) * self.mean + distance)

    def factors(self) -> list[float]:
        """What gradients are multiplied by between the steps of a window.

        Returns:
            List of `longest` numbers: entry `i` belongs to the border before step `i`
            of a window, and entry 0, where every window starts, is 0.
        """
        return [0.0] + [
            1 / (1 - self.cut_probability(d)) for d in range(1, self.longest)
        ]

    def reseed(self, seed: int | str) -> None:
        """Goes on with the draws of a schedule that was made with this seed."""
        self._random.seed(seed)

    def draw(self) -> int:
        """A length, in timesteps."""
        length = 1
        while self._random.random() >= self.cut_probability(length):
            length += 1
        return length

    def rate(self, steps: int) -> float:
        """Factor of the learning rate: a window counts by its length."""
        return steps / self.mean

    def last(self, length: int) -> Span:
        """The window of a loss that is at the end of a sequence only."""
        return self.spans(length)[-1]._replace(rate=1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "mean": self.mean,
            "alpha": self.alpha,
            "longest": self.longest,
            "seed": self.seed,
        }
