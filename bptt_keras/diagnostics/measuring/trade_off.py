"""`TruncationBias`: the accuracy and the cost of windows of several lengths."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt_keras.arguments import real
from bptt_keras.diagnostics.figures import legend, panels, positive, saved
from bptt_keras.diagnostics.measuring.flow import percent


class TruncationBias:
    """Truncated gradients compared with the full gradient, window by window.

    Args:
        windows: Timesteps, ascending; the last one is that of the full gradient.
        cosine: Cosine between the truncated and the full gradient.
        norm_ratio: Norm of the truncated gradient over that of the full one.
        variables: `{path of a variable: cosines of its gradient}`.
        seconds: Time of one pass over the data, or NaN if unknown (default).
        memory: Memory that a pass adds, MiB, or NaN if unknown (default).

    Attributes:
        windows: Array of integers.
        cosine: Array.
        norm_ratio: Array.
        variables: Dict of arrays.
        seconds: Array.
        memory: Array.

    Raises:
        ValueError: If there are fewer than two windows, or not one value for each.

    Example:
        import bptt_keras as bk

        bias = bk.diagnostics.TruncationBias([10, 50, 100], [0.7, 0.99, 1], [1, 1, 1])
        assert bias.window(0.2) == 50
        assert bias.verdict().startswith("A window of 50 is off by 14 %")
    """

    def __init__(
        self,
        windows: Sequence[int] | np.ndarray,
        cosine: Sequence[float] | np.ndarray,
        norm_ratio: Sequence[float] | np.ndarray,
        variables: Mapping[str, Sequence[float] | np.ndarray] | None = None,
        seconds: Sequence[float] | np.ndarray | None = None,
        memory: Sequence[float] | np.ndarray | None = None,
    ):
        self.windows = np.asarray(windows, int)
        unknown = np.full(len(self.windows), np.nan)
        self.cosine = np.asarray(cosine, float)
        self.norm_ratio = np.asarray(norm_ratio, float)
        self.variables = {k: np.asarray(v) for k, v in (variables or {}).items()}
        self.seconds = np.asarray(unknown if seconds is None else seconds, float)
        self.memory = np.asarray(unknown if memory is None else memory, float)
        columns = [self.cosine, self.norm_ratio, self.seconds, self.memory]
        if len(self.windows) < 2 or any(len(c) != len(self.windows) for c in columns):
            raise ValueError(
                f"`windows` must be two at least, with one value for each. Received: "
                f"windows={self.windows.tolist()} and {[len(c) for c in columns]} "
                "values."
            )

    @property
    def bias(self) -> np.ndarray:
        """Norm of the difference from the full gradient, relative to its norm."""
        ratio, cosine = self.norm_ratio, self.cosine
        cross = np.where(ratio > 0, 2 * ratio * cosine, 0.0)
        return np.sqrt(np.maximum(1 + ratio**2 - cross, 0))

    def window(self, tolerance: float = 0.1) -> int:
        """Smallest measured window such that it and all longer ones are in tolerance.

        Args:
            tolerance: Relative bias, a number > 0. Default: 0.1.

        Returns:
            Timesteps: those of the full gradient if no shorter window suffices.
        """
        within = self.bias <= real("tolerance", tolerance, above=0)
        # The full gradient has no bias apart from rounding.
        outside = np.flatnonzero(~within[:-1])
        return int(self.windows[outside[-1] + 1 if len(outside) else 0])

    @property
    def wrong_way(self) -> list[int]:
        """Windows whose gradient points away from the full one (cosine < 0)."""
        return [int(w) for w, c in zip(self.windows, self.cosine, strict=True) if c < 0]

    def verdict(self) -> str:
        """Says what the comparison means, in a few sentences."""
        full = int(self.windows[-1])
        if not np.isfinite(self.norm_ratio).all():
            return (
                f"The gradient over {full} timesteps is zero or not finite: there is "
                "nothing to compare windows with."
            )
        words = [self._astray()] if self.wrong_way else []
        chosen = self._advised()
        if chosen is None:
            best = len(self.windows) - 2
            words.append(
                f"No window is near the gradient over {full} timesteps of these data, "
                f"of those measured: the longest, {self.windows[best]}, is off by "
                f"{percent(self.bias[best])}."
            )
        else:
            words.append(
                f"A window of {self.windows[chosen]} is off by "
                f"{percent(self.bias[chosen])} from the gradient over {full} timesteps "
                f"of these data{self._saving(chosen)}."
            )
        return " ".join(words)

    def _astray(self) -> str:
        """Says which windows point the wrong way, and how far."""
        wrong, worst = self.wrong_way, int(np.nanargmin(self.cosine))
        first = [int(w) for w in self.windows[: len(wrong)]]
        which = (
            f"up to {wrong[-1]}" if wrong == first else f"of {_listed(wrong)} timesteps"
        )
        return (
            f"Windows {which} point the wrong way, of those measured: with "
            f"{self.windows[worst]} the cosine to the gradient over "
            f"{self.windows[-1]} timesteps of these data is {self.cosine[worst]:.2f}. "
            "A small step by it raises the loss over them: training moves weights away "
            "from where they should go."
        )

    def _advised(self) -> int | None:
        """Index of the shortest window within 10 %, or else within 50 %.

        It is `None` if there is only one window, since there is nothing to choose.
        """
        if len(self.windows) == 2:
            return 0
        for tolerance in (0.1, 0.5):
            window = self.window(tolerance)
            if window < self.windows[-1]:
                return int(np.flatnonzero(self.windows == window)[0])
        return None

    def _saving(self, chosen: int) -> str:
        parts = []
        if np.isfinite(self.seconds).all():
            parts.append(
                f"{self.seconds[chosen] / self.seconds[-1]:.2g} times its time"
            )
        # A few pages more or less are noise.
        if np.isfinite(self.memory).all() and self.memory[-1] > 4:
            parts.append(
                f"{self.memory[chosen] / self.memory[-1]:.2g} times its memory "
                f"({self.memory[chosen]:.3g} of {self.memory[-1]:.3g} MiB)"
            )
        return f", and takes {' and '.join(parts)}" if parts else ""

    def plot(
        self,
        path: str | os.PathLike | None = None,
        title: str = "Truncation: what windows are worth",
    ) -> Any:
        """Plots direction and norm of the gradient, time and memory, by window.

        Args:
            path: File to write, or `None` for none.
            title: Title of the picture.

        Returns:
            The Matplotlib figure.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        figure, (left, right) = panels(title, 2)
        left.axhline(1.0, color="0.6", lw=1, ls=":")
        left.axhline(0.0, color="0.6", lw=1)
        left.plot(self.windows, self.cosine, "o-", label="cosine to the full gradient")
        left.plot(self.windows, self.norm_ratio, "s--", label="norm / full norm")
        left.plot(self.windows, self.bias, "^:", label="bias |g_w - g| / |g|")
        left.set_ylim(max(min(-0.1, np.nanmin(self.cosine) - 0.1), -1.1), 2.1)
        left.set_title("What it is worth", fontsize=10)
        for values, style, label in (
            (self.seconds, "o-", "time of a pass (s)"),
            (self.memory, "s--", "memory (MiB)"),
        ):
            if np.isfinite(values).any():
                right.plot(self.windows, positive(values), style, label=label)
                right.set_yscale("log")
        right.set_title("What it costs", fontsize=10)
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xticks(self.windows, [str(w) for w in self.windows], fontsize=8)
            axes.set_xlabel(f"window (timesteps; {self.windows[-1]}: no truncation)")
            if axes.lines and axes.get_legend_handles_labels()[0]:
                legend(axes, fontsize=8)
        return saved(figure, path)

    def __repr__(self) -> str:
        return f"TruncationBias(windows={self.windows.tolist()})"

    def __str__(self) -> str:
        return self.verdict()


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
