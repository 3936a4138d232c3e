"""A command refuses a hostile preset before it imports TensorFlow."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.zoo.hostile.files import DEEP, PRESETS
from zoo.store.hub import locate

COMMANDS = [
    ["evaluate", "PRESET"],
    ["generate", "PRESET", "--prompt", "The "],
    ["export", "PRESET", "--format", "onnx"],
    ["export-preset", "PRESET", "--out", "exported"],
    ["publish", "release", "PRESET"],
]
CODE = (
    "import sys; from zoo.cli.main import main; code = main(sys.argv[1:]);"
    "print(code, 'tensorflow' in sys.modules)"
)


def called(root, folder, *arguments):
    """Exit code, whether TensorFlow was imported, and standard error."""
    made = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    code, imported = made.stdout.split()
    return int(code), imported == "True", made.stderr


@pytest.fixture
def hostile(tmp_path):
    """A preset of text whose weights are not finite."""
    shutil.copytree(locate("python-topics"), tmp_path / "hurts")
    PRESETS["NaN"](tmp_path / "hurts")
    return tmp_path / "hurts"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.quick(2)
def test_a_hostile_preset_is_refused_immediately(root, tmp_path, hostile, command):
    arguments = [str(hostile) if a == "PRESET" else a for a in command]
    code, imported, error = called(root, tmp_path, *arguments)
    assert (code, imported) == (2, False)
    assert "its weights are not finite" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "adding", "--recipe", "pipe", "--out", "out"],
        ["train", "adding", "--recipe", "deep", "--out", "out"],
        ["train", "music", "--data", "pipe", "--out", "out"],
        ["show", "deep preset"],
    ],
    ids=" ".join,
)
def test_pipes_and_deep_json_are_refused_immediately(root, tmp_path, arguments):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "deep").write_bytes(DEEP)
    (tmp_path / "deep preset").mkdir()
    for name in ("config.json", "metadata.json"):
        (tmp_path / "deep preset" / name).write_bytes(DEEP)
    code, imported, error = called(root, tmp_path, *arguments)
    assert (code, imported) == (2, False)
    assert error.count("\n") == 1 and "Traceback" not in error
