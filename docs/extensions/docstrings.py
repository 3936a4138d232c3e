"""Docstrings of this project as reStructuredText, which autodoc reads.

A docstring is plain text: paragraphs with `code`, indented formulas, and sections such
as `Args:`, whose entries are `name: text`, and `Example:`, which is code.
"""

import inspect
import re
import textwrap

from sphinx.util.inspect import stringify_signature

LISTS = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Call arguments": "Call arguments",
    "Fields": "Fields",
    "Raises": "Raises",
}
TEXTS = ("Returns", "Yields", "Source")
HEADING = re.compile(r"^(?P<name>[A-Z][a-z]+(?: [a-z]+)?):(?: (?P<rest>.+))?$")
ENTRY = re.compile(r"^(?P<name>[*\w`][\w`.*, ]*): (?P<text>.*)$")
CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
BULLET = re.compile(r"^(?:- |\d\. )")


def to_rst(lines):
    """The lines of a docstring as lines of reStructuredText.

    Args:
        lines: Lines without the indentation that all have in common.
    """
    result, text = [], []
    for heading, body in sections(lines):
        if heading is None:
            text += [*body, ""]
        elif heading == "Example":
            example = [line for line in body if not line.startswith("```")]
            result += rubric("Example") + literal(example, "python")
        elif heading in LISTS:
            result += rubric(LISTS[heading]) + entries(body)
        else:
            result += rubric(heading) + prose(body)
    return prose(text) + result


def sections(lines):
    """`(heading or None, lines)` for each part of a docstring."""
    known = {*LISTS, *TEXTS, "Example"}
    parts, current = [], (None, "", [])
    for line in lines:
        heading, first, body = current
        match = HEADING.match(line)
        if match and match["name"] in known:
            parts.append(current)
            current = (match["name"], match["rest"] or "", [])
        elif heading and line and not line.startswith(" ") and body[-1:] == [""]:
            # A paragraph after a section is text again.
            parts.append(current)
            current = (None, "", [line])
        else:
            body.append(line)
    parts.append(current)
    return [(heading, dedented(first, body)) for heading, first, body in parts]


def dedented(first, lines):
    """Lines without the indentation that they share, after a first one if it is any."""
    rest = textwrap.dedent("\n".join(lines)).rstrip("\n")
    return [first, *rest.split("\n")] if first else rest.lstrip("\n").split("\n")


def rubric(title):
    """A heading within an entry."""
    return ["", f".. rubric:: {title}", ""]


def literal(lines, language="text"):
    """A block of code or of a formula."""
    code = textwrap.indent(textwrap.dedent("\n".join(lines)), "   ").split("\n")
    return ["", f".. code-block:: {language}", "", *code, ""]


def entries(lines):
    """A list of definitions: `name: text`, which indented lines continue."""
    found = []
    for line in lines:
        match = ENTRY.match(line)
        if match:
            found.append((match["name"], match["text"], []))
        elif found:
            found[-1][2].append(line)
    result = []
    for name, first, body in found:
        code = name if "`" in name else f"`{name}`"
        told = prose(dedented(first, body))
        result += [escaped(code), *("   " + x for x in told), ""]
    return result


def prose(lines):
    """Paragraphs, bullets and indented formulas."""
    result, formula = [], []
    for block in [*blocks(lines), ["end"]]:
        if all(line.startswith(" ") for line in block):
            formula += [*block, ""]
            continue
        if formula:
            result += literal(formula[:-1])
            formula = []
        for item in items(block):
            text = escaped("\n".join(line.strip() for line in item)).split("\n")
            indent = "  " if BULLET.match(item[0]) else ""
            result += [text[0], *(indent + line for line in text[1:]), ""]
    return result[:-2]


def blocks(lines):
    """Groups of lines between empty ones."""
    group = []
    for line in [*lines, ""]:
        if line.strip():
            group.append(line)
        elif group:
            yield group
            group = []


def items(block):
    """The bullets of a block, or all of it."""
    item = []
    for line in block:
        if BULLET.match(line) and item:
            yield item
            item = []
        item.append(line)
    yield item


def escaped(text):
    """A paragraph whose code is literal and whose other signs mean nothing."""
    parts, end = [], 0
    for match in CODE.finditer(text):
        parts.append(re.sub(r"([\\*_|`])", r"\\\1", text[end : match.start()]))
        after = text[match.end() : match.end() + 1]
        code = re.sub(r"\s+", " ", match[2])
        parts.append(f"``{code}``" + ("\\ " if after.isalnum() else ""))
        end = match.end()
    parts.append(re.sub(r"([\\*_|`])", r"\\\1", text[end:]))
    return "".join(parts)


def _process(app, what, name, obj, options, lines):
    lines[:] = to_rst(list(lines))


def _signature(app, what, name, obj, options, signature, returned):
    """That of the constructor, where Keras' classes have one of their own."""
    if what != "class" or obj.__init__ is object.__init__:
        return None
    given = inspect.signature(obj.__init__)
    arguments = list(given.parameters.values())[1:]
    given = given.replace(parameters=arguments, return_annotation=given.empty)
    return stringify_signature(given, show_annotation=False), None


def setup(app):
    """Registers the conversion."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
