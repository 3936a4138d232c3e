"""Every tutorial runs from top to bottom, is kept as text, and ends with a pitfall."""

import re
import subprocess
import sys

import jupytext
import nbclient
import pytest

from tests.project.files import ROOT

TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.md"))
# Seconds; a slow machine that does other work at the same time has a multiple.
LIMIT = 5 * 60
# What it says of its build while it is imported, whatever the level of its log.
OF_TENSORFLOW = re.compile(r"absl::InitializeLog|oneDNN custom operations|^\s*$")
each = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


def cells(path, kind):
    return [c.source for c in jupytext.read(path).cells if c.cell_type == kind]


def test_tutorials_are_numbered_without_a_gap():
    numbers = [int(path.name[:2]) for path in TUTORIALS]
    assert numbers == list(range(1, 14))


@each
def test_it_ends_with_a_pitfall_after_what_is_to_be_kept(path):
    headings = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[-2] == "In short"
    assert headings[-1].startswith("Pitfall: ")


@each
def test_its_cells_are_linted_and_formatted(path, tmp_path):
    notebook = tmp_path / f"{path.stem}.ipynb"
    jupytext.write(jupytext.read(path), notebook)
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", notebook]
    for command in (["check", "--ignore", "D,E402"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *settings],
            capture_output=True,
            text=True,
            cwd=ROOT,  # Where the project's own packages are known as such.
        )
        assert done.returncode == 0, done.stdout + done.stderr


@each
def test_it_uses_public_names_alone(path):
    code = "\n".join(cells(path, "code"))
    assert not re.search(r"\b(?:bk|bptt_keras|zoo)(?:\.\w+)*\._\w", code)
    assert not re.search(r"^from (?:bptt_keras|zoo)\S*\.\w+ import _", code, re.M)


@pytest.mark.slow
@each
def test_it_runs_and_has_pictures(path, tmp_path, monkeypatch):
    # The kernel is another process: it takes the library from this checkout too.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # It shows figures only by the backend that it chooses itself.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = jupytext.read(path)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=LIMIT, resources=resources).execute()
    shown = [o for c in notebook.cells for o in c.get("outputs", [])]
    told = "".join(o["text"] for o in shown if o.get("name") == "stderr")
    lines = [line for line in told.splitlines() if not OF_TENSORFLOW.search(line)]
    assert not lines, "\n".join(lines)
    assert sum("image/png" in o.get("data", {}) for o in shown) > 1
