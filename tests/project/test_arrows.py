"""Imports point one way only, as CONTRIBUTING.md shows."""

import ast
import functools
import graphlib

import pytest

from tests.project.files import ROOT, module_name, parse, python_files

# Part of the library -> the parts it may import. A new part needs a row.
MAY_IMPORT = {
    "arguments": set(),
    "backend": set(),
    "files": set(),
    "process_group": set(),
    "turns": set(),
    "types": set(),
    "keras_internals": set(),
    "tensorflow_internals": set(),
    "truncation": set(),
    "kernels": set(),
    "initializers": set(),
    "layers": {"kernels"},
    "state": {"kernels", "layers"},
    "sessions": {"kernels", "state"},
    "exporting": {"state", "sessions"},
    "data": {"truncation"},
    "training": {
        *("kernels", "layers", "state", "sessions", "exporting"),
        *("truncation", "data"),
    },
    "resume": {"data", "training"},
    "distribute": {"training", "resume"},
    "callbacks": {"training", "diagnostics", "resume"},
    "tuning": {"training"},
    "diagnostics": {"state", "truncation", "training", "layers", "kernels"},
}
# Rooms of the zoo, from below to above: each may import from those on the lines before
# its own. Rooms on one line do not know each other. A new room needs a place.
ROOMS = (
    {"plain", "system"},
    {"cases", "recipes", "tables", "texts"},
    {"classification", "fitting", "forecasting", "layers", "music"},
    {"datasets", "models"},
    {"tasks"},
    {"store"},
    {"runs"},
    {"products", "tuning"},
    {"cli"},
)
# What takes long to import, or may not be installed: it may be put off.
HEAVY = {
    *("bptt_keras", "keras", "keras_tuner", "tensorflow", "tensorflow_datasets"),
    *("h5py", "matplotlib", "pandas", "pydantic", "scipy", "sklearn", "tensorboard"),
    *("mido", "pydoc_data", "shtab", "tqdm", "tyro"),
}
LONGEST = 350  # lines of a module, docstrings aside
MOST = 12  # modules of a folder
# Folders that hold a list of equals, as many as there are.
LISTS = {"bptt_keras/layers", "zoo/cli/commands", "zoo/layers", "zoo/tasks"}
# What every part may import.
FOR_ALL = {
    "arguments",
    "backend",
    "files",
    "keras_internals",
    "process_group",
    "tensorflow_internals",
    "turns",
    "types",
}
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
        "steps",
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
        "steps",
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
MODULES = {module_name(path): path for path in (*LIBRARY, *ZOO)}


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


def resolved(path, nodes):
    """What some nodes of a file import: modules of the project, or other packages."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *filter(None, [node.module])])
            names = (f"{prefix}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else prefix for name in names)


def zoo_room_of(module):
    """`zoo.tasks.adding` -> `tasks`; None for `zoo` itself and for others."""
    names = module.split(".")
    return names[1] if names[0] == "zoo" and len(names) > 1 else None


@pytest.mark.parametrize("path", ZOO, ids=module_name)
def test_rooms_of_the_zoo_import_only_what_lies_below(path):
    room = zoo_room_of(module_name(path))
    if path.parent.name == "zoo":  # the public names, and `python -m zoo`
        return
    places = [place for place, rooms in enumerate(ROOMS) if room in rooms]
    assert places, f"add a place for `{room}` to ROOMS"
    below = set().union(*ROOMS[: places[0]])
    modules = resolved(path, ast.walk(parse(path)))
    assert {zoo_room_of(module) for module in modules} - {None, room} <= below


@pytest.mark.parametrize("paths", [LIBRARY, ZOO], ids=["library", "zoo"])
def test_no_modules_import_each_other_in_a_circle(paths):
    graph = {}
    for path in paths:
        found = resolved(path, ast.walk(parse(path)))
        graph[module_name(path)] = {m for m in found if m in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def imports_inside(path):
    """Imports inside functions: `(line before the first, nodes)` of each run."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks = [
        getattr(node, name)
        for function in ast.walk(parse(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        for name in ("body", "orelse", "finalbody")
        if isinstance(getattr(node, name, None), list)
    ]
    for block in blocks:
        run = []
        for statement in [*block, None]:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                run.append(statement)
            elif run:
                yield lines[run[0].lineno - 2].strip(), run
                run = []


@functools.cache
def is_heavy(module):
    """Whether a module takes long to import, by itself or by what it imports first."""
    if module.split(".")[0] in HEAVY:
        return True
    if module not in MODULES or module == "zoo":
        return False
    path = MODULES[module]
    return any(map(is_heavy, resolved(path, parse(path).body)))


@pytest.mark.parametrize("path", ZOO, ids=module_name)
def test_imports_inside_functions_are_deferred_for_a_reason(path):
    for above, run in imports_inside(path):
        assert above.startswith("#") and "put off" in above.lower(), run[0].lineno
        # The command line puts off more: it answers `--help` at once.
        if zoo_room_of(module_name(path)) != "cli":
            assert all(map(is_heavy, resolved(path, run))), run[0].lineno


def lines_of_code(path):
    """How many lines a module has, docstrings aside."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [
        node.body[0]
        for node in ast.walk(parse(path))
        if isinstance(node, documented) and ast.get_docstring(node) is not None
    ]
    lines = path.read_text(encoding="utf-8").splitlines()
    return len(lines) - sum(d.end_lineno - d.lineno + 1 for d in docstrings)


@pytest.mark.parametrize("path", [*LIBRARY, *ZOO], ids=module_name)
def test_modules_are_not_long(path):
    assert lines_of_code(path) <= LONGEST


def test_folders_do_not_hold_many_modules():
    counts = {}
    for path in (*LIBRARY, *ZOO):
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    assert not {f: n for f, n in counts.items() if n > MOST and f not in LISTS}
