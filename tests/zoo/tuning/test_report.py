import re

import pytest

from tests.zoo.tuning.made_up import ALL_FAILED, JOBS, TRIALS, job, measured
from zoo.tuning.job import Trial
from zoo.tuning.report import write_tuning_page

pytest.importorskip("sklearn")


def page(folder, made):
    path = write_tuning_page(folder, made)
    assert path == folder / "report.html"
    return path.read_text()


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return page(tmp_path_factory.mktemp("page"), job())


def test_the_page_has_all_parts(text):
    assert headings(text) == [
        "Result",
        "Best values",
        "Trials",
        "Progress",
        "Objective by hyperparameter",
        "Combinations",
        "Importance",
        "Causes of failures",
        "Configuration",
        "Space",
    ]
    assert text.count("<img") == 4


def test_it_needs_no_other_files_and_runs_no_scripts(text):
    assert "<script" not in text and "<link" not in text
    assert set(re.findall(r'(?:src|href)="([^",]{0,26})', text)) == {
        "data:image/svg+xml;base64"
    }


def test_the_result_is_beside_the_levels(text):
    for name, value in (
        ("best validation cross-entropy", "2.0000 nats/char, 2.8854 bits/char"),
        ("trial", "02"),
        (
            "default recipe",
            "2.2500 nats/char, 3.2461 bits/char (the best is 11.11% better)",
        ),
        ("time left", "1 h 0 min of 1 h 1 min"),
        ("learning_rate", "0.03333"),
        ("window", "None"),
        ("tuner", "random"),
        ("units", "32 to 256, logarithmic"),
        ("1 trial", "no &lt;room&gt; (01)"),
    ):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in text


def test_everything_from_outside_is_escaped(text):
    assert "<h1>Tuning char-lm on &lt;mine&gt;</h1>" in text
    assert "<pre>train --recipe &#x27;a &amp; b&#x27;</pre>" in text
    assert "<mine>" not in text and "<room>" not in text


def test_names_and_values_of_hyperparameters_are_escaped(tmp_path):
    trial = Trial("<00>", "completed", {"<name>": "<value>"}, 1.0)
    space = {"<name>": {"choices": ["<value>", "<other>"]}}
    settings = {"<tuner>": "<random>"}
    text = page(tmp_path, job([trial], space=space, settings=settings, unit="<unit>"))
    body = text.partition("<body>")[2]
    for word in ("00", "name", "value", "other", "tuner", "random", "unit"):
        assert f"&lt;{word}&gt;" in body and f"<{word}>" not in body


def test_trials_are_sorted_and_the_best_is_marked(text):
    table = text.partition("<h2>Trials</h2>")[2].partition("</table>")[0]
    names = re.findall(r'<th scope="row">(\d\d)</th>', table)
    assert names == [trial.name for trial in job().ranked]
    assert re.findall(r'class="best"><th scope="row">(\d\d)', table) == ["02"]


def test_many_trials_are_folded(tmp_path):
    text = page(tmp_path, measured(range(12), lambda i: {}, space={}))
    assert "<summary>2 more trials</summary>" in text
    assert text.count("<tbody>") == 2


def test_the_configuration_does_not_repeat_the_command(text):
    assert "train_command" not in text


def test_if_all_failed_the_causes_come_first(tmp_path):
    text = page(tmp_path, job(ALL_FAILED))
    assert headings(text)[:3] == ["Result", "Causes of failures", "Trials"]
    assert "none: no trial has one" in text
    assert headings(text).count("Causes of failures") == 1


def test_without_trials_there_are_no_pictures(tmp_path):
    text = page(tmp_path, job([]))
    assert headings(text) == ["Result", "Configuration", "Space"]


@pytest.mark.parametrize("name", ["higher", "no hyperparameters"])
def test_every_job_has_a_page(tmp_path, name):
    assert "Progress" in headings(page(tmp_path, JOBS[name]))


def test_a_result_that_is_not_final_says_so(tmp_path):
    text = page(tmp_path, job([TRIALS[6]], space={}))
    assert "<td>06, cut by the time budget</td>" in text
