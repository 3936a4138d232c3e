"""The table over all shapes, from results that are known."""

import dataclasses

from tests.benchmarks import summary, tables
from tests.benchmarks.shapes import Shape
from tests.benchmarks.test_tables import result


def one_shape(shape, results):
    """A shape's part of a report, as `suite` writes it."""
    return {
        "shape": dataclasses.asdict(shape),
        "product_gflops": [400.0],
        "rows": tables.summarize(results, flops=4e9, rates=[400.0]),
        "results": results,
        "yardsticks": {},
    }


def report(**shapes):
    return {"rounds": 1, "quick": False, "shapes": shapes}


SMALL = one_shape(
    Shape(32, 64, 128, windows=64),
    {
        "bptt_keras": result(0.010) | {"kernel": "native"},
        "bptt_keras-16": result(0.005) | {"kernel": "native"},
        "torch": result(0.020),
        "torch-malloc": result(0.015, others=0.4),
        "keras-1": result(0.040),
    },
)
LONG = one_shape(
    Shape(1, 100, 64, windows=1000, batch_windows=100, layers=2, features=3),
    {
        "bptt_keras": result(0.010, error="RuntimeError: no"),
        "bptt_keras-16": result(0.010),
        "torch": result(0.012),
    },
)
TEXT = summary.format_summary(report(small=SMALL, long=LONG))


def test_line_has_a_ratio_to_each_peer():
    row = (
        "| LSTM(128), 32, 64 | bptt_keras | 1 | native | 10.00 | 2.00 | - | 4.00 | - |"
    )
    assert row in TEXT.splitlines()


def test_missing_ratios_are_explained():
    assert "small: no ratio for torch-malloc: in 1 of its 1 turns" in TEXT
    assert "long: bptt_keras failed: RuntimeError: no" in TEXT


def test_windows_of_a_batch_are_named_and_not_repeated():
    assert "| LSTM(128), 32, 64 | bptt_keras-16 | 16 |" in TEXT
    assert "| 2 of LSTM(64) of 3 features, 1, 100 | bptt_keras | 100 | failed" in TEXT
    assert "1, 100 | bptt_keras-16" not in TEXT


def test_contestants_and_peers_can_be_chosen():
    text = summary.format_summary(report(small=SMALL), ["torch"], ["bptt_keras"])
    assert text.splitlines()[0].endswith("| ms | bptt_keras |")
    assert "| LSTM(128), 32, 64 | torch | 1 |  | 20.00 | 0.50 |" in text


def test_origin_is_one_line():
    assert "a processor, Fake 1, products 400 GFLOP/s, 1 rounds in turn." in TEXT


def test_only_columns_that_say_something_are_published():
    results = SMALL["results"] | {"bptt_keras-fused": result(0.015)}
    values, (head, rows) = summary.published(
        report(small=one_shape(Shape(32, 64, 128, windows=64), results)), ["bptt_keras"]
    )
    assert head == ["layer, rows, window", "PyTorch", "Keras", "fused kernel"]
    assert rows == [["LSTM(128), 32, 64", "2.00", "4.00", "1.50"]]
    assert values["rounds"] == 1
    assert values["limit_small_percent"] == 100.0
