"""Private names of Keras, TensorFlow and others are used in only a few modules."""

import ast
import importlib
import inspect
import re
import textwrap

import pytest

from tests.project.files import PACKAGES, module_name, parse, python_files

# The modules that may; tests of their own say what has gone when one of these changes.
INTERNALS = {
    "bptt_keras.keras_internals",
    "bptt_keras.tensorflow_internals",
    "bptt_keras.tuning.keras_tuner_internals",
    "bptt_keras.tuning.optuna_internals",
    "zoo.cli.argparse_internals",
    "zoo.layers.keras_internals",
}
# Modules that are no public part of their packages.
HIDDEN_MODULES = ("keras.src", "keras_tuner.src", "tensorflow.python")
HIDDEN_MODULES += ("tensorflow.compiler", "tensorflow.core")
# Public in spite of the underscore.
PUBLIC = {"_asdict", "_exit", "_field_defaults", "_fields", "_make", "_replace"}
# What TensorFlow Datasets' documentation tells builders to override; what `abc` and
# `typing` give to classes.
HOOKS = {"_info", "_split_generators", "_generate_examples"}
HOOKS |= {"_abc_impl", "_is_protocol"}
FILES = [p for p in python_files(*PACKAGES) if module_name(p) not in INTERNALS]


def is_private(name):
    """Whether a name has one underscore before it, or is TensorFlow's inner package."""
    one = name.startswith("_") and not name.startswith("__") and name != "_"
    return (one and name not in PUBLIC) or name == "__internal__"


def members(tree):
    """Private names that the classes of a file give to themselves and to instances."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield line.name
                targets = getattr(line, "targets", [getattr(line, "target", None)])
                yield from (t.id for t in targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "other"):
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            "__setattr__"
        ):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))
        elif isinstance(node, ast.Dict):
            # `options.configured` names attributes of the trainer so.
            keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
            yield from (key for key in keys if isinstance(key, str))


OURS = {name for path in FILES for name in members(parse(path)) if is_private(name)}


ASK = ("getattr", "setattr", "hasattr", "delattr", "object.__setattr__")


def uses(tree):
    """What a file uses of others that is private, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if is_private(node.attr) and node.attr not in OURS:
                yield node.lineno, ast.unparse(node)
            # Another way to set an attribute, past the class that would see it.
            if node.attr == "__dict__":
                yield node.lineno, ast.unparse(node)
            if ast.unparse(node).startswith(("tf.python", "keras.src")):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            base = getattr(node, "module", None)
            if getattr(node, "level", 0):
                continue
            for alias in node.names:
                name = f"{base}.{alias.name}" if base else alias.name
                hidden = any(f"{name}.".startswith(f"{m}.") for m in HIDDEN_MODULES)
                others = name.split(".")[0] not in PACKAGES
                if hidden or (others and any(map(is_private, name.split(".")))):
                    yield node.lineno, name
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if re.fullmatch(r"vars\(.*\)\.(update|pop)", name):
                yield node.lineno, name
            if name in ASK or name.endswith(("kwargs.get", "arguments.get")):
                for text in map(beginning, node.args):
                    if is_private(text) and text not in OURS:
                        yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            name = ast.unparse(node.value)
            if name.startswith("vars("):
                yield node.lineno, name


def beginning(node):
    """What a string in the code begins with, one with parts filled in included."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    value = getattr(node, "value", None)
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_private_names_of_others_are_used_only_in_their_modules(path):
    found = [f"{path.name}:{line}: {what}" for line, what in uses(parse(path))]
    assert not found, "put it into one of INTERNALS, behind a name that says what it is"


@pytest.mark.parametrize(
    "code",
    [
        "x = layer._flatten_layers()",
        "self._trainable_variables_",
        "tf.__internal__.FuncGraph",
        "from tensorflow.python.eager import context",
        "import keras.src.layers",
        "from keras import src as s; keras.src.x",
        "from keras_tuner.src import protos",
        "import argparse; argparse._SubParsersAction",
        "getattr(tensor, '_keras_mask', None)",
        "hasattr(model, '_compile_loss')",
        "setattr(model, f'_user_{kind}', 1)",
        "arguments.get('_use_cached_eval_dataset')",
        "layer.__dict__['call'] = f",
        "vars(layer)['call'] = f",
        "vars(layer).update(call=f)",
    ],
)
def test_a_private_name_is_found(code):
    assert [*uses(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    ["batch._replace(x=1)", "self._engine", "step._run(x)", "_, x = y", "os._exit(1)"],
)
def test_names_that_are_ours_or_public_are_not(code):
    assert not [*uses(ast.parse(code))]


def classes():
    """All classes of both packages."""
    for path in FILES:
        if path.name != "__main__.py":
            module = importlib.import_module(module_name(path))
            for _, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ == module.__name__:
                    yield kind


def private_members(kind):
    """Private names of a class's own code: its attributes, and those of `self`."""
    names = set(vars(kind))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return set()
    names |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("self", "cls", "super()")
    }
    return {name for name in names if is_private(name) and name not in HOOKS}


@pytest.mark.slow
def test_no_class_shares_a_private_name_with_a_class_of_others_above_it():
    # A hook that is overridden, an attribute that is read: or one by accident.
    found = set()
    for kind in classes():
        ours = [k for k in kind.__mro__ if k.__module__.split(".")[0] in PACKAGES]
        others = [k for k in kind.__mro__ if k not in ours]
        shared = set().union(*map(private_members, others))
        for own in ours:
            if own.__module__ not in INTERNALS:
                both = private_members(own) & shared
                found |= {f"{own.__module__}.{own.__name__}: {name}" for name in both}
    assert not sorted(found), "override or read it in one of INTERNALS"
