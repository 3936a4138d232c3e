"""`GradientFlow`: the measured flow of a gradient back through time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt_keras.arguments import real
from bptt_keras.diagnostics.figures import legend, panels, positive, saved
from bptt_keras.truncation import AdaptiveWindow

# Fractions of phi_1 that are left at the last lags: below the first the gradient
# vanishes, above the second it explodes.
GONE = 0.01
_GROWN = 10.0


class GradientFlow:
    """How far the gradient of a loss reaches back, measured on data.

        phi_k = E || d loss_t / d state_{t-k} ||,    k = 1 ... longest

    the mean over rows and loss times of the norm of a row's gradient, and

        jacobian_k = sqrt(E || (d state_t / d state_{t-k})^T u ||^2),    ||u|| = 1

    for random directions `u`: how much of a change in the state is passed on,
    regardless of the loss. It is 1 for a state that is kept unchanged; its k-th root is
    the growth or decay per timestep.

    Args:
        norms: phi_1, phi_2, ...: at least two numbers, for all layers together.
        layers: `{layer name: phi of the state of that layer}`.
        jacobian: jacobian_1, jacobian_2, ...: as many as `norms` or one fewer.

    Attributes:
        lags: The integers 1 ... longest.
        norms: phi, an array `(longest,)`.
        layers: `{name: array (longest,)}`.
        jacobian: Array.

    Raises:
        ValueError: If there are fewer than two norms.

    Example:
        import bptt_keras as bk

        flow = bk.diagnostics.GradientFlow([0.5**k for k in range(40)])
        assert flow.half_life == 1 and flow.horizon(0.01) == 7
        assert flow.verdict().startswith("Gradients vanish")

    Source: Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient
    descent is difficult" (1994), for the decay; Aicher, Foti & Fox (2019), for the
    window.
    """

    def __init__(
        self,
        norms: Sequence[float] | np.ndarray,
        layers: Mapping[str, Sequence[float] | np.ndarray] | None = None,
        jacobian: Sequence[float] | np.ndarray = (),
    ):
        self.norms = np.asarray(norms, float)
        if self.norms.ndim != 1 or len(self.norms) < 2:
            raise ValueError(
                f"`norms` must be at least two numbers, one a lag. Received: shape "
                f"{self.norms.shape}."
            )
        self.layers = {k: np.asarray(v, float) for k, v in (layers or {}).items()}
        self.jacobian = np.asarray(jacobian, float)

    @property
    def lags(self) -> np.ndarray:
        """Timesteps between a state and the loss: 1, 2, ..."""
        return np.arange(1, len(self.norms) + 1)

    @property
    def decay(self) -> float:
        """Factor of the norm per timestep, fitted to the last three quarters of lags.

        It is NaN if the gradient is not finite, or nothing depends on the state.
        """
        return self._schedule(0.1).decay if self._usable() else math.nan

    @property
    def half_life(self) -> int | None:
        """Timesteps after which at most half of phi_1 is left, or `None`."""
        below = np.flatnonzero(self.norms <= 0.5 * self.norms[0])
        return int(below[0]) if len(below) else None

    def horizon(self, share: float = 0.01) -> int:
        """Lag beyond which less than a given share of the measured gradient lies.

            smallest K with  sum of phi_k over k > K  <  share * sum of phi_k

        Args:
            share: A number between 0 and 1, exclusive. Default: 0.01.

        Returns:
            An integer from 1 to `longest`. If it is `longest`, the gradient may reach
            further than was measured.
        """
        share = real("share", share, above=0, below=1)
        rest = self.norms.sum() - self.norms.cumsum()
        return int(np.argmax(rest < share * self.norms.sum())) + 1

    def window(self, tolerance: float = 0.1) -> int | None:
        """Smallest reach whose gradient is biased by no more than a tolerance.

        Beyond the measured lags the norms are assumed to decay by `decay` per timestep;
        see `bptt_keras.truncation.AdaptiveWindow` for the bound. It assumes that the
        gradients of all timesteps reach this far back, and that the contributions of
        the lags do not cancel; `truncation_bias` measures the bias of windows without
        these assumptions.

        Args:
            tolerance: Relative bias, a number > 0. Default: 0.1.

        Returns:
            Timesteps, or `None` if no window up to `longest` is long enough.
        """
        schedule = self._schedule(real("tolerance", tolerance, above=0))
        if not self._usable() or schedule.decay >= 1:
            return None
        # It gives the longest one if there is none.
        return schedule.window if schedule.window < len(self.norms) else None

    def kind(self) -> str:
        """`"vanishing"`, `"exploding"`, `"lasting"`, `"none"` or `"not finite"`.

        A gradient vanishes if less than a hundredth of phi_1 is left at the last lags,
        or if a shorter window gets within 10 % of the full gradient; it explodes if it
        is more than ten times phi_1 there. Otherwise it lasts.
        """
        if not np.isfinite(self.norms).all():
            return "not finite"
        if not self.norms.any():
            return "none"
        last = self.norms[-max(1, len(self.norms) // 10) :].mean()
        if last >= _GROWN * self.norms[0]:
            return "exploding"
        gone = last < GONE * self.norms[0] or self.window() is not None
        return "vanishing" if gone else "lasting"

    def verdict(self) -> str:
        """Says what the flow means, in a few sentences."""
        longest, kind = len(self.norms), self.kind()
        if kind == "not finite":
            return (
                "Gradients are not finite: they overflow within the measured "
                f"{longest} timesteps, or the model or its data hold NaN."
            )
        if kind == "none":
            return (
                "No gradient reaches back, not even one step: on these data the loss "
                "does not depend on the state."
            )
        # The fraction of the gradient one timestep back that is left at the last lag.
        left = self.norms[-1] / self.norms[0]
        if kind == "exploding":
            return (
                f"Gradients explode: by {self.decay:.3f} times a timestep, to "
                f"{left:.3g} times within {longest}, as measured on these data. Clip "
                "them, or use a cell with gates or smaller recurrent weights."
            )
        if kind == "lasting":
            return (
                f"Gradients last: of the gradient one step back, {percent(left)} is "
                f"left after {longest} timesteps of these data, and it changes by "
                f"{self.decay:.4f} times a timestep. What reaches further was not "
                "measured; a larger `longest` does."
            )
        return f"Gradients vanish: {self._shares()}."

    def _shares(self) -> str:
        """Says what share of a vanishing gradient lies within how many timesteps."""
        window, horizon, longest = self.window(), self.horizon(), len(self.norms)
        parts = []
        if self.half_life is not None:
            parts.append(f"half is gone after {_steps(self.half_life)}")
        if window is not None:
            parts.append(f"{_steps(window)} back hold all but 10 % of them")
        if horizon < longest:
            parts.append(f"less than 1 % lies beyond {horizon}")
        measured = f"gradients of single losses, at lags up to {longest} of these data"
        return f"{'; '.join(parts)} ({measured})"

    def plot(
        self, path: str | os.PathLike | None = None, title: str = "Gradient flow"
    ) -> Any:
        """Plots the norms by lag, for each layer, on a logarithmic scale.

        Args:
            path: File to write, or `None` for none.
            title: Title of the picture.

        Returns:
            The Matplotlib figure.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        return plot_flows({"all layers": self}, path, title, layers=True)

    def __repr__(self) -> str:
        return f"GradientFlow({len(self.norms)} lags, {self.kind()})"

    def __str__(self) -> str:
        return self.verdict()

    def _usable(self) -> bool:
        return bool(np.isfinite(self.norms).all() and self.norms.any())

    def _schedule(self, tolerance: float) -> Any:
        """An `AdaptiveWindow` that has seen the norms."""
        longest = len(self.norms)
        schedule = AdaptiveWindow(1, tolerance=tolerance, longest=longest, multiple=1)
        # phi_0 is not measured, and is assumed to equal phi_1.
        schedule.observe([self.norms[0], *self.norms])
        return schedule


def plot_flows(
    flows: Mapping[str, GradientFlow],
    path: str | os.PathLike | None = None,
    title: str = "Gradient flow",
    *,
    layers: bool = False,
) -> Any:
    """Plots several flows side by side: norms of gradients, and Jacobians of states.

    Args:
        flows: `{name: GradientFlow}`.
        path: File to write, or `None` for none.
        title: Title of the picture.
        layers: Whether to draw each layer as well, if there are several.

    Returns:
        The Matplotlib figure.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is no flow.

    Example:
        import bptt_keras as bk

        flows = {
            name: bk.diagnostics.GradientFlow([decay**k for k in range(30)])
            for name, decay in [("short", 0.5), ("long", 0.95)]
        }
        figure = bk.diagnostics.plot_flows(flows)
    """
    if not flows:
        raise ValueError("`flows` must hold at least one flow. Received: flows={}.")
    figure, (left, right) = panels(title, 2)
    for name, flow in flows.items():
        left.plot(flow.lags, positive(flow.norms), label=name)
        if layers and len(flow.layers) > 1:
            for layer, norms in flow.layers.items():
                left.plot(flow.lags, positive(norms), "--", lw=1, label=layer)
        if len(flow.jacobian):
            lags = flow.lags[: len(flow.jacobian)]
            right.plot(lags, positive(flow.jacobian), label=name)
    left.set(
        xlabel="lag k (timesteps)", ylabel="norm of d loss / d state", yscale="log"
    )
    left.set_title("Gradient that reaches back k steps", fontsize=10)
    right.axhline(1.0, color="0.6", lw=1, ls=":")
    right.set(xlabel="lag k (timesteps)", ylabel="gain of a change", yscale="log")
    right.set_title("State passed on over k steps (Jacobian)", fontsize=10)
    legend(left, fontsize=8)
    return saved(figure, path)


def percent(fraction: float) -> str:
    """Writes a fraction as a percentage: `12 %`.

    Args:
        fraction: A number >= 0.
    """
    digits = 0 if fraction >= 0.01 or not fraction else 1
    return f"{100 * fraction:.{digits}f} %"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
