import re
import subprocess

import pytest

from zoo.cli.completion import script
from zoo.cli.main import build_parser

PROBE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_bptt_zoo
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    """Words that bash offers for the last of some words, in a folder with files."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "table.csv").touch()
    (folder / "runs" / "mine").mkdir(parents=True)
    (folder / "completion.sh").write_text(script(build_parser(), "bash"))

    def call(*words):
        done = subprocess.run(
            ["bash", "-c", PROBE, "bash", "./completion.sh", "bptt-zoo", *words],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    return call


@pytest.mark.parametrize(
    "words, expected",
    [
        ("trai", "train"),
        ("train char-", "char-lm"),
        ("train forecasting --data ta", "table.csv"),
        ("train forecasting --recipe ta", "table.csv"),
        ("train forecasting --out ru", "runs"),
        ("train forecasting --layer layer", "layer-norm-lstm"),
        ("train forecasting --base la", "last"),
        ("train char-lm --clipping auto", "autoclip"),
        ("train char-lm --dataset tiny", "tiny-shakespeare"),
        ("tune char-lm --layer layer", "layer-norm-lstm"),
        ("resume runs/", "runs/mine"),
        ("evaluate echo", "echo-8"),
        ("evaluate ru", "runs"),
        ("evaluate x --dataset sun", "sunspots"),
        ("results echo-8 sun", "sunspots"),
        ("forecast x --data ta", "table.csv"),
    ],
)
def test_bash_completes(completed, words, expected):
    assert completed(*words.split()) == [expected]


def test_nothing_typed_offers_every_name(completed):
    assert {"echo-8", "sunspots", "runs"} <= set(completed("show", ""))
    assert set(completed("train", "char-lm", "--jit", "")) == {"auto", "on", "off"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_names_and_choices_too(shell):
    text = script(build_parser(), shell)
    assert "export-preset" in text
    if shell == "zsh":
        assert re.search(r"compadd -- .*\becho-8\b", text)
        assert "(global-norm variable-norm value agc autoclip zclip)" in text
