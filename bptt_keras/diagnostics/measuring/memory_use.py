"""`MemoryUse`: the memory that training takes, by the length of sequences."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bptt_keras.diagnostics.figures import legend, panels, positive, saved
from bptt_keras.diagnostics.measuring.peak import MemoryGrowth

# How the memory of a method grows with the length T, up to two factors.
_LAWS: dict[str, Callable] = {
    "full": lambda t: t,
    "sqrt": np.sqrt,
    "windows": lambda t: t,
}
_GIB = 1024
# MiB below which measurements are mostly noise.
_SEEN = 1


class MemoryUse:
    """Peak memory of one update by length and method, measured and predicted.

    The prediction is `a + b f(T)`, with the law f of the method and the factors
    a, b >= 0 that best fit the measurements:

        full:     f(T) = T          the activations of all timesteps are kept
        sqrt:     f(T) = sqrt(T)    recomputation in segments
        windows:  f(T) = T          with b near 0: only those of a window are kept

    Args:
        lengths: Timesteps T, at least three, ascending.
        measured: `{method: MiB by length}`, methods among "full", "sqrt", "windows".
        window: Timesteps of the windows.

    Attributes:
        lengths: Array of integers.
        measured: Dict of arrays, MiB.
        window: Integer.

    Raises:
        ValueError: If there are fewer than three lengths, an unknown method, or not
            one value for each length.

    Example:
        import bptt_keras as bk

        lengths = [100, 200, 400]
        use = bk.diagnostics.MemoryUse(lengths, {"full": [11, 21, 41]}, window=50)
        assert round(use.predict("full", 1000)) == 101
        assert use.longest("full", 201) == 2000
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        measured: Mapping[str, Sequence[float]],
        window: int,
    ):
        self.lengths = np.asarray(lengths, int)
        self.measured = {k: np.asarray(v, float) for k, v in measured.items()}
        self.window = int(window)
        shapes = [v.shape for v in self.measured.values()]
        if len(self.lengths) < 3 or any(s != self.lengths.shape for s in shapes):
            raise ValueError(
                f"`lengths` must be three at least, and `measured` have one value for "
                f"each. Received: lengths={self.lengths.tolist()}, values of shapes "
                f"{shapes}."
            )
        unknown = set(self.measured) - set(_LAWS)
        if unknown or not self.measured:
            raise ValueError(
                f"`measured` must have methods of {sorted(_LAWS)}. Received: "
                f"{sorted(self.measured)}."
            )

    def exponent(self, method: str) -> float:
        """The p of the power law T^p that best fits the measurements."""
        return MemoryGrowth(self.lengths, self.measured[method]).exponent

    def predict(self, method: str, length: float | np.ndarray) -> Any:
        """MiB that the law of a method predicts, fitted to all measured lengths.

        Args:
            method: One of the measured methods.
            length: Timesteps, a number or an array.
        """
        return self._law(method, len(self.lengths))(length)

    def error(self, method: str) -> float:
        """Relative error of the longest length, predicted from the others.

        Returns:
            0 for an exact prediction, 0.1 for one that is 10 % too high.
        """
        law = self._law(method, len(self.lengths) - 1)
        mib = self.measured[method][-1]
        return float(law(self.lengths[-1]) / mib - 1) if mib else math.nan

    def longest(self, method: str, mib: float) -> float:
        """Longest sequence that fits into a given memory, according to the law.

        Args:
            method: One of the measured methods.
            mib: Memory, MiB.

        Returns:
            Timesteps; 0 if not even one fits, infinity if memory does not grow.
        """
        rest, factor = self._factors(method, len(self.lengths))
        if factor <= 0:
            return math.inf if mib >= rest else 0
        room = max(mib - rest, 0) / factor
        return int(room**2 if method == "sqrt" else room + 1e-9)

    def verdict(self) -> str:
        """Says what the measurements mean, in a few sentences."""
        words, last = [], int(self.lengths[-1])
        if max(mib[-1] for mib in self.measured.values()) < _SEEN:
            return (
                f"At {last:,} timesteps all methods take less than {_SEEN} MiB: too "
                "little to tell them apart. Give more rows or longer sequences."
            )
        for method, mib in self.measured.items():
            growth = f"T^{self.exponent(method):.2f}"
            words.append(
                {
                    "full": f"Full backpropagation grows like {growth}, to "
                    f"{mib[-1]:,.0f} MiB at {last:,} timesteps: 8 GiB are full at "
                    f"{self.longest(method, 8 * _GIB):,}.",
                    "sqrt": f'`recompute="sqrt"` grows like {growth}, to '
                    f"{mib[-1]:,.0f} MiB.",
                    "windows": f"Windows of {self.window} hold {mib[-1]:,.0f} MiB, "
                    f"and grow like {growth}.",
                }[method]
            )
        worst = max(abs(self.error(method)) for method in self.measured)
        words.append(
            f"The law fitted to the shorter lengths is within {100 * worst:.0f} % at "
            "the longest."
        )
        return " ".join(words)

    def plot(
        self, path: str | os.PathLike | None = None, title: str = "Memory of one update"
    ) -> Any:
        """Plots measured memory as points and the fitted laws as lines, by length.

        Args:
            path: File to write, or `None` for none.
            title: Title of the picture.

        Returns:
            The Matplotlib figure.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        figure, (axes,) = panels(title, 1)
        lengths = np.geomspace(self.lengths[0], 4 * self.lengths[-1], 50)
        for method, mib in self.measured.items():
            name = f"windows of {self.window}" if method == "windows" else method
            (points,) = axes.plot(self.lengths, positive(mib), "o", label=name)
            law = positive(self.predict(method, lengths))
            axes.plot(lengths, law, color=points.get_color(), lw=1)
        axes.set(
            xlabel="timesteps T", ylabel="memory (MiB)", xscale="log", yscale="log"
        )
        legend(axes, fontsize=8)
        return saved(figure, path)

    def __repr__(self) -> str:
        return f"MemoryUse(lengths={self.lengths.tolist()}, {sorted(self.measured)})"

    def __str__(self) -> str:
        return self.verdict()

    def _law(self, method: str, count: int) -> Callable:
        rest, factor = self._factors(method, count)
        return lambda length: rest + factor * _LAWS[method](np.asarray(length, float))

    def _factors(self, method: str, count: int) -> tuple[float, float]:
        """The factors a and b of the law, nonnegative, fitted to the first lengths."""
        grown = _LAWS[method](self.lengths[:count].astype(float))
        mib = self.measured[method][:count]
        # Relative errors are fitted; otherwise the longest length would dominate.
        weight = 1 / np.maximum(mib, 1e-3)
        columns = np.stack([weight, grown * weight], axis=1)
        both = np.linalg.lstsq(columns, mib * weight, rcond=None)[0]
        if both[1] < 0:
            return float(weight.sum() / (weight**2).sum()), 0.0
        if both[0] < 0:
            return 0.0, float((columns[:, 1]).sum() / (columns[:, 1] ** 2).sum())
        return float(both[0]), float(both[1])
