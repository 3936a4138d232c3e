"""The whole project passes the linter and is formatted by it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_finds_nothing_to_change(command, root):
    ruff = [sys.executable, "-m", "ruff", *command, "."]
    done = subprocess.run(ruff, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, "\n" + done.stdout + done.stderr
