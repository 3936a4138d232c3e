"""The pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bptt_keras.diagnostics.figures import legend, panels, positive
from bptt_keras.diagnostics.measuring.flow import GradientFlow
from bptt_keras.diagnostics.watching.looks import Look

_NORMS = {
    "grad_norm": "gradient",
    "clipped_norm": "gradient, clipped",
    "state_norm": "state",
    "update_ratio": "update / weights",
}
# Entries of the history that are not learning curves.
_APART = {*_NORMS, "epoch", "clipped_fraction", "skipped_windows"}


def curves(history: Mapping[str, Sequence[float]]) -> Any:
    """Losses, then each other metric: a figure, or `None` if there are none."""
    names = [n for n in history if n not in _APART]
    losses = [n for n in names if n.endswith("loss")]
    others = [n for n in names if n not in losses]
    # The speed comes last.
    others.sort(key=lambda name: "second" in name or name.endswith("/s"))
    groups = [group for group in (losses, *_alike(others)) if group]
    if not groups:
        return None
    figure, axes = panels("", len(groups))
    for ax, group in zip(axes, groups, strict=True):
        for name in group:
            ax.plot(history["epoch"], history[name], _mark(history), label=name)
        _finish(ax)
    return figure


def gradients(history: Mapping[str, Sequence[float]]) -> Any:
    """Norms on a logarithmic scale, and the fraction of updates that were clipped."""
    norms = {n: label for n, label in _NORMS.items() if n in history}
    if not norms:
        return None
    clips = "clipped_fraction" in history
    figure, axes = panels("", 1 + clips)
    for name, label in norms.items():
        axes[0].plot(
            history["epoch"], positive(history[name]), _mark(history), label=label
        )
    axes[0].set(yscale="log", ylabel="norm (mean over updates)")
    _finish(axes[0])
    if clips:
        percent = 100 * np.asarray(history["clipped_fraction"])
        axes[1].plot(
            history["epoch"], percent, _mark(history), label="updates shortened"
        )
        axes[1].set(ylim=(-3, 103), ylabel="%")
        _finish(axes[1])
    return figure


def heatmap(looks: Sequence[Look]) -> Any:
    """Norm of the gradient over lags and looks, each look relative to its phi_1."""
    shortest = min(len(look.flow.norms) for look in looks)
    norms = np.stack([look.flow.norms[:shortest] for look in looks])
    first = norms[:, :1]
    relative = np.divide(norms, first, out=np.full_like(norms, np.nan), where=first > 0)
    shown = np.log10(positive(relative))
    figure, (ax,) = panels("", 1)
    figure.set_size_inches(9, 3.6)
    limit = np.nanmax(np.abs(shown)) if np.isfinite(shown).any() else 1.0
    limit = min(max(limit, 1.0), 6.0)
    image = ax.imshow(
        shown.T,
        aspect="auto",
        origin="lower",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(-0.5, len(looks) - 0.5, 0.5, shortest + 0.5),
    )
    places = np.unique(np.linspace(0, len(looks) - 1, 12).astype(int))
    ax.set_xticks(places, [str(looks[i].epoch) for i in places])
    ax.set(xlabel="epochs done", ylabel="lag (timesteps)")
    horizons = [_horizon(look.flow) for look in looks]
    ax.plot(range(len(looks)), horizons, "k.-", lw=1, label="horizon (1 % beyond)")
    windows = {int(look.bias.windows[-2]) for look in looks if look.bias}
    for window in windows:
        if window <= shortest:
            ax.axhline(window, color="0.25", ls="--", lw=1, label=f"window {window}")
    legend(ax, fontsize=8, loc="upper right")
    bar = figure.colorbar(image, ax=ax)
    bar.set_label("log10 of the norm, relative to lag 1")
    return figure


def direction(looks: Sequence[Look]) -> Any:
    """Cosine and norm of the truncated gradient relative to the full one, by epoch."""
    seen = [look for look in looks if look.bias]
    if not seen:
        return None
    epochs = [look.epoch for look in seen]
    figure, (ax,) = panels("", 1)
    ax.axhline(0, color="0.6", lw=1)
    ax.axhline(1, color="0.6", lw=1, ls=":")
    ax.plot(epochs, [look.bias.cosine[-2] for look in seen], "o-", label="cosine")
    ax.plot(
        epochs, [look.bias.norm_ratio[-2] for look in seen], "s--", label="norm ratio"
    )
    ax.set_xlabel("epochs done")
    legend(ax, fontsize=8)
    return figure


def _alike(names: Sequence[str]) -> list[list[str]]:
    """Names grouped by metric: `val_` ones with those of training."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.removeprefix("val_"), []).append(name)
    return list(groups.values())


def _horizon(flow: GradientFlow) -> float:
    usable = np.isfinite(flow.norms).all() and flow.norms.any()
    return flow.horizon() if usable else np.nan


def _mark(history: Mapping[str, Sequence[float]]) -> str:
    return "o-" if len(history["epoch"]) < 30 else "-"


def _finish(ax: Any) -> None:
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25)
    legend(ax, fontsize=8)
