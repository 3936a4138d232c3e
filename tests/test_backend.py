"""The import says what to install or set, and applies environment variables."""

import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import pytest

from bptt_keras import backend, tensorflow_internals
from bptt_keras.backend import compile_cache, require_tensorflow, use_compile_cache


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


@pytest.fixture
def early(monkeypatch):
    """As if TensorFlow had not run yet, with no settings of its own."""
    monkeypatch.setattr(tensorflow_internals, "operations_have_run", lambda: False)
    # Set first, so that it is put back as it was.
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    monkeypatch.delenv("TF_XLA_FLAGS")


def test_the_compile_cache_is_a_folder_that_is_made(early, monkeypatch, tmp_path):
    folder = tmp_path / "deep" / "cache"
    monkeypatch.setenv("BPTT_KERAS_COMPILE_CACHE", str(folder))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug")
    assert use_compile_cache() == use_compile_cache() == compile_cache() == str(folder)
    assert folder.is_dir()
    expected = f"--tf_xla_clustering_debug {backend._CACHE_FLAG}{folder}"
    assert os.environ["TF_XLA_FLAGS"] == expected


def test_without_the_variable_nothing_is_set(early, monkeypatch):
    monkeypatch.delenv("BPTT_KERAS_COMPILE_CACHE", raising=False)
    assert use_compile_cache() is None
    assert compile_cache() is None
    assert "TF_XLA_FLAGS" not in os.environ


def test_a_compile_cache_that_comes_too_late_warns(monkeypatch, tmp_path):
    monkeypatch.delenv("TF_XLA_FLAGS", raising=False)
    monkeypatch.setenv("BPTT_KERAS_COMPILE_CACHE", str(tmp_path))
    keras.ops.ones(())
    with pytest.warns(UserWarning, match="Import it first"):
        assert use_compile_cache() is None
    assert compile_cache() is None


def test_an_impossible_compile_cache_is_refused(early, monkeypatch, tmp_path):
    monkeypatch.setenv("BPTT_KERAS_COMPILE_CACHE", str(tmp_path / "two words"))
    with pytest.raises(ValueError, match="no blanks in its name.*two words"):
        use_compile_cache()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BPTT_KERAS_COMPILE_CACHE", str(tmp_path / "file" / "folder"))
    with pytest.raises(ValueError, match="cannot be made.*Received"):
        use_compile_cache()


# Two fields of protocol buffers: a string of three bytes, one of two hundred.
PROGRAM = b"\x0a\x03abc" + b"\x1a\xc8\x01" + bytes(200)


@pytest.fixture
def cache(early, monkeypatch, tmp_path):
    """A folder with one program, which was looked at before."""
    (tmp_path / "a.pb").write_bytes(PROGRAM)
    monkeypatch.setenv("BPTT_KERAS_COMPILE_CACHE", str(tmp_path))
    assert use_compile_cache() == str(tmp_path)
    monkeypatch.delenv("TF_XLA_FLAGS")
    return tmp_path


def test_a_complete_program_stays_in_the_compile_cache(cache):
    use_compile_cache()
    assert (cache / "a.pb").read_bytes() == PROGRAM
    assert "read_only" not in os.environ["TF_XLA_FLAGS"]


def test_a_program_with_a_flipped_bit_is_compiled_again(cache):
    (cache / "a.pb").write_bytes(PROGRAM[:-1] + b"\x01")
    with pytest.warns(UserWarning, match="damaged programs: 1. They are compiled anew"):
        assert use_compile_cache() == str(cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", PROGRAM[:-1], PROGRAM[:6], PROGRAM + b"\xff", b"\x0b" * 9]
)
def test_a_program_truncated_by_a_full_disk_is_compiled_again(cache, content):
    (cache / "a.pb").write_bytes(content)
    (cache / "a.pb.sha256").unlink()
    with pytest.warns(UserWarning, match="damaged programs"):
        use_compile_cache()
    assert not (cache / "a.pb").exists()


def test_a_damaged_program_that_stays_is_not_used(cache, monkeypatch):
    (cache / "a.pb").write_bytes(b"")

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(cache), "unlink", refuse)
    with pytest.warns(UserWarning, match="the folder is not used"):
        assert use_compile_cache() is None
    assert "TF_XLA_FLAGS" not in os.environ


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("os.access", lambda *_: False, "is read-only"),
        ("shutil.disk_usage", lambda _: SimpleNamespace(free=0), "too little room"),
    ],
)
def test_a_compile_cache_without_room_is_only_read(
    cache, monkeypatch, name, value, words
):
    monkeypatch.setattr(name, value)
    with pytest.warns(UserWarning, match=words):
        assert use_compile_cache() == str(cache)
    assert os.environ["TF_XLA_FLAGS"].endswith("persistent_cache_read_only=true")


TRAINING = """
import bptt_keras as bk
import keras, numpy as np
keras.utils.set_random_seed(0)
model = keras.Sequential([bk.layers.LSTM(2, return_sequences=True)])
trainer = bk.TruncatedBPTT(model, window=4, shards=1)
trainer.compile("sgd", "mse")
x = np.ones((2, 8, 2), "float32")
print(trainer.fit(x, x, verbose=0).history["loss"][0])
trainer.summary()
"""


@pytest.mark.slow
def test_a_second_process_finds_the_programs_of_the_first(root, tmp_path):
    folder = tmp_path / "cache"

    def train():
        done = subprocess.run(
            [sys.executable, "-c", TRAINING],
            env={
                **os.environ,
                "PYTHONPATH": str(root),
                "BPTT_KERAS_COMPILE_CACHE": str(folder),
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, {
            path: path.stat().st_mtime_ns for path in folder.glob("*.pb")
        }

    first, written = train()
    assert f"programs kept in {folder}" in first
    assert written
    second, found = train()
    assert found == written
    assert second.splitlines()[0] == first.splitlines()[0]
