"""Every example in the documentation runs as written."""

import ast
import doctest
import inspect
import re

import pytest

from tests.project.files import PACKAGES, ROOT, module_name, parse, python_files

FENCE = re.compile(
    r"^(?P<skip><!-- skip: (?P<reason>[^\n]+) -->\n+)?"
    r"^```python[^\n]*\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
# Conventional names are there in docstring examples; all else they import themselves.
IMPORTS = """
import bptt_keras as bk
import keras
import numpy as np
import tensorflow as tf
"""
SECTION = re.compile(r"^Examples?:[ \t]*\n", re.MULTILINE)


def blocks(path):
    """(line number, code, reason to skip or None) of each fenced Python block."""
    text = path.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield line, match["code"], match["reason"]


def documented(tree, prefix=""):
    """(qualified name, docstring) of a module and the public things in it."""
    docstring = ast.get_docstring(tree)
    if docstring:
        yield prefix or "module", docstring
    for node in ast.iter_child_nodes(tree):
        kinds = (ast.ClassDef, ast.FunctionDef)
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield from documented(node, f"{prefix}.{node.name}".lstrip("."))


def example_code(docstring):
    """The indented block under `Example:`, fences removed."""
    rest = docstring[SECTION.search(docstring).end() :]
    body = re.match(r"(?:[ \t]+[^\n]*\n?|[ \t]*\n)*", rest).group()
    lines = inspect.cleandoc("\n" + body).splitlines()
    return "\n".join(line for line in lines if not line.startswith("```"))


GUIDES = ROOT / "docs" / "guides"
START = GUIDES / "quick_start.md"
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("tutorials/*/*.md"),
]
MARKDOWN = [path for path in sorted(DOCUMENTS) if list(blocks(path))]
EXAMPLES = {
    f"{module_name(path)}:{name}": docstring
    for path in python_files(*PACKAGES)
    for name, docstring in documented(parse(path))
    if SECTION.search(docstring)
}
# Those that train for more than a second; tests of their modules do so anyway.
SLOW = (
    "bptt_keras.diagnostics.measuring.bias:",
    "bptt_keras.diagnostics.measuring.measure:",
    "bptt_keras.diagnostics.measuring.memory:",
    "bptt_keras.diagnostics.watching.looks:read_looks",
    "bptt_keras.diagnostics.watching.watch:TrainingWatch",
    "bptt_keras.resume.resume:Resume",
    "bptt_keras.tuning.hypermodel:",
    "bptt_keras.tuning.tuners:",
    "bptt_keras.tuning.with_optuna:",
    "zoo.products.classes:predict_classes",
)


def run_blocks(path, namespace):
    for line, code, reason in blocks(path):
        if reason is None:
            # Blank lines in front, so that a traceback shows the file's own line.
            exec(compile("\n" * line + code, str(path), "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def after_quick_start(tmp_path_factory):
    """The variables of the quick start, with which the other guides go on."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("quick_start"))
        return run_blocks(START, {"__name__": "__example__"})


def test_examples_are_found():
    assert {ROOT / "README.md", START, GUIDES / "state.md"} <= set(MARKDOWN)
    assert EXAMPLES


# They train a dozen models.
@pytest.mark.slow
@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_markdown_blocks_run_top_to_bottom(path, tmp_path, monkeypatch, request):
    namespace = {"__name__": "__example__"}
    if path.parent == GUIDES:
        namespace |= request.getfixturevalue("after_quick_start")
    monkeypatch.chdir(tmp_path)
    if path != START:
        run_blocks(path, namespace)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n.startswith(SLOW) else ())
        for n in EXAMPLES
    ],
)
def test_docstring_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = example_code(EXAMPLES[name])
    assert code.strip(), f"the `Example:` of {name} holds no code"
    namespace = {"__name__": "__example__"}
    exec(IMPORTS, namespace)
    if code.lstrip().startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(code, namespace, name, None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0
    else:
        exec(compile(code, name, "exec"), namespace)
