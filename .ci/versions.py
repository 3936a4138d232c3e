"""Tests the project with the oldest and the newest Keras and TensorFlow it supports.

`python .ci/versions.py oldest newest`; `make test-versions` does it. Each pair has an
environment of its own, `.venv-versions-NAME`. "oldest" are the lowest versions that
`setup.cfg` allows of these two, "newest" the highest that the registry has. All other
dependencies are in both the newest that pip finds. In each environment it runs
`make test`, to which `make` passes PYTEST, WORKERS and DEVICE, and Keras' own tests
with the drop-in layers. At the end it says a line a pair; its status is 1 if a test
failed.
"""

import configparser
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("oldest", "newest")
MAKE = ("make", "--no-print-directory")
OWN = "tests/layers/test_keras_own.py"
TELL = """
import importlib.metadata, platform
found = {}
for name in ("keras", "tensorflow", "tensorflow-cpu"):
    try:
        found[name.partition("-")[0]] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(f"Keras {found['keras']}, TensorFlow {found['tensorflow']},", end=" ")
print(f"Python {platform.python_version()}")
"""


def requirements(device):
    """What `setup.cfg` asks of Keras and TensorFlow, as pip takes it."""
    setup = configparser.RawConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].split("\n")
    lines += setup["options.extras_require"][device].split("\n")
    return [line for line in lines if re.match(r"(keras|tensorflow)\b", line)]


def constraints(name, asked):
    """Lines of a file of constraints: the lowest version of each requirement.

    `==3.12` is 3.12.0 and no other version. "newest" has none.
    """
    if name == "newest":
        return []
    lowest = [re.match(r"([a-z-]+)(?:\[.*\])?>=([0-9.]+)", line) for line in asked]
    return sorted({f"{match[1]}=={match[2]}" for match in lowest})


def install(name, device):
    """Makes or renews an environment; says what is in it."""
    folder = f".venv-versions-{name}"
    asked = requirements(device)
    with tempfile.TemporaryDirectory() as temporary:
        held = Path(temporary) / "constraints.txt"
        held.write_text("\n".join(constraints(name, asked)), encoding="utf-8")
        outer = os.environ.get("PIP_CONSTRAINT", "")
        environment = {**os.environ, "PIP_CONSTRAINT": f"{outer} {held}".strip()}
        ready = f"{folder}/.ready-test-{device}"
        subprocess.run([*MAKE, f"VENV={folder}", ready], env=environment, check=True)
        # An environment of an earlier run may have become old since.
        upgrade = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "-U")
        python = f"{folder}/bin/python"
        subprocess.run([python, *upgrade, *asked], env=environment, check=True)
    told = subprocess.run([python, "-c", TELL], stdout=subprocess.PIPE, check=True)
    return folder, told.stdout.decode().strip()


def watched(command):
    """Runs a command, its output passed on line by line: `(status, the lines)`."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.strip())
    return process.returncode, lines


def last(lines, pattern):
    """The last line that a pattern is found in, without pytest's decoration."""
    found = [line for line in lines if re.search(pattern, line)]
    return found[-1].strip("= ") if found else "no result"


def tested(folder):
    """Runs the tests in an environment: `(whether all passed, what to say of it)`."""
    quick, lines = watched([*MAKE, f"VENV={folder}", "test"])
    said = last(lines, r"\d+ (passed|failed|error)|no tests ran")
    own = [f"{folder}/bin/python", "-m", "pytest", "-q", "-s", "-rs", OWN]
    status, lines = watched(own)
    told = last(lines, "^Keras' own tests|needs Keras' own tests|failed|error")
    return quick == 0 == status, f"{said}; {told}"


def main(names):
    """Tests each pair of versions; returns the status."""
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        sys.exit(f"VERSIONS must be among: {' '.join(NAMES)}. Received: {names}.")
    os.chdir(ROOT)
    device = os.environ.get("DEVICE", "cpu")
    closing, status = [], 0
    for name in names:
        folder, versions = install(name, device)
        print(f"{name}: {versions}", flush=True)
        passed, said = tested(folder)
        closing.append(f"{name}: {versions}: {said}")
        status = status if passed else 1
    print("\n".join(closing))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
