"""Without TensorFlow the import says what to install or set."""

import os
import subprocess
import sys

import keras
import pytest

from bptt_keras.backend import require_tensorflow


def test_import_without_tensorflow_names_the_extras(root, tmp_path):
    program = "import sys; sys.modules['tensorflow'] = None; import bptt_keras"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0
    assert last.startswith("ImportError: bptt_keras runs on TensorFlow")
    assert "bptt_keras[cpu]" in last and "bptt_keras[gpu]" in last


def test_another_backend_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="backend='jax'.*KERAS_BACKEND=tensorflow"):
        require_tensorflow()


def test_tensorflow_is_accepted():
    assert require_tensorflow() is None
