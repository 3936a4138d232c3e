"""Keras' own tests of recurrent layers pass with the drop-in layers in their places.

Keras' wheel lacks its tests. They come from its repository, by git, into
`build/keras.git`, or from a clone of it that `KERAS_REPOSITORY` names. Where they
cannot be had, the test is skipped; with `BPTT_KERAS_REQUIRE_OWN=1` in the environment
it fails.
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import keras
import pytest

from tests.layers.keras_own import FOLDER

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://github.com/keras-team/keras"
# Those that make drop-in layers, and those of what is wrapped around such layers or
# cells: they make none, and show that the package leaves Keras itself as it was.
WITH_OURS = ("lstm", "gru", "simple_rnn", "bidirectional")
AROUND = ("rnn", "stacked_rnn_cells", "time_distributed")


class Known(NamedTuple):
    """The tests of one version.

    Fields:
        tree: git's name of `FOLDER`, which is a checksum of all that is in it.
        passed: how many tests pass, file by file.
        skipped: tests that Keras itself skips: they need PyTorch.
    """

    tree: str
    passed: dict[str, int]
    skipped: set[str] = set()


IN_3_12 = {
    "lstm": 6,
    "gru": 8,
    "simple_rnn": 5,
    "bidirectional": 8,
    "rnn": 13,
    "stacked_rnn_cells": 7,
    "time_distributed": 5,
}
# Version without its last part -> its tests. To add one: name its folder as git does,
# look at what is new there, run, fill in the numbers.
KNOWN = {
    "3.12": Known("517afead01bdcc22d27bc96e81d3c475dff5013d", IN_3_12),
    "3.13": Known("d932fecfb8447d426800b339a1afcdc283919f75", IN_3_12),
    "3.14": Known(
        "d8e4017c600a1dbd052bd2ade8b4d4023447037e",
        {**IN_3_12, "gru": 9, "time_distributed": 11},
    ),
    "3.15": Known(
        "22b70df3f2521e1c122d888fd0d8acd63e2c12c3",
        {**IN_3_12, "gru": 9, "bidirectional": 12, "rnn": 14, "time_distributed": 11},
        {
            "gru_test.py::GRUTest::test_torch_cudnn_dispatch_fires",
            "bidirectional_test.py::SimpleRNNTest::"
            "test_torch_cudnn_bidirectional_gru_dispatch_fires",
        },
    ),
}
# Test -> why it cannot hold for the drop-in layers.
DESELECTED: dict[str, str] = {}


def git(*arguments, cwd, **options):
    # A hook of git names its own repository; nobody is there to type a password.
    own = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    environment = {k: v for k, v in os.environ.items() if k not in own}
    environment["GIT_TERMINAL_PROMPT"] = "0"
    return subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=environment,
        check=True,
        capture_output=True,
        **options,
    ).stdout


def fetched(cache, version, tree, repository):
    """A bare repository that holds the folder of test files that `tree` names.

    Raises:
        subprocess.SubprocessError: the repository cannot be reached.
        ValueError: the files of that version are others.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "HEAD").exists():
        git("init", "--quiet", "--bare", cwd=cache)
    try:
        git("cat-file", "-e", f"{tree}^{{tree}}", cwd=cache)
        return cache
    except subprocess.CalledProcessError:
        pass
    tag = f"refs/tags/v{version}"
    git("fetch", "--quiet", "--depth=1", repository, tag, cwd=cache, timeout=300)
    found = git("rev-parse", f"FETCH_HEAD:{FOLDER.as_posix()}", cwd=cache, text=True)
    if found.strip() != tree:
        raise ValueError(
            f"The tests of Keras {version} are not those that are known. Expected: "
            f"{tree}. Received: {found.strip()} from {repository}."
        )
    return cache


def unpacked(cache, tree, folder):
    """Writes the test files, without the modules beside them, into a folder."""
    inside = folder / FOLDER
    inside.mkdir(parents=True)
    archive = folder / "rnn.tar"
    archive.write_bytes(git("archive", "--format=tar", tree, cwd=cache))
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and member.name.endswith("_test.py"):
                name = Path(member.name).name
                (inside / name).write_bytes(tar.extractfile(member).read())


def run(folder, names):
    """Runs test files of a folder: `(pytest's process, what the plugin counted)`."""
    # An empty file of settings: those of this project are not Keras'.
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = folder / "report.json"
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--import-mode=importlib"),
            *("-p", "no:cacheprovider", "-p", "tests.layers.keras_own"),
            f"--own-report={report}",
            *(f"--deselect={FOLDER.as_posix()}/{name}" for name in DESELECTED),
            *(f"{FOLDER.as_posix()}/{name}_test.py" for name in names),
        ],
        cwd=folder,
        env={**environment, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert report.exists(), done.stdout + done.stderr
    return done, json.loads(report.read_text(encoding="utf-8"))


def unavailable(reason):
    """Skips the test, or fails where it is required."""
    required = os.environ.get("BPTT_KERAS_REQUIRE_OWN") == "1"
    (pytest.fail if required else pytest.skip)(f"needs Keras' own tests: {reason}")


def total(tests, what):
    """The counts of the tests, added up by file."""
    sums = collections.Counter()
    for name, test in tests.items():
        sums[name.partition("_test.py")[0]] += what(test)
    return dict(sums)


@pytest.mark.slow
def test_keras_own_tests_pass_with_the_drop_in_layers(tmp_path):
    version = keras.__version__
    known = KNOWN.get(version.rpartition(".")[0])
    if known is None:
        unavailable(f"those of {version} are not among {sorted(KNOWN)}; add its row")
    repository = os.environ.get("KERAS_REPOSITORY", REPOSITORY)
    try:
        cache = fetched(ROOT / "build/keras.git", version, known.tree, repository)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or str(error).encode()
        unavailable(f"git has none from {repository}: {told.decode().strip()}")
    unpacked(cache, known.tree, tmp_path)
    done, tests = run(tmp_path, WITH_OURS + AROUND)
    assert done.returncode == 0, done.stdout
    passed = total(tests, lambda test: test["outcome"] == "passed")
    skipped = {name for name, test in tests.items() if test["outcome"] == "skipped"}
    made = total(tests, lambda test: test["made"])
    print(
        f"Keras' own tests of {version}: {sum(passed.values())} passed, "
        f"{len(skipped)} skipped, {len(DESELECTED)} deselected; they made "
        f"{sum(made.values())} drop-in layers"
    )
    assert passed == known.passed
    assert skipped == known.skipped
    without = {
        name
        for name, test in tests.items()
        if name.startswith(WITH_OURS) and test["outcome"] == "passed"
        if not test["made"]
    }
    assert not without, "they made none of the drop-in layers"
    run_by_file = total(tests, lambda test: test["run"])
    assert all(run_by_file[name] > 0 for name in WITH_OURS), run_by_file
    missed = {name for name, test in tests.items() if test["missed"]}
    assert not missed, "they made layers of Keras instead"


@pytest.mark.slow
def test_what_keras_tests_make_is_told_apart(tmp_path):
    inside = tmp_path / FOLDER
    inside.mkdir(parents=True)
    (inside / "a_test.py").write_text(
        "import numpy as np\n"
        "from keras.src import layers\n"
        "from keras.src.layers.rnn.gru import GRU\n"
        "import pytest\n"
        "def test_ours():\n"
        "    layer = layers.LSTM(2, name='a')\n"
        "    assert layer(np.ones((1, 3, 1), 'float32')).shape == (1, 2)\n"
        "    assert type(layer).from_config(layer.get_config()).units == 2\n"
        "def test_theirs():\n"
        "    GRU(2)\n"
        "def test_fails():\n"
        "    assert layers.SimpleRNN(2).units == 3\n"
        "def test_skipped():\n"
        "    pytest.skip('for a reason')\n",
        encoding="utf-8",
    )
    done, tests = run(tmp_path, ["a"])
    assert done.returncode == 1
    assert {
        name.partition("::")[2]: tuple(test.values()) for name, test in tests.items()
    } == {
        "test_ours": ("passed", 2, 1, 0),
        "test_theirs": ("passed", 0, 0, 1),
        "test_fails": ("failed", 1, 0, 0),
        "test_skipped": ("skipped", 0, 0, 0),
    }


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one test file and a module, tagged v1.0.0."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    # Whoever signs commits need not sign these.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "origin"
    inside = folder / FOLDER
    inside.mkdir(parents=True)
    for name in ("lstm.py", "lstm_test.py"):
        (inside / name).write_text(f"# {name}\n", encoding="utf-8")
    git("init", "--quiet", cwd=folder)
    git("add", ".", cwd=folder)
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    git(*author, "commit", "--quiet", "--message=m", cwd=folder)
    git("tag", "v1.0.0", cwd=folder)
    return folder


def test_test_files_are_fetched_once_and_unpacked_alone(tmp_path, repository):
    tree = git("rev-parse", f"HEAD:{FOLDER.as_posix()}", cwd=repository, text=True)
    cache = fetched(tmp_path / "cache", "1.0.0", tree.strip(), str(repository))
    # Another patch version with the same folder: no repository is asked.
    assert fetched(cache, "1.0.1", tree.strip(), str(tmp_path / "none")) == cache
    unpacked(cache, tree.strip(), tmp_path / "out")
    found = [path.name for path in (tmp_path / "out" / FOLDER).iterdir()]
    assert found == ["lstm_test.py"]


def test_other_test_files_than_the_known_ones_are_refused(tmp_path, repository):
    with pytest.raises(ValueError, match="Expected: 0000.*Received: [0-9a-f]{40}"):
        fetched(tmp_path / "cache", "1.0.0", "0" * 40, str(repository))


def test_without_a_repository_the_reason_is_told(tmp_path, repository):
    with pytest.raises(subprocess.SubprocessError):
        fetched(tmp_path / "cache", "2.0.0", "0" * 40, str(repository))


@pytest.mark.parametrize("required", ["0", "1"])
def test_tests_that_cannot_be_had_are_skipped_unless_required(monkeypatch, required):
    monkeypatch.setenv("BPTT_KERAS_REQUIRE_OWN", required)
    ends = {"0": pytest.skip.Exception, "1": pytest.fail.Exception}[required]
    with pytest.raises(ends, match="needs Keras' own tests: no network"):
        unavailable("no network")
