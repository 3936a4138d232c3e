"""`bptt-zoo report`: the page of a run that is complete, unfinished or damaged."""

import json
import re

import pytest

import zoo
from zoo.cli.main import main

METADATA = {
    "task": "char-lm",
    "metric": {
        "name": "cross-entropy",
        "unit": "nats per character",
        "part": "validation",
        "value": 1.5,
        "epoch": 2,
    },
    "baselines": {"bigram": 2.4, "5-gram": 1.4},
    "references": {"somebody (2024)": 1.4},
    "parameters": 12345,
    "wall_time_seconds": 61.4,
    "seed": 3,
    "recipe": {"window": 64, "clip": 1.0},
    "data": {"name": "my.txt"},
}


@pytest.fixture
def run(tmp_path):
    """A run after two epochs, with all files but those of looks."""
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / "metadata.json").write_text(json.dumps(METADATA))
    history = {"epoch": [1, 2], "loss": [2.0, None], "val_loss": [2.1, 1.5]}
    (tmp_path / "history.json").write_text(json.dumps(history))
    (tmp_path / "sample.txt").write_text("to be <or> not")
    return tmp_path


def test_the_page_describes_the_run(run):
    text = zoo.write_run_report(run).read_text()
    for part in (
        "<h1>char-lm on my.txt</h1>",
        "cross-entropy of the validation part",
        "published: somebody (2024)",
        "12,345",
        "61 s",
        "recipe.window",
        "to be &lt;or&gt; not",
    ):
        assert part in text


def test_the_results_are_beside_the_values_that_they_are_compared_with(run):
    text = zoo.write_run_report(run).read_text()
    results = text.partition("<h2>Results</h2>")[2].partition("</table>")[0]
    rows = dict(re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', results))
    assert rows["cross-entropy of the validation part"].startswith("1.5000 nats/char")
    assert rows["without learning: bigram"] == "2.4000 nats/char, 3.4625 bits/char"
    assert rows["published: somebody (2024)"].startswith("1.4000")
    assert rows["verdict"].startswith("A simple rule does better: 5-gram 1.4000")
    assert (rows["best epoch, by validation"], rows["epochs"]) == ("2", "2")


def test_a_run_that_has_only_begun_has_a_page_too(run):
    for name in ("preset/metadata.json", "sample.txt"):
        (run / name).unlink()
    text = zoo.write_run_report(run, run / "other.html").read_text()
    assert f"Training run {run.name}" in text
    assert not (run / "report.html").exists()


def test_the_command_prints_where_it_is(run, capsys):
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert main(["report", str(run), "--out", str(run / "other.html")]) == 0
    assert (run / "other.html").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("history.json", None, "There is no training run in"),
        ("history.json", "{", "is damaged"),
        ("history.json", "[]", "is damaged"),
        ("history.json", "{}", "is damaged"),
        ("history.json", "[" * 600 + "]" * 600, "nested more than 32 deep"),
        ("history.json", json.dumps({f"x{i}": [1] for i in range(200)}), "no history"),
        ("looks.json", "[3]", "is damaged"),
        ("looks.json", '{"a":' * 600 + "1" + "}" * 600, "nested more than 32 deep"),
        ("looks.json", json.dumps([{}] * 2000), "holds no looks"),
        ("preset/metadata.json", '{"a":' * 600 + "1" + "}" * 600, "nested more than"),
        ("preset/metadata.json", "{", "is damaged"),
        ("preset/metadata.json", '{"task": "x"}', "is damaged"),
    ],
)
def test_a_folder_that_is_not_a_run_is_refused_in_one_line(
    run, capsys, name, text, words
):
    if text is None:
        (run / name).unlink()
    else:
        (run / name).write_text(text)
    assert main(["report", str(run)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (run / "report.html").exists()


def test_names_in_a_history_are_shown_as_they_are(run):
    history = {"epoch": [1, 2], "loss": [2.0, 1.0], "$\\frac{": [1.0, 2.0]}
    (run / "history.json").write_text(json.dumps(history))
    assert zoo.write_run_report(run).exists()
