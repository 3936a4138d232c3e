"""Imports point one way only; CONTRIBUTING.md draws the arrows."""

import ast

import pytest

from tests.project.files import module_name, parse, python_files

# Part of the library -> the parts it may import. A new part needs a row.
MAY_IMPORT = {
    "backend": set(),
    "types": set(),
    "keras_internals": set(),
    "tensorflow_internals": set(),
    "truncation": set(),
    "kernels": set(),
    "initializers": set(),
    "layers": {"kernels"},
    "state": {"kernels", "layers"},
    "data": {"truncation"},
    "training": {"kernels", "layers", "state", "truncation", "data"},
    "callbacks": {"training", "diagnostics"},
    "streaming": {"kernels", "layers", "state"},
    "tuning": {"training"},
    "diagnostics": {"state", "truncation", "training", "layers", "kernels"},
}
# What every part may import.
FOR_ALL = {"backend", "types", "keras_internals", "tensorflow_internals"}
# Room of `bptt_keras.training`, or a module beside the rooms -> what it may import of
# the others. What runs a batch knows nothing of how a user's data came to be one.
TRAINING_MAY_IMPORT = {
    "assertions": set(),
    "clipping": set(),
    "steps": set(),
    "measures": {"assertions"},
    "batches": {"assertions"},
    "programs": {"measures", "assertions"},
    "windows": {"programs", "batches", "measures", "clipping", "assertions"},
    "intake": {"batches", "assertions"},
    "building": {"batches"},
    "options": {"windows", "programs"},
    "modes": {"options", "building", "windows", "programs", "batches", "measures"},
    "setup": {"modes", "options", "building", "batches", "measures"},
    "engine": {
        "setup",
        "modes",
        "options",
        "building",
        "windows",
        "programs",
        "batches",
        "measures",
    },
    "epochs": {"engine", "clipping"},
    "description": {"engine", "modes", "options", "programs", "clipping"},
    "wrapper": {"building", "batches"},
    "engine_model": {
        "wrapper",
        "engine",
        "modes",
        "options",
        "steps",
        "intake",
        "measures",
        "clipping",
        "assertions",
    },
    "trainer": {
        "engine_model",
        "wrapper",
        "engine",
        "epochs",
        "description",
        "modes",
        "options",
        "intake",
        "measures",
        "clipping",
    },
}
LIBRARY = python_files("bptt_keras")
TRAINING = [path for path in LIBRARY if "training" in path.parts]
ZOO = python_files("zoo")


def imported_modules(path):
    """Absolute names of all that a file imports, those inside functions too."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *filter(None, [node.module])])
            yield prefix
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def part_of(module):
    """`bptt_keras.layers.lstm` -> `layers`; None for `bptt_keras` and for others."""
    names = module.split(".")
    return names[1] if names[0] == "bptt_keras" and len(names) > 1 else None


def room_of(module):
    """`bptt_keras.training.windows.carry` -> `windows`; None outside of all rooms."""
    names = module.split(".")
    return names[2] if names[:2] == ["bptt_keras", "training"] and names[2:] else None


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_library_parts_import_only_what_lies_below(path):
    part = part_of(module_name(path))
    if part is None:  # bptt_keras/__init__.py is the public API: it imports all.
        return
    assert part in MAY_IMPORT, f"add a row for `{part}` to MAY_IMPORT"
    modules = set(imported_modules(path))
    parts = {part_of(module) for module in modules} - {None, part, *FOR_ALL}
    assert parts <= MAY_IMPORT[part]
    assert not {m for m in modules if m == "zoo" or m.startswith("zoo.")}
    # `from bptt_keras import X` inside the library would be a circle.
    assert "bptt_keras" not in modules or parts


@pytest.mark.parametrize("path", TRAINING, ids=module_name)
def test_rooms_of_training_import_only_what_lies_below(path):
    room = room_of(module_name(path))
    if room is None:
        return
    assert room in TRAINING_MAY_IMPORT, f"add a row for `{room}`"
    rooms = {room_of(module) for module in imported_modules(path)} - {None, room}
    assert rooms <= TRAINING_MAY_IMPORT[room]


def test_no_modules_import_each_other_in_a_circle():
    """Module by module, imports inside functions included."""
    modules = {module_name(path) for path in LIBRARY}
    below = {}
    for path in LIBRARY:
        name = module_name(path)
        # `from package import name`: the name may be a module, or the package's own.
        below[name] = set(imported_modules(path)) & modules - {name}
    while free := {module for module, imported in below.items() if not imported}:
        below = {m: imported - free for m, imported in below.items() if m not in free}
    assert not below, "in circles, or above one"


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in TRAINING}), ids=lambda path: path.name
)
def test_a_folder_of_training_has_a_dozen_modules_at_most(folder):
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 12


@pytest.mark.parametrize("path", [*LIBRARY, *ZOO], ids=module_name)
def test_nothing_imports_tests(path):
    assert not {m for m in imported_modules(path) if m.split(".")[0] == "tests"}


def test_truncation_is_plain_integers():
    plain = {path for path in LIBRARY if part_of(module_name(path)) == "truncation"}
    heavy = {"tensorflow", "keras", "numpy"}
    for path in plain:
        assert not heavy & {m.split(".")[0] for m in imported_modules(path)}


@pytest.mark.parametrize("path", ZOO, ids=module_name)
def test_zoo_uses_the_public_interface_only(path):
    import bptt_keras as bk

    public = {*bk.__all__, "__version__"}
    tree = parse(path)
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours = [a for a in node.names if a.name.split(".")[0] == "bptt_keras"]
            assert all(a.name == "bptt_keras" for a in ours), "import bptt_keras as bk"
            aliases |= {a.asname or a.name for a in ours}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            inside = node.module.startswith("bptt_keras.")
            assert not inside, "import bptt_keras as bk"
            if node.module == "bptt_keras":
                assert {a.name for a in node.names} <= public
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in aliases
    }
    assert used <= public
