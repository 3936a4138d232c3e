"""Windows of random length."""

from __future__ import annotations

import random
from typing import Any

from bptt_keras.arguments import real, whole
from bptt_keras.truncation.schedule import Schedule, default
from bptt_keras.truncation.span import Span


class VariableWindow(Schedule):
    """Consecutive windows of random length, with a matching learning rate.

        base    = window  with probability `full`, else window / 2
        length  ~ N(base, deviation), not below `shortest`, in multiples of `multiple`,
                  not above `longest`
        rate    = length / window              (factor of the learning rate)

    So no timestep is always the first of its window, where least is learned. The last
    window of a batch has the timesteps that are left.

    Evaluation and prediction use windows of `window` timesteps.

    Args:
        window: Usual length, an integer number of timesteps >= 1.
        full: Probability that `window`, not half of it, is the base, 0 to 1.
        deviation: Standard deviation of the length, timesteps >= 0.
        shortest: Shortest length that is drawn, timesteps >= 1.
        longest: Longest length; long draws are rare and cost memory. Default
            (`None`): `window + 10`.
        multiple: Lengths are rounded to multiples of this, an integer from 1 to
            `window`. Default (`None`): a seventh of `window`, 10 for 70.
        seed: Integer that makes the draws reproducible. Default (`None`): drawn from
            Python's `random`, which `keras.utils.set_random_seed` seeds.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `longest` is less than
            `shortest` or `multiple`, or no multiple lies between them.

    Example:
        import bptt_keras as bk

        schedule = bk.truncation.VariableWindow(70, seed=1)
        spans = schedule.spans(700)
        assert spans[-1].stop == 700
        assert all(s.rate == (s.stop - s.start) / 70 for s in spans)

    Source: Merity, Keskar & Socher, "Regularizing and optimizing LSTM language
    models" (2017), with full 0.95, deviation 5, shortest 5. `multiple` is ours.
    """

    window: int
    longest: int
    uniform = False

    def __init__(
        self,
        window: int,
        *,
        full: float = 0.95,
        deviation: float = 5.0,
        shortest: int = 5,
        longest: int | None = None,
        multiple: int | None = None,
        seed: int | None = None,
    ):
        self.window = self.evaluation_window = whole("window", window)
        self.full = real("full", full, least=0, most=1)
        self.deviation = real("deviation", deviation, least=0)
        self.shortest = whole("shortest", shortest)
        self.longest = (
            self.window + 10 if longest is None else whole("longest", longest)
        )
        if multiple is None:
            multiple = max(1, round(self.window / 7))
        self.multiple = whole("multiple", multiple)
        self.seed = seed
        if self.multiple > self.window:
            raise ValueError(
                f"`multiple` must not exceed `window`, which would never be drawn. "
                f"Received: multiple={self.multiple}, window={self.window}."
            )
        if self.longest < self.multiple or self._longest_multiple < self.shortest:
            raise ValueError(
                f"`longest` must be at least `shortest` and `multiple`, with a "
                f"multiple between them. Received: longest={self.longest}, "
                f"shortest={self.shortest}, multiple={self.multiple}."
            )
        self._random = random.Random(random.getrandbits(64) if seed is None else seed)

    @default
    def mean_horizon(self) -> float:
        """Timesteps that the gradient of a loss reaches back, on average, roughly."""
        base = self.window * (self.full + (1 - self.full) / 2)
        return (base + 1) / 2

    def reseed(self, seed: int | str) -> None:
        """Continues with the draws of a schedule created with this seed."""
        self._random.seed(seed)

    def draw(self) -> int:
        """Draws a length, in timesteps."""
        base: float = self.window
        if self._random.random() >= self.full:
            base /= 2
        length = max(self.shortest, self._random.gauss(base, self.deviation))
        steps = max(1, round(length / self.multiple)) * self.multiple
        if steps < self.shortest:
            steps += self.multiple
        return min(steps, self._longest_multiple)

    @property
    def _longest_multiple(self) -> int:
        return self.longest // self.multiple * self.multiple

    def rate(self, steps: int) -> float:
        """Factor of the learning rate, proportional to the length of a window."""
        return steps / self.window

    def last(self, length: int) -> Span:
        """The window of a loss at the end of a sequence only."""
        steps = min(self.draw(), length)
        start = length - steps
        return Span(start, start, length, length, self.rate(steps))

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "window": self.window,
            "full": self.full,
            "deviation": self.deviation,
            "shortest": self.shortest,
            "longest": self.longest,
            "multiple": self.multiple,
            "seed": self.seed,
        }
