"""The files for continuous integration agree with the rest of the project."""

import re

import pytest
import yaml

from tests.project.files import ROOT
from tests.project.test_packaging import setup_cfg

YAML = sorted(
    path
    for pattern in (".github/**/*.yml", ".pre-commit-config.yaml", "CITATION.cff")
    for path in ROOT.glob(pattern)
)


def load(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_it_is_yaml_with_content(path):
    assert load(path.relative_to(ROOT))


def test_the_oldest_python_is_the_one_that_the_package_asks_for():
    matrix = load(".github/workflows/tests.yml")["jobs"]["quick"]["strategy"]["matrix"]
    asked = setup_cfg()["options"]["python_requires"]
    assert asked == f">={matrix['python'][0]}"


@pytest.mark.parametrize("name", ["tests.yml", "wheels.yml"])
def test_the_targets_of_make_exist(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"run: make ([a-z-]+)", text)) <= set(targets)


def test_the_release_refuses_a_wheel_without_native_kernels():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    release = text.partition("[tool.cibuildwheel]")[2].partition("[tool.ruff]")[0]
    environments = re.findall(r"^environment = (.*)$", release, re.MULTILINE)
    assert environments
    assert all('BPTT_KERAS_REQUIRE_NATIVE = "1"' in line for line in environments)
    script = re.search(r'^test-command = "python {project}/(.*)"$', release, re.M)[1]
    assert (ROOT / script).is_file()


def test_the_citation_has_the_version():
    citation = load("CITATION.cff")
    assert citation["version"] == setup_cfg()["metadata"]["version"]
    assert citation["license"] == setup_cfg()["metadata"]["license"]


def test_majors_of_keras_and_tensorflow_are_bounded():
    requirements = setup_cfg()["options"]["install_requires"].split()
    extras = setup_cfg()["options.extras_require"]
    keras = [r for r in requirements if r.startswith("keras")]
    tensorflow = [*extras["cpu"].split("\n"), *extras["gpu"].split("\n")]
    tensorflow = [r.split(";")[0] for r in tensorflow if r]
    assert keras == ["keras>=3.12,<4"]
    assert len(tensorflow) == 4
    assert all(r.endswith(">=2.21,<3") for r in tensorflow)
