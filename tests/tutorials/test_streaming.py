"""The demo streams text from an exported file where TensorFlow is not installed."""

import os
import subprocess
import sys

import pytest

import zoo
from tests.project.files import ROOT
from zoo.products.sampling import generate
from zoo.products.steps import export_step

SCRIPT = ROOT / "tutorials" / "streaming" / "stream_text.py"
FILES = {"onnx": "text.onnx", "litert": "text.tflite"}


def test_the_demo_is_short_and_imports_no_tensorflow():
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert "import tensorflow" not in text and "import keras" not in text


@pytest.mark.parametrize(
    "format", ["onnx", pytest.param("litert", marks=pytest.mark.slow)]
)
def test_it_writes_what_the_preset_does(format, tmp_path):
    preset = zoo.from_preset("tiny-shakespeare")
    export_step(preset, tmp_path / FILES[format], format)
    for name in ("tensorflow", "keras", "bptt_keras", "zoo"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name} here')")
    arguments = ["--prompt", "ROMEO:", "--length", "60", "--temperature", "0"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), FILES[format], *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    expected = generate(preset, "ROMEO:", length=60, temperature=0)
    assert done.stdout == f"ROMEO:{expected}\n"
