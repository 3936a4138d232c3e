"""Labelled series in three parts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from zoo.plain.parts import PARTS

# A series and the name of its class.
Labelled = tuple[np.ndarray, str]
# Series and the numbers of their classes.
Part = tuple[list[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class LabelledCases:
    """Series `(timesteps, channels)` with the numbers of their classes, in three parts.

    Args:
        name: Their name in reports.
        classes: Names of the classes, by number.
        train: `(list of series, array of classes)`.
        validation: The same, held out from the training file; empty if all cases are
            for training.
        test: The same; empty if there is no test.
        source: Where they come from.
        own_scaling: Mean and standard deviation of each channel that a trained model
            needs; None: those of the training part.
    """

    name: str
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    source: str
    own_scaling: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        train: list[Labelled],
        test: list[Labelled],
        source: str,
        validation: list[Labelled] | None = None,
    ) -> LabelledCases:
        """Makes the three parts from cases `(series, label)`.

        Args:
            name: Their name in reports.
            train: Cases for training.
            test: Cases for the test, which may be empty.
            source: Where they come from.
            validation: Cases for validation. None: every fifth of each class in
                `train`.
        """
        if validation is None:
            train, validation = held_out(train, 0.2)
        classes = tuple(sorted({label for _, label in (*train, *validation, *test)}))

        def numbered(cases: list[Labelled]) -> Part:
            labels = np.array([classes.index(label) for _, label in cases], np.int32)
            return [values for values, _ in cases], labels

        train_part, validation_part, test_part = map(
            numbered, (train, validation, test)
        )
        return cls(name, classes, train_part, validation_part, test_part, source)

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of each channel, given or of the training part."""
        if self.own_scaling is not None:
            return self.own_scaling
        every = np.concatenate(self.train[0]).astype(float)
        return every.mean(axis=0), np.maximum(every.std(axis=0), 1e-6)

    @property
    def longest(self) -> int:
        """Number of timesteps of the longest series in all parts."""
        parts = (self.train, self.validation, self.test)
        return max(len(series) for part in parts for series in part[0])

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        counts = {f"{part}_cases": len(getattr(self, part)[0]) for part in PARTS}
        lengths = [len(series) for series in self.train[0]]
        return {
            "name": self.name,
            "source": self.source,
            "classes": len(self.classes),
            "channels": self.train[0][0].shape[1],
            "shortest": min(lengths),
            "longest": max(lengths),
            **counts,
        }


def held_out(
    cases: list[Labelled], fraction: float
) -> tuple[list[Labelled], list[Labelled]]:
    """Holds out the same fraction of each class: returns the others, and the held out.

    With f = 1/5 these are the 5th, 10th, ... of each class. A class of which less than
    one case would be held out keeps all.

    Args:
        cases: Pairs `(series, label)`.
        fraction: In (0, 1).
    """
    seen: dict[str, int] = {}
    left: list[Labelled] = []
    taken: list[Labelled] = []
    for case in cases:
        number = seen[case[1]] = seen.get(case[1], 0) + 1
        # Rounding errors must not delay the fifth case to the sixth.
        share = fraction * number + 1e-9
        last = math.floor(share) > math.floor(share - fraction)
        (taken if last else left).append(case)
    return left, taken
