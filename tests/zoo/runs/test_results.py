import csv

import pytest

import zoo
from tests.project.files import ROOT
from zoo.plain.scales import cells
from zoo.runs.results import COLUMNS, needs_files, to_csv, to_markdown
from zoo.tasks import TASKS

ROW = {
    "preset": "mine",
    "task": "char-lm",
    "data": "a text",
    "part": "test",
    "metric": "|cross-entropy|",
    "unit": "nats per character",
    "value": 1.5,
    "mean": 1.6,
    "deviation": 0.1,
    "seeds": 3,
    "parameters": 1234567,
    "wall_time_seconds": 90.0,
    "machine": "2 CPU cores",
    "published": {"LSTM (A, B 2020)": 1.25},
    "without_learning": {"unigram": 3.0, "chance": 3.5},
}


def published():
    path = ROOT / "zoo" / "presets" / "results.csv"
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_a_row_has_all_that_a_reader_compares():
    table = to_markdown([ROW, {**ROW, "preset": "other", "deviation": None}])
    _, _, mine, other = table.splitlines()
    for words in (
        r"| `mine` | \|cross-entropy\|, nats per character, test |",
        "| 1.5000 (2.1640 bits/char) |",
        "± 0.1 (3) |",
        "| 1,234,567 | 1.5 on 2 CPU cores |",
        "LSTM (A, B 2020) 1.2500 (1.8034 bits/char)",
        "chance 3.5000",
    ):
        assert words in mine
    assert "±" not in other
    (row,) = csv.DictReader(to_csv([ROW]).splitlines())
    assert list(row) == list(COLUMNS)
    assert row["without_learning"] == "unigram 3; chance 3.5"
    assert float(row["value"]) == 1.5


def test_every_preset_of_the_package_was_measured():
    listed = {preset.name: preset for preset in zoo.list_presets()}
    rows = {row["preset"]: row for row in published()}
    assert set(rows) == set(listed)
    for name, preset in listed.items():
        # Stored weights may have half the precision of those that were trained.
        assert float(rows[name]["value"]) == pytest.approx(preset.value, rel=0.01)
        assert int(rows[name]["parameters"]) == preset.parameters


def test_the_results_page_has_the_table_that_was_measured():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    lines = text.partition("\n## Presets\n")[2].partition("\n## ")[0].splitlines()
    for row in published():
        (line,) = [x for x in lines if x.startswith(f"| `{row['preset']}` |")]
        assert f"| {cells(float(row['value']), row['unit'])[0]}" in line
        assert f"({row['seeds']}) |" in line


@pytest.mark.parametrize(
    "task, dataset, expected",
    [
        ("char-lm", "tiny-shakespeare", True),
        ("char-lm", "python-topics", False),
        ("mnist", "mnist-rows", True),
        ("forecasting", "sunspots", True),
        ("copy-memory", "copy-100", False),
        ("delayed-echo", "echo-8", False),
        ("influence-balancing", "influence-23", False),
    ],
)
def test_only_data_in_files_require_a_folder(task, dataset, expected):
    assert needs_files(TASKS[task], dataset) is expected
