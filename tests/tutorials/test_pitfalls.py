"""Each script falls into a pitfall, and the library names it in words."""

import os
import subprocess
import sys

import pytest

from tests.project.files import ROOT

FOLDER = ROOT / "tutorials" / "pitfalls"
# Script -> what it prints, in order.
WORDS = {
    "state_not_detached": [
        "state not detached:\n  Memory grows with the length",
        "the state is not detached between them",
        "state detached:\n  Memory does not grow",
        "TruncatedBPTT:\n  Memory does not grow",
        "Full backpropagation grows like T^",
    ],
    "window_too_long": [
        "(vanishing): Gradients vanish",
        "(window too long): The window of 400 timesteps is far beyond the horizon",
        "timesteps for the backward pass in place of 400",
        "what shorter windows are worth: A window of",
    ],
    "explosion": [
        "at the start, warning (wrong way): Windows up to 10 point the wrong way",
        "after epoch 1, warning (not finite)",
        "window 10: losses inf",
        "window 200: losses",
    ],
    "lstm_forgets": [
        "LSTM: Gradients vanish: half is gone after",
        "LSTM, Chrono(200): Gradients last",
    ],
    "reset_forgotten": [
        "resets forgotten:\n  The carried state does harm",
        "flag the start of each sequence with `reset`",
        "starts flagged, looked at as if they were not:\n  The carried state does harm",
    ],
}


def test_each_script_has_expected_output():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(WORDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDS)
def test_the_library_names_the_pitfall(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    place = 0
    for words in WORDS[name]:
        found = done.stdout.find(words, place)
        assert found >= 0, f"{words!r} is missing after:\n{done.stdout[:place]}"
        place = found
    # A good window has no bad end.
    if name == "explosion":
        assert "nan" not in done.stdout[place:]
