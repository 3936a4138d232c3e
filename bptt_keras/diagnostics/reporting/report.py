"""`write_report`: a report of a training run as one self-contained HTML page."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bptt_keras.diagnostics.reporting import page
from bptt_keras.diagnostics.reporting import report_figures as figures
from bptt_keras.diagnostics.watching.changes import Period, periods, when
from bptt_keras.diagnostics.watching.findings import of_window
from bptt_keras.diagnostics.watching.looks import Look

_History = dict[str, list[float]]
"""Lists of one length, NaN for gaps; `epoch` among them."""


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    history: Mapping[str, Sequence[Any]],
    looks: Iterable[Look] = (),
    samples: Mapping[str, str] | Iterable[str] | str = (),
    config: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a report of a training run as one HTML page.

    The page needs no other files, no network and no scripts. It shows curves of losses
    and metrics, gradient norms and clipping, the gradient flow over the epochs as a
    heat map, the findings of a `TrainingWatch`, sample outputs and the configuration.
    Anything that was not recorded is left out.

    Args:
        path: File to write; an existing one is replaced once the page is complete.
        title: Heading of the page.
        history: `{name: list of numbers}`, one number per epoch, such as
            `trainer.fit(...).history`. A list `epoch` may number the epochs; by default
            they count from 1. Values that are `None` or not finite, and epochs without
            validation, are gaps.
        looks: `TrainingWatch.looks`, or the result of `read_looks`.
        samples: `{name: text}`, list of texts, or one text: outputs of the model.
        config: The configuration of the training, a dict, which may be nested.
        results: `{name: number or text}`, for the table at the top.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `history` has no epochs, or lists of different lengths.

    Example:
        import pathlib, tempfile
        import bptt_keras as bk

        path = bk.diagnostics.write_report(
            pathlib.Path(tempfile.mkdtemp(), "report.html"),
            title="A first run",
            history={"loss": [2.0, 1.5], "val_loss": [2.1, 1.7]},
            samples=["the cat sat on"],
            config={"window": 64},
        )
        assert "A first run" in path.read_text()
    """
    history = _checked(history)
    looks = list(looks)
    parts = [
        _heading(title, history, looks),
        page.table("Results", _results(history, results)),
        _findings(looks),
        _curves(history),
        _gradients(history),
        _clipping(history, config),
        _flow(looks),
        _window(looks),
        _samples(samples),
        page.table("Configuration", page.flat(config or {})),
    ]
    return page.write_page(path, title, parts)


def _checked(history: Mapping[str, Sequence[Any]]) -> _History:
    """The history as lists of floats, with NaN for gaps and with `epoch`."""
    count = max((len(values) for values in history.values()), default=0)
    lists: _History = {"epoch": [*map(float, range(1, count + 1))]}
    for name, values in history.items():
        if count and len(values) < count and name.startswith("val_"):
            values = _spread(name, values, count)
        values = [math.nan if v is None else v for v in values]
        if not any(np.ndim(v) for v in values):
            lists[name] = [float(v) for v in values]
            continue
        # A metric with several numbers.
        for index in range(np.size(values[0])):
            lists[f"{name}[{index}]"] = [float(np.ravel(v)[index]) for v in values]
    lengths = {name: len(values) for name, values in lists.items()}
    if not count or len(set(lengths.values())) > 1:
        raise ValueError(
            f"`history` must have lists of one length, and an epoch at least. "
            f"Received: lengths {lengths}."
        )
    return lists


def _spread(name: str, values: Sequence[Any], count: int) -> list:
    """Spreads values of every n-th epoch (`validation_freq`), with gaps between."""
    steps = [n for n in range(1, count + 1) if count // n == len(values)]
    if len(steps) != 1:
        raise ValueError(
            f"`history[{name!r}]` has {len(values)} values for {count} epochs, and "
            "nothing says which. Put `None` where there is none."
        )
    spread = [None] * count
    spread[steps[0] - 1 :: steps[0]] = values
    return spread


def _heading(title: str, history: _History, looks: Sequence[Look]) -> str:
    count = len(history["epoch"])
    words = f"{count} epoch{'s' if count > 1 else ''}"
    if looks:
        words += f", looked at {len(looks)} times"
    return f'<h1>{html.escape(title)}</h1>\n<p class="lead">{words}</p>'


def _results(
    history: _History, results: Mapping[str, Any] | None
) -> list[tuple[str, Any]]:
    rows = list((results or {}).items())
    for name, label in (("loss", "training loss"), ("val_loss", "validation loss")):
        values = history.get(name)
        if values is None:
            continue
        known = [v for v in values if math.isfinite(v)]
        if known:
            best = history["epoch"][values.index(min(known))]
            rows.append((f"lowest {label}", f"{min(known):.4g} (epoch {best:g})"))
        rows.append((f"last {label}", values[-1]))
    return rows


def _findings(looks: Sequence[Look]) -> str:
    if not looks:
        return ""
    held = periods(looks)
    now, past = (
        _listed(s for s in held if s.holds is holds) for holds in (True, False)
    )
    if not now:
        now = "<p>Nothing to warn of.</p>"
    if past:
        now = f"<p>At the last look, {when(looks[-1])}:</p>\n{now}"
        past = f"\n<p>Before, and no longer:</p>\n{past}"
    return f"<h2>What was found</h2>\n{now}{past}"


def _listed(held: Iterable[Period]) -> str:
    items = []
    for period in held:
        kind, severity, words = map(html.escape, period.finding)
        after = f" <i>{html.escape(period.after)}</i>" if period.after else ""
        items.append(
            f'<li class="{severity}"><span class="epoch">{period.time}:</span> '
            f"<b>{kind}</b>. {words}{after}</li>"
        )
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _curves(history: _History) -> str:
    picture = figures.curves(history)
    return _section("Curves", picture, "Losses and metrics by epoch")


def _gradients(history: _History) -> str:
    picture = figures.gradients(history)
    return _section("Gradients", picture, "Gradient norms and other norms by epoch")


def _clipping(history: _History, config: Any) -> str:
    fraction = history.get("clipped_fraction")
    if fraction is None:
        return ""
    rows: list[tuple[str, Any]] = [
        ("updates shortened, all epochs", f"{100 * _mean(fraction):.1f} %"),
        ("in the first epoch", f"{100 * fraction[0]:.1f} %"),
        ("in the last epoch", f"{100 * fraction[-1]:.1f} %"),
    ]
    for name, label in (
        ("grad_norm", "mean gradient norm"),
        ("clipped_norm", "mean gradient norm after clipping"),
        ("skipped_windows", "updates left out, not finite"),
    ):
        if name in history:
            values = history[name]
            total = sum(values) if name == "skipped_windows" else _mean(values)
            rows.append((label, total))
    return page.table("Clipping", rows)


def _flow(looks: Sequence[Look]) -> str:
    if not looks:
        return ""
    words = _last(looks[-1], looks[-1].flow.verdict())
    picture = figures.heatmap(looks)
    return _section(
        "Gradient flow", picture, "Norm of the gradient by lag and epoch", words
    )


def _window(looks: Sequence[Look]) -> str:
    if not any(look.bias for look in looks):
        return ""
    last = [look for look in looks if look.bias][-1]
    words = _last(last, of_window(last.bias))
    picture = figures.direction(looks)
    return _section(
        "What the window is worth", picture, "Cosine to the full gradient", words
    )


def _last(look: Look, words: str) -> str:
    """What the last look measured; the first look says little about later epochs."""
    if not look.epoch:
        words += " This was before training, which changes it."
    return f"<p>Measured {when(look)}: {html.escape(words)}</p>"


def _samples(samples: Mapping[str, str] | Iterable[str] | str) -> str:
    samples = [samples] if isinstance(samples, str) else samples
    named = samples.items() if isinstance(samples, dict) else [("", s) for s in samples]
    blocks = [
        (f"<h3>{html.escape(name)}</h3>\n" if name else "")
        + f"<pre>{html.escape(text)}</pre>"
        for name, text in named
    ]
    return "<h2>Sample outputs</h2>\n" + "\n".join(blocks) if blocks else ""


def _section(heading: str, figure: Any, alternative: str, words: str = "") -> str:
    """A heading and a picture; empty if there is no picture."""
    if figure is None:
        return ""
    return f"<h2>{heading}</h2>\n{words}\n{page.image(figure, alternative)}"


def _mean(values: Iterable[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else math.nan
