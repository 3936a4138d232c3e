import csv

import pytest

from tests.zoo.tuning.made_up import JOBS, TRIALS, job
from zoo.tuning.job import Job, Trial
from zoo.tuning.table import causes_table, duration, text_table, write_csv


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_a_column_for_each_seed_and_hyperparameter(tmp_path):
    write_csv(tmp_path / "trials.csv", job())
    rows = read(tmp_path / "trials.csv")
    assert list(rows[0]) == (
        "trial status value value_seed_0 value_seed_1 epoch seconds worker layer units "
        "learning_rate window clip cause"
    ).split(" ")
    assert [row["trial"] for row in rows] == [trial.name for trial in TRIALS]
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]


def test_numbers_read_back_as_they_were(tmp_path):
    trial = Trial(
        "00", "completed", {"rate": 0.1 / 3}, 2 / 3, (1 / 3, 1.0), 2, (), 1 / 7
    )
    write_csv(tmp_path / "trials.csv", Job("x", "y", trials=(trial,)))
    row = read(tmp_path / "trials.csv")[0]
    names = ("rate", "value", "value_seed_0", "value_seed_1", "seconds")
    read_back = [float(row[name]) for name in names]
    assert read_back == [0.1 / 3, 2 / 3, 1 / 3, 1.0, 1 / 7]


def test_absent_values_are_empty_and_none_is_a_value(tmp_path):
    write_csv(tmp_path / "trials.csv", job())
    row = read(tmp_path / "trials.csv")[1]
    assert (row["value"], row["value_seed_0"], row["epoch"]) == ("", "", "")
    assert (row["window"], row["clip"], row["cause"]) == ("None", "1.0", "no <room>")
    assert read(tmp_path / "trials.csv")[0]["clip"] == ""


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(name, width):
    text = text_table(JOBS[name], width) + "\n" + causes_table(JOBS[name], width)
    assert max(map(len, text.split("\n"))) <= width


def test_the_best_is_marked_and_a_failure_shows_its_cause():
    lines = text_table(job(), 120).split("\n")
    assert [line for line in lines if line.startswith("*")] == [lines[4]]
    assert lines[4].split()[:4] == ["*", "02", "completed", "2.0000"]
    assert lines[3].split() == ["01", "failed", "no", "<room>"]
    assert "2.5000 ± 0.35" in lines[2]


def test_long_causes_end_with_an_ellipsis():
    trial = Trial("00", "failed", {}, None, cause="very " * 50)
    line = text_table(job([trial]), 60).split("\n")[2]
    assert len(line) == 60 and line.endswith("...")


def test_columns_that_do_not_fit_are_left_out():
    assert text_table(job(), 200).split("\n")[1].split()[-1] == "clip"
    assert text_table(job(), 70).split("\n")[1].split()[-2:] == ["units", "..."]


def test_the_last_line_sums_up():
    assert text_table(job(), 300).split("\n")[-1] == (
        "best 2.0000 nats/char (trial 02); 1 h 0 min of 1 h 1 min left; 9 trials: "
        "4 completed, 1 cut, 1 pruned, 1 running, 1 waiting, 1 failed"
    )
    last = text_table(job([], budget=None), 300).split("\n")[-1]
    assert last == "no result yet; 1 min 30 s so far; 0 trials"


def test_causes_that_differ_in_numbers_are_one():
    causes = ["no room for [64,2]", "killed", "no room for [128,2.5]", ""]
    trials = [
        Trial(f"{i}", "failed", {}, None, cause=cause)
        for i, cause in enumerate([*causes, causes[0]])
    ]
    assert causes_table(Job("x", "y", trials=tuple(trials))).split("\n") == [
        "5 of 5 trials failed:",
        "  3 x  no room for [64,2]",
        "       trials 0, 2, 4",
        "  1 x  killed",
        "       trial 1",
        "  1 x  of unknown cause",
        "       trial 3",
    ]


def test_without_failures_there_is_no_table_of_causes():
    assert causes_table(job(TRIALS[:1])) == ""


def test_durations_have_two_units():
    assert [duration(s) for s in (5, 59.6, 3599, 7261)] == [
        "5 s",
        "1 min 0 s",
        "59 min 59 s",
        "2 h 1 min",
    ]
