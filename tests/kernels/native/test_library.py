"""The library is there, and what keeps it from running is said in words."""

import os
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.kernels import lstm
from bptt_keras.kernels.native import library as loading
from bptt_keras.kernels.native import probe

COMPILERS = ("c++", "g++", "clang++")


@pytest.fixture
def unknown(monkeypatch):
    """As in a new process: nothing is known about the library."""
    monkeypatch.setattr(probe, "_found", None)
    loading.library.cache_clear()
    yield
    loading.library.cache_clear()


def test_the_library_runs_where_there_is_a_compiler():
    """The other tests of native code are skipped without it: this one is not."""
    if sys.platform == "win32" or not any(map(shutil.which, COMPILERS)):
        pytest.skip("no compiler, so there is no library")
    if tf.config.list_physical_devices("GPU") or os.environ.get(loading.SWITCH) == "0":
        pytest.skip("native code is not wanted here")
    assert probe.why_not(xla=True) is None
    assert probe.why_not(xla=False) is None


def test_the_best_set_of_instructions_is_the_default(native):
    if os.environ.get(loading.SWITCH, "1") != "1":
        pytest.skip("another set is asked for")
    assert native.chosen() == native.sets()[0]
    assert native.sets()[-1] == "baseline"
    assert probe.instructions("bfloat16") == loading.SETS[native.chosen()]


def test_float32_does_not_use_instructions_for_bfloat16(native, instructions):
    words = probe.instructions("float32")
    assert words in {loading.SETS[name] for name in ("avx512", "avx2", "baseline")}
    same = instructions in ("avx512", "avx2", "baseline")
    assert (words == loading.SETS[instructions]) is same


def test_an_unknown_set_of_instructions_is_refused(native):
    with pytest.raises(loading.Unavailable, match="'mmx', and there are .*baseline"):
        native.choose("mmx")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("0", "BPTT_KERAS_NATIVE=0 switches it off"),
        ("mmx", "BPTT_KERAS_NATIVE asks for the instructions 'mmx', and there are"),
    ],
)
def test_the_environment_switches_it_off(value, why, unknown, monkeypatch):
    monkeypatch.setenv(loading.SWITCH, value)
    layer = bk.layers.LSTM(3)
    assert layer.why_not("native").startswith(why)
    assert layer.kernel_of(xla=True) == layer.kernel_of(xla=False) == "fused"
    assert layer(np.ones((2, 4, 5), "float32")).shape == (2, 3)
    with pytest.raises(ValueError, match=why):
        bk.layers.LSTM(3, implementation="native")(np.ones((2, 4, 5), "float32"))


def test_the_environment_chooses_the_instructions(native, unknown, monkeypatch):
    monkeypatch.setenv(loading.SWITCH, "baseline")
    assert probe.why_not(xla=True) is None
    assert native.chosen() == "baseline"


def test_a_missing_library_is_said(unknown, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "PATH", tmp_path / "missing.so")
    assert "was not built" in probe.why_not(xla=True)
    x = np.ones((4, 2, 3), "float32")
    state, weights = np.ones((2, 3), "float32"), np.ones((3, 12), "float32")
    # Nothing else changes: the fused kernel runs.
    assert lstm(x, state, state, weights, weights)[0].shape == (4, 2, 3)
    with pytest.raises(ValueError, match="cannot run here: it was not built"):
        lstm(x, state, state, weights, weights, implementation="native")


def test_a_file_that_is_no_library_is_said(unknown, monkeypatch, tmp_path):
    (tmp_path / "broken.so").write_text("nothing")
    monkeypatch.setattr(loading, "PATH", tmp_path / "broken.so")
    assert "it cannot be loaded" in probe.why_not(xla=False)


def test_another_interface_is_refused(native, unknown, monkeypatch):
    monkeypatch.setattr(loading, "INTERFACE", 99)
    assert "another version of the package" in probe.why_not(xla=True)


def test_wrong_numbers_are_noticed(native, unknown, monkeypatch):
    right = probe._by_tensorflow

    def wrong(given):
        first, *others = right(given)
        return [first + 0.01, *others]

    monkeypatch.setattr(probe, "_by_tensorflow", wrong)
    assert probe.why_not(xla=True) == "its numbers are wrong on this machine"
    assert probe.why_not(xla=False) == "its numbers are wrong on this machine"


def test_a_way_that_fails_leaves_the_other_one(native, unknown, monkeypatch):
    def refuse(self):
        raise loading.Unavailable("XLA has refused to register it")

    monkeypatch.setattr(loading.Library, "register_with_xla", refuse)
    assert probe.why_not(xla=True) == "XLA has refused to register it"
    assert probe.why_not(xla=False) is None


def test_a_gpu_keeps_native_code_away(monkeypatch):
    monkeypatch.setattr(probe, "has_gpu", lambda: True)
    assert probe.why_not(xla=True) == probe.why_not(xla=False) == "there is a GPU"


def test_it_is_tried_out_while_a_function_is_traced(native, unknown):
    @tf.function(jit_compile=True)
    def program(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            weights = tf.ones((3, 12))
            loss = tf.reduce_sum(lstm(x, x[0], x[0], weights, weights)[0])
        return tape.gradient(loss, x)

    before = native.calls()
    assert np.isfinite(program(tf.ones((4, 2, 3)))).all()
    # Two calls for each way when it is tried out, then those of the program.
    assert native.calls() - before == 6


def test_threads_of_tensorflow_are_respected(native, unknown, monkeypatch):
    told, threading = [], tf.config.threading
    monkeypatch.setattr(threading, "get_intra_op_parallelism_threads", lambda: 3)
    monkeypatch.setattr(loading.Library, "set_threads", lambda _, n: told.append(n))
    assert probe.why_not(xla=False) is None
    assert told == [3]
