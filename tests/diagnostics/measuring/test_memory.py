"""`memory`: its measurements, the laws that predict them, and that nothing changes."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.diagnostics import MemoryUse, memory
from bptt_keras.diagnostics.measuring.peak import _counts_tensors, can_measure
from tests.diagnostics.test_gradient_flow import data, linear

NEEDS_MEASURE = pytest.mark.skipif(not can_measure(), reason="Linux or a GPU")


def compiled(units=64):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.LSTM(units, return_sequences=True),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=20)
    trainer.compile("adam", "mse", jit_compile=False)
    return trainer


@NEEDS_MEASURE
@pytest.mark.slow
def test_each_method_grows_as_its_law_says():
    use = memory(compiled(), data(rows=64, steps=100), [512, 1024, 2048])
    assert use.window == 20
    full, sqrt, windows = (use.measured[m] for m in ("full", "sqrt", "windows"))
    # Where tensors are counted, their blocks are up to twice as large as they.
    slack = 0.55 if _counts_tensors() else 0.1
    assert abs(use.exponent("full") - 1) < slack
    # 64 rows of h, c and four gates of 64 floats at least: 32 KiB a timestep and more.
    assert full[2] > 2048 * 64 * 64 * 4 * 2 / 2**20
    assert windows.max() < 0.1 * full[1]
    assert sqrt[2] < 0.1 * full[2]
    assert sqrt[2] < 3 * sqrt[0]
    assert "8 GiB are full at" in use.verdict()
    if not _counts_tensors():
        assert abs(use.error("full")) < 0.1


@NEEDS_MEASURE
@pytest.mark.slow
def test_training_continues_as_if_nothing_had_been_measured():
    x, y = data()
    weights = []
    for measures in (False, True):
        trainer = compiled(units=3)
        trainer.train_on_batch(x, y)
        if measures:
            memory(trainer, (x, y), [20, 40, 60], methods=["windows"])
        trainer.train_on_batch(x, y)
        weights.append([v.numpy() for v in trainer.model.variables])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"methods": ["all"]}, ValueError, "`methods` must be of"),
        ({"methods": []}, ValueError, "`methods` must be of"),
        ({"lengths": [10, 20]}, ValueError, "three at least"),
        ({"lengths": [10, 20, 0]}, ValueError, "at least 1"),
        ({"window": 0}, ValueError, "at least 1"),
        ({"loss": None}, ValueError, "`memory` needs a loss"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(change, error, message):
    arguments = {"lengths": [10, 20, 30], "loss": "mse"} | change
    with pytest.raises(error, match=message):
        memory(linear(0.9), data(), **arguments)


LENGTHS = [256, 1024, 4096]


def test_laws_are_fitted_and_inverted():
    use = MemoryUse(
        LENGTHS,
        {
            "full": [5 + 0.1 * t for t in LENGTHS],
            "sqrt": [2 + 0.5 * t**0.5 for t in LENGTHS],
            "windows": [7.0, 7.0, 7.0],
        },
        window=32,
    )
    assert use.predict("full", 10_000) == pytest.approx(1005)
    assert use.predict("sqrt", 10_000) == pytest.approx(52)
    assert use.predict("windows", 10**6) == pytest.approx(7)
    assert use.longest("full", 1005) == 10_000
    assert use.longest("sqrt", 52) == pytest.approx(10_000, abs=1)
    assert use.longest("windows", 8) == np.inf
    assert use.longest("windows", 6) == 0
    for method in use.measured:
        assert use.error(method) == pytest.approx(0, abs=1e-9)
    assert use.exponent("windows") == pytest.approx(0)


def test_decreasing_memory_is_taken_as_constant():
    use = MemoryUse(LENGTHS, {"windows": [8.0, 7.5, 7.0]}, window=32)
    assert 7 <= use.predict("windows", 10**6) <= 8


def test_a_constant_is_fitted_by_relative_errors():
    use = MemoryUse(LENGTHS, {"windows": [10.0, 5.0, 2.0]}, window=32)
    # The c that makes sum((c / m - 1)^2) least.
    mib = np.array([10.0, 5.0, 2.0])
    assert use.predict("windows", 1) == pytest.approx((1 / mib).sum() / (mib**-2).sum())


def test_memory_too_small_to_measure_is_reported():
    use = MemoryUse(LENGTHS, {"full": [0.01, 0.02, 0.04]}, window=32)
    assert "take less than 1 MiB" in use.verdict()


def test_a_poor_fit_has_a_large_error():
    use = MemoryUse(LENGTHS, {"full": [10.0, 20.0, 400.0]}, window=32)
    assert use.error("full") < -0.5


def test_the_plot_has_points_and_laws(tmp_path):
    use = MemoryUse(LENGTHS, {"full": [1.0, 4, 16], "windows": [1.0, 1, 1]}, 32)
    figure = use.plot(tmp_path / "memory.png")
    (axes,) = figure.axes
    assert len(axes.lines) == 4
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["full", "windows of 32"]


@pytest.mark.parametrize(
    ("lengths", "measured", "message"),
    [
        ([1, 2], {"full": [1, 2]}, "three at least"),
        ([1, 2, 3], {"full": [1, 2]}, "one value for each"),
        ([1, 2, 3], {"other": [1, 2, 3]}, "methods of"),
        ([1, 2, 3], {}, "methods of"),
    ],
)
def test_inconsistent_measurements_are_refused(lengths, measured, message):
    with pytest.raises(ValueError, match=message):
        MemoryUse(lengths, measured, 10)
