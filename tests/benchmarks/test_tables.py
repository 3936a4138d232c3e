"""Figures and tables from rounds whose answers are known."""

import pytest

from tests.benchmarks import tables


def result(*seconds, error=None, others=0.0):
    return {
        "rounds": [
            {"seconds": s, "cpu": s, "loss": 2.0, "others": others} for s in seconds
        ],
        "error": error,
        "first": 1.5,
        "peak_mib": 300.0,
        "imports_mib": 200.0,
        "versions": {"machine": "a processor", "Fake": "1"},
    }


RESULTS = {
    "bptt_keras": result(0.010, 0.020, 0.010),
    "keras-1": result(0.030, 0.040, 0.030),
    "keras-16": result(0.020, 0.030, 0.020),
    "torch": result(0.015, error="ModuleNotFoundError: No module named 'torch'"),
}


@pytest.fixture
def rows():
    figures = tables.summarize(RESULTS, flops=4e9, rates=[800.0, 400.0, 800.0])
    return {row["name"]: row for row in figures}


def test_best_of_keras_is_its_fastest_variant():
    assert tables.peers(RESULTS)["Keras' best"] == "keras-16"


def test_speed_is_the_median_of_ratios_in_the_same_round(rows):
    assert rows["bptt_keras"]["speed"]["Keras' best"] == pytest.approx(2.0)
    assert rows["keras-16"]["speed"]["Keras' best"] == 1.0


def test_limit_is_the_fraction_that_products_alone_would_take(rows):
    # 4 GFLOP at 800 GFLOP/s take 5 ms, half of 10.
    assert rows["bptt_keras"]["limit_share"] == pytest.approx(0.5)


def test_yardstick_is_the_faster_product_of_each_round():
    products = {"a": result(1.0, 4.0), "b": result(2.0, 2.0)}
    assert tables.product_rates(products, 2e9) == [2.0, 1.0]


def test_table_names_what_failed_and_why(rows):
    text = tables.format_table(list(rows.values()), RESULTS)
    assert "torch                failed: ModuleNotFoundError" in text
    assert "x torch" not in text


def test_table_without_yardstick_has_no_limit():
    rows = tables.summarize(RESULTS, flops=4e9, rates=[])
    assert rows[0]["limit_share"] is None
    assert tables.format_table(rows, RESULTS)


def test_other_kernels_are_compared_with_the_default():
    fused = result(0.020, 0.020, 0.020) | {"kernel": "fused"}
    results = {**RESULTS, "bptt_keras-fused": fused}
    row = tables.summarize(results, flops=4e9, rates=[])[-1]
    assert row["speed"]["bptt_keras"] == pytest.approx(0.5)
    assert "fused" in tables.format_table([row], results)


def test_kernel_is_named_with_its_instruction_set():
    native = result(0.01) | {"kernel": "native", "kernel_set": "avx2"}
    (row,) = tables.summarize({"bptt_keras": native}, flops=4e9, rates=[])
    assert row["kernel"] == "native avx2"


@pytest.mark.parametrize("name", ["bptt_keras", "torch"])
def test_disturbed_contestant_has_no_ratio_and_is_nobodys_rival(name):
    results = {
        **RESULTS,
        "torch": result(0.02, 0.02, 0.02),
        name: result(0.03, 0.03, 0.03, others=0.4),
    }
    rows = {
        row["name"]: row for row in tables.summarize(results, flops=4, rates=[8] * 3)
    }
    assert rows[name]["speed"] == {}
    assert rows[name]["limit_share"] is None
    assert name not in rows["keras-1"]["speed"]
    text = tables.format_table(list(rows.values()), results)
    assert f"no ratio for {name}: in 3 of its 3 turns" in text
    assert "up to 0.40" in text


def test_best_of_keras_is_unknown_if_a_variant_was_disturbed():
    results = {**RESULTS, "keras-1": result(0.03, 0.03, 0.03, others=0.4)}
    assert tables.KERAS_BEST not in tables.peers(results)
    assert "nor for Keras' best" in "\n".join(tables.format_load(results))


def test_disturbed_yardstick_does_not_count():
    products = {"a": result(1.0, 4.0), "b": result(0.5, 0.5, others=0.4)}
    assert tables.product_rates(products, 2e9) == [2.0, 0.5]
    assert tables.product_rates({"b": products["b"]}, 2e9) == []


def test_unknown_load_is_said_and_does_not_forbid_ratios():
    results = {"bptt_keras": result(0.01, others=None), "torch": result(0.02)}
    rows = tables.summarize(results, flops=4e9, rates=[])
    assert rows[0]["speed"]["torch"] == pytest.approx(2.0)
    assert "is unknown" in tables.format_table(rows, results)


def test_versions_are_named_once():
    assert tables.format_versions(RESULTS) == "a processor, Fake 1"
