import csv
import json
import math

import pytest

from tests.project.files import ROOT
from zoo.tasks import TASKS
from zoo.tuning import gain

RECORDS = ROOT / "zoo" / "tuning" / "records"


def rows(values):
    return [
        {
            "data": "echo-8",
            "variant": variant,
            "clipping": "agc",
            "clip": 0.01,
            "seed": seed,
            "validation": value,
            "test": value / 2,
        }
        for variant in ("default", "tuned", "none")
        for seed, value in enumerate(values)
    ]


def published():
    return list(csv.DictReader((RECORDS / "clipping.csv").open(encoding="utf-8")))


def test_variants_differ_only_in_clipping():
    task = TASKS["delayed-echo"]
    best = {"recipe": {"clipping": "agc", "clip": 0.01, "learning_rate": 1.0}}
    found = gain.variants("echo-8", task, best)
    assert found["default"] == task.recipe_for("echo-8")
    assert (found["tuned"].clipping, found["tuned"].clip) == ("agc", 0.01)
    assert found["tuned"].learning_rate == found["default"].learning_rate
    assert found["none"].clip is None


def test_the_table_has_means_over_seeds():
    _, _, validation, test = gain.markdown(rows([0.5, 0.7])).splitlines()
    assert validation.count("0.6 ± 0.14 (agc 0.01)") == 3
    assert "accuracy, higher is better" in validation
    assert test.count("0.3 ± 0.071") == 3


def test_diverged_runs_are_counted():
    table = gain.markdown(rows([0.5, math.nan]))
    assert table.count("1 of 2 diverged") == 6


def test_training_that_has_a_result_is_not_repeated(tmp_path):
    (tmp_path / "gain.json").write_text('{"validation": 0.5, "test": null}')
    found = gain.measure(None, None, None, tmp_path)
    assert found["validation"] == 0.5
    assert math.isnan(found["test"])


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda p: p.stem)
def test_each_record_is_of_a_job_that_chose_the_published_clipping(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    trials = list(csv.DictReader(path.with_suffix(".csv").open(encoding="utf-8")))
    task = TASKS[record["task"]]
    done = [row for row in trials if row["status"] == "completed"]
    choose = max if task.METRIC.higher else min
    best = choose(done, key=lambda row: float(row["value"]))
    assert float(best["value"]) == record["best"]["value"]
    recipe = record["best"]["recipe"]
    tuned = [
        row
        for row in published()
        if row["data"] == record["data"] and row["variant"] == "tuned"
    ]
    assert len(tuned) >= 3
    for row in tuned:
        assert (float(row["clip"]) if row["clip"] else None) == recipe["clip"]


def test_the_results_page_has_the_table_of_the_records():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert gain.markdown(published()) in text
    assert len({row["data"] for row in published()}) >= 6
