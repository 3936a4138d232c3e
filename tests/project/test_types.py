"""Every public and every module-level function says its types, and they agree."""

import ast
import subprocess
import sys

import pytest

from tests.project.files import PACKAGES, ROOT, module_name, parse, python_files


def untyped(function, method):
    """Names of a function's arguments that have no type, and `->` for its result."""
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    static = any(
        isinstance(decorator, ast.Name) and decorator.id == "staticmethod"
        for decorator in function.decorator_list
    )
    if method and not static:
        arguments = arguments[1:]
    arguments += filter(None, [given.vararg, given.kwarg])
    names = [argument.arg for argument in arguments if argument.annotation is None]
    if function.returns is None and function.name != "__init__":
        names.append("->")
    return names


def functions(tree):
    """`(function, whether it is a method)`: module-level ones and public methods."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    for node in tree.body:
        if isinstance(node, kinds):
            yield node, False
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, kinds) and (
                    not inner.name.startswith("_")
                    or inner.name in ("__init__", "__call__")
                ):
                    yield inner, True


@pytest.mark.parametrize("path", python_files(*PACKAGES), ids=module_name)
def test_functions_have_types(path):
    missing = {
        f"{function.name}, line {function.lineno}": untyped(function, method)
        for function, method in functions(parse(path))
    }
    assert not {name: names for name, names in missing.items() if names}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_types_agree():
    checked = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
