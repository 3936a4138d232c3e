"""Pieces of a self-contained HTML page: no other files, no network, no scripts."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bptt_keras.files import write_whole

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d232b; background: #fff;
  margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid #d8dee6; }
.lead { color: #56606c; margin: 0; }
img { display: block; max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid #eceff3; }
td { font-variant-numeric: tabular-nums; }
pre { background: #f5f7f9; padding: .8rem 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .88rem; }
li.warning::marker { content: "\\26A0\\FE0E  "; }
li.warning { color: #9a2a12; }
.epoch { color: #56606c; }
.scroll img { min-width: 36rem; }
summary { cursor: pointer; color: #1f5fa8; margin: .6rem 0; }
tr.best td, tr.best th { background: #fdf1e4; }
.columns th, .columns td { white-space: nowrap; }
"""


def write_page(path: str | os.PathLike, title: str, parts: Iterable[str]) -> Path:
    """Writes a page from pieces of HTML; empty ones are left out.

    Args:
        path: File to write; an existing one is replaced once the page is complete.
        title: Title of the page, as text.
        parts: The pieces.

    Returns:
        The path, a `pathlib.Path`.
    """
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n" + "\n".join(filter(None, parts)) + "\n</body>\n</html>\n"
    )
    return write_whole(path, page)


def image(figure: Any, alternative: str) -> str:
    """A Matplotlib figure as an image embedded in the page.

    Args:
        figure: The figure.
        alternative: Alternative text: what the figure shows, in words.
    """
    # Each picture is a document of its own, because ids would clash on one page.
    import matplotlib

    svg = io.BytesIO()
    # The same run must give the same page.
    with matplotlib.rc_context({"svg.hashsalt": alternative}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    data = base64.b64encode(svg.getvalue()).decode("ascii")
    label = html.escape(alternative)
    return f'<img alt="{label}" src="data:image/svg+xml;base64,{data}">'


def table(heading: str, rows: Sequence[tuple[str, Any]]) -> str:
    """A heading and a table of rows `(name, value)`; empty if there are no rows."""
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{html.escape(str(name))}</th>{cell(value)}</tr>'
        for name, value in rows
    )
    return f'<h2>{heading}</h2>\n<div class="scroll"><table>{body}</table></div>'


def cell(value: Any) -> str:
    """A cell of a table, numbers with four digits."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"<td>{html.escape(str(value))}</td>"


def flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Rows of a nested dict: the names of the levels are joined with dots."""
    rows = []
    for name, value in config.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows
