"""The values that `bptt-zoo tune` may give to a field of a recipe."""

from __future__ import annotations

import dataclasses

# Stands for None, which KerasTuner does not accept as a choice.
NONE = "none"


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Args:
        low: The smallest.
        high: The largest, above `low`.
        log: Whether they are drawn uniformly in their logarithm.
        whole: Whether they are integers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def middle(self) -> float:
        """The midpoint, of the logarithms if these are drawn."""
        if self.log:
            middle = (self.low * self.high) ** 0.5
        else:
            middle = (self.low + self.high) / 2
        return int(middle) if self.whole else middle

    def describe(self) -> dict:
        """For JSON and reports."""
        return {"low": self.low, "high": self.high, "log": self.log, "step": None}

    def __str__(self):
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


@dataclasses.dataclass(frozen=True)
class Choices:
    """A set of values.

    Args:
        values: At least two, all different; None is the text "none".
    """

    values: tuple

    def describe(self) -> dict:
        """For JSON and reports."""
        return {"choices": list(self.values)}

    def __str__(self):
        return "one of " + ", ".join(str(value) for value in self.values)
