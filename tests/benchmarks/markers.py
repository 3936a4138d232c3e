"""Markers in Markdown, and what stands between them.

    <!--f session.onnx_us:.0f-->46<!--/f-->     a value of `docs/figures.json`, by the
                                                name of its entry and its key, and if
                                                need be a format of Python's
    <!--f session.machine-->2-core ...<!--/f--> likewise `command` and `date`
    <!--table speed--> ... <!--/table-->        the table of an entry
    <!--table speed 1 3--> ... <!--/table-->    its first and third row
    <!--results--> ... <!--/results-->          the presets, as measured
    <!--presets echo-8 etth1--> ... <!--/presets-->   some of them, in fewer columns
    <!--gains--> ... <!--/gains-->              what tuned clipping gained

All but the first two have lines of their own. The first two may begin none, since
Markdown would take all of that line for HTML: they get the word before them. In code
nothing is a marker.
"""

import re

from tests.benchmarks.markdown import (
    gains,
    markdown_table,
    measured,
    presets,
    results,
)

ABOUT = ("command", "date", "machine")
BLOCKS = "table|results|presets|gains"
MARKER = re.compile(
    "|".join(
        [
            r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^[ \t]*(?P=fence)",
            r"(?<!`)(?P<span>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=span)(?!`)",
            r"<!--f (?P<key>[^\s:>]+?)(?::(?P<form>[^\s>]*))?-->"
            r"(?P<shown>(?:(?!<!--).)*)<!--/f-->",
            rf"^<!--(?P<block>{BLOCKS})(?P<words>(?: [^\s>]+)*)-->$"
            rf"(?P<body>(?:(?!<!--/?(?:{BLOCKS})).)*)^<!--/(?P=block)-->$",
            rf"(?P<lone><!--/?(?:f|{BLOCKS})\b[^>]*-->)",
        ]
    ),
    re.MULTILINE | re.DOTALL,
)
# A line of a paragraph, and its last word if that can begin the next line.
LAST = re.compile(
    rf"((?!\s*(?:[#|]|<!--(?:{BLOCKS})\b)).*\S) ((?![-*+#>|]|\d+[.)])(?!\S*-->)\S+)"
)
# What may stand before the first word of a paragraph or an item of a list.
INDENT = re.compile(r"[\s>]*(?:[-*+]|\d+[.)])?\s*")


class MarkerError(ValueError):
    """A marker that says nothing; `line` is where."""

    def __init__(self, line, text):
        super().__init__(text)
        self.line = line


def update(text, entries):
    """Writes anew what stands between the markers of a text.

    Args:
        text: Markdown.
        entries: `{name: entry}` of `docs/figures.json`.

    Returns:
        The new text, and for each place that changes its line and what changes there.

    Raises:
        MarkerError: If there is no such entry or key, a format does not suit its value,
            a marker has no partner, or one of a value begins a paragraph.
    """
    text, changes = _with_words_before(text)

    def renew(match):
        line = text.count("\n", 0, match.start()) + 1
        if match["lone"]:
            raise MarkerError(line, f"{match['lone']} has no partner, or is no marker.")
        if match["key"]:
            before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            if INDENT.fullmatch(before):
                told = f"`{match['key']}` may not begin a line; put a word before it."
                raise MarkerError(line, told)
            new = _value(match["key"], match["form"], entries, line)
            old = match["shown"]
            what, group = f"`{match['key']}` is {new}, not {old}", "shown"
        elif match["block"]:
            words = match["words"].split()
            new = f"\n\n{_block(match['block'], words, entries, line)}\n\n"
            old, group = match["body"], "body"
            what = f"`{' '.join([match['block'], *words])}` has changed"
        else:
            return match[0]
        if new != old:
            changes.append((line, what))
        start, end = (place - match.start() for place in match.span(group))
        return match[0][:start] + new + match[0][end:]

    return MARKER.sub(renew, text), changes


def _with_words_before(text):
    """The text without values that begin a line, and `(line, what)` of those it had."""
    changes = []
    for match in reversed(list(MARKER.finditer(text))):
        *lines, before, indent = ["", *text[: match.start()].split("\n")]
        last = LAST.fullmatch(before)
        if match["key"] and last and not indent.strip():
            lines = [*lines[1:], last[1], f"{last[2]} {text[match.start() :]}"]
            text = "\n".join(lines)
            changes.append((len(lines), f"`{match['key']}` began a line"))
    return text, changes[::-1]


def _value(key, form, entries, line):
    name, _, rest = key.partition(".")
    entry = _entry(name, entries, line)
    known = entry["values"] | {about: entry[about] for about in ABOUT}
    if rest not in known:
        keys = ", ".join(known)
        raise MarkerError(line, f"`{name}` has no `{rest}`, but {keys}.")
    try:
        return format(known[rest], form or "")
    except ValueError:
        shown = repr(known[rest])
        raise MarkerError(line, f"`{key}` is {shown}: no `{form}`.") from None


def _block(kind, words, entries, line):
    if kind == "table":
        return _rows_of(words[0] if words else "", words[1:], entries, line)
    if kind == "presets":
        known = {preset["preset"]: preset for preset in measured()}
        missing = [name for name in words if name not in known]
        if missing or not words:
            names = ", ".join(known)
            raise MarkerError(
                line, f"`presets {' '.join(missing)}`: name some of {names}."
            )
        return presets([known[name] for name in words])
    if words:
        raise MarkerError(line, f"`{kind}` is followed by nothing.")
    return {"results": results, "gains": gains}[kind]()


def _rows_of(name, numbers, entries, line):
    table = _entry(name, entries, line).get("table")
    if table is None:
        raise MarkerError(line, f"`{name}` has no table.")
    rows = dict(enumerate(table["rows"], 1))
    strange = [n for n in numbers if not n.isdecimal() or int(n) not in rows]
    if strange:
        raise MarkerError(line, f"`{name}` has rows 1 to {len(rows)}, no {strange[0]}.")
    chosen = [rows[int(n)] for n in numbers] if numbers else table["rows"]
    return markdown_table(table["head"], chosen)


def _entry(name, entries, line):
    if name not in entries:
        names = ", ".join(entries)
        raise MarkerError(line, f"There is no `{name}` in the figures, but {names}.")
    return entries[name]
