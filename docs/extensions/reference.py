"""Writes a page for each public name into `docs/reference`, and the lists of them."""

import functools
import inspect
import types
from pathlib import Path

from commands import commands
from docstrings import escaped
from public import MODULES, members_of, module, public_names


def pages():
    """`{file name: text}` of all pages."""
    written = {}
    for name in public_names():
        written[f"{name.path}.rst"] = page(name)
    for of in MODULES:
        written[f"{of}.rst"] = overview(of)
    written["index.rst"] = index()
    written["commands.rst"] = titled("bptt-zoo") + commands()
    return written


def titled(title):
    """A heading."""
    return f"{title}\n{'=' * len(title)}\n"


def page(name):
    """The page of one name, with its methods and properties."""
    members = []
    if inspect.isclass(name.value):
        kind = "exception" if issubclass(name.value, BaseException) else "class"
        for member in members_of(name.value):
            found = inspect.getattr_static(name.value, member)
            if isinstance(found, types.FunctionType | classmethod | staticmethod):
                of = "method"
            else:
                # What is computed by a descriptor of its own is no `property`.
                named = isinstance(found, property | functools.cached_property)
                of = "property" if named else "attribute"
            members += ["", f"   .. auto{of}:: {name.path}.{member}"]
    else:
        kind = "function" if callable(name.value) else "data"
    lines = [titled(name.name), f".. auto{kind}:: {name.path}", *members, ""]
    return "\n".join(lines)


def overview(of):
    """What is in a module: a line each."""
    names = [name for name in public_names() if name.module == of]
    lines = [titled(of), first_sentence(module(of)), ""]
    lines += [f".. py:module:: {of}\n", ".. list-table::", "   :widths: 30 70", ""]
    for name in names:
        said = first_sentence(name.value)
        lines += [f"   * - :py:obj:`{name.name} <{name.path}>`", f"     - {said}"]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {name.path}" for name in names), ""])


def first_sentence(value):
    """The first paragraph of a docstring, as reStructuredText."""
    return escaped(inspect.getdoc(value).split("\n\n")[0].replace("\n", " "))


def index():
    """The page that lists the modules."""
    lines = [
        titled("Reference"),
        "Every public name, with its arguments, errors and an example that runs. The",
        "usual import is ``import bptt_keras as bk``.",
        "",
        ".. list-table::",
        "   :widths: 30 70",
        "",
    ]
    for of in MODULES:
        lines += [f"   * - :doc:`{of}`", f"     - {first_sentence(module(of))}"]
    lines += ["   * - :doc:`commands`", "     - The command ``bptt-zoo``."]
    lines += ["", ".. toctree::", "   :hidden:", ""]
    return "\n".join([*lines, *(f"   {of}" for of in (*MODULES, "commands")), ""])


def write(app):
    """Writes what has changed, so that unchanged pages are not read again."""
    folder = Path(app.srcdir) / "docs" / "reference"
    folder.mkdir(exist_ok=True)
    written = pages()
    for name, text in written.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.rst"):
        if path.name not in written:
            path.unlink()


def setup(app):
    """Registers the pages, which are written before documents are looked for."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
