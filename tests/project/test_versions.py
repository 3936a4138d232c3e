"""`make test-versions` makes an environment a pair of versions and tests in each."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.project.files import ROOT

SCRIPT = ROOT / ".ci/versions.py"
# In place of make and of the Python in an environment: both note what they were asked.
MAKE = """#!/bin/sh
for word; do
    case "$word" in VENV=*) folder=${word#VENV=};; esac
done
mkdir -p "$folder/bin" && cp python "$folder/bin/python"
echo "make $* [$(cat $PIP_CONSTRAINT | tr '\\n' ' ')]" >> asked
case "$*" in
    *"VENV=.venv-versions-$BROKEN test"*) echo "1 failed, 4 passed in 2.00s"; exit 2;;
    *test) echo "== 5 passed, 1 skipped in 3.00s =="; echo "slowest";;
esac
"""
PYTHON = """#!/bin/sh
case "$*" in
    *" pip "*) echo "$*" >> asked;;
    *pytest*) echo "Keras' own tests of 1.2.3: 7 passed"; exit ${OWN:-0};;
    *) echo "Keras 1.2.3, TensorFlow 4.5.6, Python 7.8.9";;
esac
"""


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("versions", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script, where tools only note what they are asked."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for name, text in {"make": MAKE, "python": PYTHON}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(checkout, *names, **environment):
    path = f"{checkout}{os.pathsep}{os.environ['PATH']}"
    kept = {
        k: v for k, v in os.environ.items() if k not in ("PIP_CONSTRAINT", "DEVICE")
    }
    return subprocess.run(
        [sys.executable, checkout / ".ci/versions.py", *names],
        env={**kept, "PATH": path, "BROKEN": "none", **environment},
        capture_output=True,
        text=True,
    )


def test_the_oldest_versions_are_the_lowest_that_the_package_allows(script):
    held = script.constraints("oldest", script.requirements("cpu"))
    assert held == ["keras==3.12", "tensorflow-cpu==2.21", "tensorflow==2.21"]
    held = script.constraints("oldest", script.requirements("gpu"))
    assert held == ["keras==3.12", "tensorflow==2.21"]
    assert script.constraints("newest", script.requirements("cpu")) == []


def test_make_and_the_workflow_test_the_same_versions(script):
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^VERSIONS \?= (.*)$", text, re.M)[1].split() == [*script.NAMES]
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    quick = yaml.safe_load(text)["jobs"]["quick"]
    assert quick["strategy"]["matrix"]["versions"] == [*script.NAMES]
    assert "make test-versions VERSIONS=${{ matrix.versions }}" in text


def test_each_pair_is_installed_and_tested_and_has_a_closing_line(checkout):
    done = run(checkout, "oldest", "newest")
    assert done.returncode == 0, done.stderr
    said = "Keras 1.2.3, TensorFlow 4.5.6, Python 7.8.9"
    closing = "5 passed, 1 skipped in 3.00s; Keras' own tests of 1.2.3: 7 passed"
    assert done.stdout.splitlines()[-2:] == [
        f"oldest: {said}: {closing}",
        f"newest: {said}: {closing}",
    ]
    asked = (checkout / "asked").read_text(encoding="utf-8").splitlines()
    oldest = "keras==3.12 tensorflow-cpu==2.21 tensorflow==2.21"
    for lines, name, held in ((asked[:3], "oldest", oldest), (asked[3:], "newest", "")):
        folder = f".venv-versions-{name}"
        made, upgraded, tested = lines
        assert f"VENV={folder} {folder}/.ready-test-cpu [{held}]" in made
        assert "pip install" in upgraded and "-U keras>=3.12,<4 tensorflow" in upgraded
        assert f"VENV={folder} test" in tested


@pytest.mark.parametrize("failing", [{"BROKEN": "oldest"}, {"OWN": "1"}])
def test_one_failure_fails_and_the_other_pair_is_still_tested(checkout, failing):
    done = run(checkout, "oldest", "newest", **failing)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()[-2:]
    assert ("1 failed, 4 passed" in first) == ("BROKEN" in failing)
    assert second.startswith("newest: ") and "5 passed" in second


@pytest.mark.parametrize("names", [[], ["oldest", "older"]])
def test_unknown_versions_are_refused(checkout, names):
    done = run(checkout, *names)
    assert done.returncode == 1
    assert "VERSIONS must be among: oldest newest. Received:" in done.stderr
    assert not (checkout / "asked").exists()


def test_clean_removes_the_environments_and_git_ignores_them():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    removed = re.search(r"^clean:.*\n\trm -rf (.*)$", text, re.M)[1].split()
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert ".venv-versions-*" in removed and ".venv-versions-*" in ignored
