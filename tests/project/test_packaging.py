"""The installed package is what setup.cfg says, and works outside the checkout."""

import configparser
import importlib
import importlib.metadata
import inspect
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import bptt_keras as bk
from tests.project.files import PACKAGES, ROOT, python_files, text_files


def setup_cfg():
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def public_names(module):
    """(dotted name, object) of `__all__`, public namespaces opened up."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield from public_names(value)
        else:
            yield f"{module.__name__}.{name}", value


PUBLIC = dict(public_names(bk))


def test_version_is_the_same_everywhere():
    version = setup_cfg()["metadata"]["version"]
    assert importlib.metadata.version("bptt_keras") == version
    assert bk.__version__ == version
    assert f"[{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_console_script_points_at_a_function():
    script = setup_cfg()["options.entry_points"]["console_scripts"].strip()
    module, function = script.split("=")[1].strip().split(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_documented_with_an_example(name):
    value = PUBLIC[name]
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    own = value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__
    assert own, f"{name} has no docstring of its own"
    assert re.search(r"^\s*Examples?:", own, re.MULTILINE), f"{name} has no `Example:`"


@pytest.mark.parametrize("path", text_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_file_names_no_machine_and_no_ghost_writer(path):
    machine = r"(?<![\w.])/(?:work|root|tmp/w)(?=[/\s'\"`)]|$)"
    writer = "|".join(["AI" + "-generated", "language" + " model wrote"])
    found = re.search(f"{machine}|{writer}", path.read_text(encoding="utf-8"))
    assert found is None, f"{path}: {found.group()!r}"


@pytest.mark.slow
def test_wheel_works_outside_the_checkout(tmp_path):
    # A copy: a build leaves folders behind that would be packed the next time.
    source = tmp_path / "source"
    source.mkdir()
    files = ("setup.cfg", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md")
    for name in (*files, "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps"]
    command = [*pip, "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(command, check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    expected = {str(p.relative_to(ROOT).as_posix()) for p in python_files(*PACKAGES)}
    presets = list((ROOT / "zoo" / "presets").rglob("*"))
    packed = {p.relative_to(ROOT).as_posix() for p in presets if p.is_file()}
    large = {p.parent.relative_to(ROOT) for p in presets if p.stat().st_size > 3e6}
    left_out = {p for p in packed if any(Path(p).is_relative_to(d) for d in large)}
    assert large and not left_out & names
    assert expected | (packed - left_out) <= names
    assert not {n for n in names if n.startswith(("tests/", "tutorials/"))}
    library = "bptt_keras/kernels/native/bptt_native.so"
    assert (library in names) != wheel.name.endswith("-none-any.whl")
    program = (
        "import bptt_keras, zoo, zoo.cli.main; print(bptt_keras.__file__, zoo.__file__)"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    outside = [sys.executable, "-c", program]
    done = subprocess.run(
        outside, cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path / "site")) == 2
