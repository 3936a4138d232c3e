"""The second scale of a metric: bits beside nats, perplexity beside nats."""

import math

import pytest

from zoo.plain.scales import headings, worded
from zoo.runs.report import derived, result_table, verdict
from zoo.tasks import TASKS

METADATA = {
    "task": "word-lm",
    "data": {"name": "penn-treebank"},
    "metric": {"name": "cross-entropy", "unit": "nats per word", "part": "test"},
    "references": {"somebody": math.log(57.3)},
    "baselines": {"uniform": math.log(10_000)},
}


def test_results_of_words_show_perplexity_beside_nats():
    metadata = METADATA | {"metric": METADATA["metric"] | {"value": 4.5}}
    assert headings("nats per word", "any") == ["nats/word", "perplexity"]
    assert worded(4.5, "nats per word") == "4.5000 nats/word, 90.02 perplexity"
    assert worded(0.5, "") == "0.5000"
    lines = [line.split() for line in result_table(metadata).splitlines()[2:]]
    assert lines == [
        ["this", "model", "4.5000", "90.02"],
        ["somebody", "4.0483", "57.30"],
        ["uniform", "9.2103", "10000.00"],
    ]


def test_logs_get_the_second_scale_of_what_they_have():
    logs = {"loss": 4.0, "val_loss": 4.5}
    for name, log, function in (
        ("word-lm", "ppl", math.exp),
        ("char-lm", "bpc", lambda nats: nats / math.log(2)),
    ):
        found = derived(logs, TASKS[name].METRIC)
        assert found == pytest.approx({log: function(4.0), f"val_{log}": function(4.5)})
        assert derived({"loss": 4.0}, TASKS[name].METRIC) == {log: found[log]}
    assert derived(logs, TASKS["music"].METRIC) == {}


def judged(task, value, baselines):
    metric = {"name": "metric", "unit": TASKS[task].METRIC.unit, "value": value}
    return verdict({"task": task, "metric": metric, "baselines": baselines})


def test_a_simple_rule_that_does_better_is_named_with_both_values():
    rules = {"chance": 0.25, "nearest neighbour": 0.75, "majority": 0.6}
    assert judged("classification", 0.5, rules) == (
        "A simple rule does better: nearest neighbour 0.7500 (this model 0.5000)."
    )
    errors = {"last value": 0.024, "mean": 1.0}
    assert "last value 0.0240 (this model 0.0410)" in judged(
        "forecasting", 0.041, errors
    )


@pytest.mark.parametrize("value", [0.75, 0.8, 0.74999999])
def test_nothing_is_said_if_no_rule_does_better(value):
    assert judged("classification", value, {"nearest neighbour": 0.75}) == ""
    assert judged("classification", value, {}) == ""


def test_a_rule_with_a_nan_value_does_not_do_better():
    assert judged("forecasting", 0.5, {"ridge": math.nan}) == ""
