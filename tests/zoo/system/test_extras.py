import configparser
import re
import subprocess
import sys

import pytest

from tests.project.files import ROOT
from zoo.system import extras
from zoo.system.extras import EXTRAS, not_installed, require_extras

# Runs a command where some packages cannot be found.
CODE = """
import sys
hidden = set(sys.argv[1].split(","))

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from zoo.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def without(names, *arguments):
    """Exit code, standard output and standard error of a command."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, ",".join(names), *arguments],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_every_package_of_the_extra_is_known():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.extras_require"]["zoo"].split("\n")
    names = [re.match(r"[\w-]*", line)[0].replace("-", "_") for line in lines if line]
    # etils comes with tensorflow_datasets; the line is about its version.
    assert {*names, "tensorflow"} - {"etils"} == set(EXTRAS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["train", "forecasting", "--help"],
        ["tune", "char-lm", "--help"],
        ["evaluate", "--help"],
        ["pull", "--help"],
    ],
)
@pytest.mark.quick(3)
def test_commands_that_only_print_need_no_extra(arguments):
    code, out, err = without(EXTRAS, *arguments)
    assert (code, err) == (0, "") and out


@pytest.mark.parametrize("arguments", [["list"], ["show", "echo-8"]])
@pytest.mark.quick(1)
def test_commands_that_only_read_need_only_pydantic(arguments):
    code, out, err = without(EXTRAS.keys() - {"pydantic"}, *arguments)
    assert (code, err) == (0, "") and out
    code, out, err = without(["pydantic"], *arguments)
    assert code == 1 and "pydantic is not installed. Install it with" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in EXTRAS if name != "tensorflow"])
@pytest.mark.quick(2)
def test_a_training_names_the_package_and_the_extra(name, tmp_path):
    out = tmp_path / "out"
    code, _, err = without([name], "train", "copy-memory", "--out", out)
    assert code == 1 and err.count("\n") == 1
    assert f"{name} is not installed. Install it with: pip install 'bptt_keras[" in err
    assert "zoo]'" in err
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "echo-8"],
        ["generate", "tiny-shakespeare", "--prompt", "a"],
        ["forecast", "sunspots", "--data", "x.csv"],
        ["report", "x"],
        ["results"],
        ["export", "echo-8", "--format", "onnx"],
        ["export-preset", "echo-8", "--out", "x"],
        ["publish", "x"],
        ["tune", "adding", "--out", "x"],
    ],
)
@pytest.mark.quick(2)
def test_every_command_names_tensorflow_where_it_is_missing(arguments, tmp_path):
    code, _, err = without(["tensorflow"], *arguments)
    assert code in (1, 2) and err.count("\n") == 1
    assert "Traceback" not in err
    if "x.csv" not in arguments:
        assert "tensorflow is not installed. Install it with: pip install" in err


def test_completion_names_a_missing_package(tmp_path):
    code, _, err = without(["shtab"], "completion", "bash")
    assert code == 1 and "shtab is not installed" in err and err.count("\n") == 1


def test_the_extra_replaces_no_tensorflow_for_gpus(monkeypatch):
    monkeypatch.setattr(extras, "tensorflow_version", lambda *names: None)
    assert "[cpu,zoo]" in str(not_installed("tqdm"))
    assert "[cpu]" in str(not_installed("tensorflow"))
    monkeypatch.setattr(extras, "tensorflow_version", lambda *names: "2.21")
    assert "[zoo]" in str(not_installed("tqdm"))


def test_nothing_is_missing_here():
    require_extras()
