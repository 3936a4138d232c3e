"""Every hostile file is refused in one sentence, within 2 seconds and 500 MB."""

import json
import subprocess
import sys

import pytest

from tests.zoo.hostile import states
from tests.zoo.hostile.files import MAT, MIDI, NPZ, PRESETS

# One measurement reads them all: parsers and commands have quick tests of their own.
pytestmark = pytest.mark.slow

# Notes without end are music, if they are not too many.
GOOD = {(".mid", "many notes at once")}


@pytest.fixture(scope="module")
def outcomes(root):
    """What each kind costs: `{(kind, name): row}`."""
    made = subprocess.run(
        [sys.executable, "-m", "tests.zoo.hostile.measure"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    rows = map(json.loads, made.stdout.splitlines())
    return {(row["kind"], row["name"]): row for row in rows}


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        (".mat", MAT),
        (".npz", NPZ),
        (".mid", MIDI),
        ("preset", PRESETS),
        ("index", states.INDEXES),
        ("checkpoint", states.CHECKPOINTS),
        ("recipe", states.RECIPES),
        (".csv", states.TABLES),
        (".ts", states.CASES),
        (".txt", states.TEXTS),
    ],
)
def test_each_kind_is_measured(outcomes, kind, table):
    assert {name for of, name in outcomes if of == kind} == set(table)


def test_each_is_refused_in_one_sentence(outcomes):
    refused = {key for key, row in outcomes.items() if row["refused"]}
    assert outcomes.keys() - refused == GOOD
    for key in refused:
        error = outcomes[key]["error"]
        assert "\n" not in error and len(error) < 700, key
        assert "Traceback" not in error and "Errno" not in error, key


def test_none_takes_long_or_much_memory(outcomes):
    # Seconds as on a machine that does nothing else.
    slow = {key for key, row in outcomes.items() if row["seconds"] > 2}
    large = {key for key, row in outcomes.items() if row["megabytes"] > 500}
    assert not slow and not large


def test_none_leads_to_another_place(outcomes):
    assert not {key for key, row in outcomes.items() if row["outside"]}


@pytest.mark.parametrize("name", ["pipe", "device", "folder"])
def test_a_path_that_is_not_a_file_is_refused_within_a_second(outcomes, name):
    rows = [row for (kind, of), row in outcomes.items() if of.startswith(f"{name}, ")]
    assert len(rows) == 4
    assert all(row["refused"] and row["seconds"] < 1 for row in rows)
