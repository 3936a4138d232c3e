"""Which of the user's cases are for training, validation and test."""

import os
from collections import Counter

import pytest

from zoo.cases.labelled import held_out
from zoo.cases.own_cases import read_any, read_cases
from zoo.system.errors import UserError

CASES = "@data\n" + "".join(f"{i},2,3:{i},5,6:{'ab'[i % 2]}\n" for i in range(20))


def sizes(data):
    return [len(getattr(data, part)[0]) for part in ("train", "validation", "test")]


def test_a_training_file_has_a_test_file_beside_it(tmp_path):
    (tmp_path / "mine_TRAIN.ts").write_text(CASES)
    with pytest.raises(UserError, match="does not exist: .*mine_TEST.ts"):
        read_cases(tmp_path / "mine_TRAIN.ts")
    (tmp_path / "mine_TEST.ts").write_text(CASES)
    data = read_cases(tmp_path / "mine_TRAIN.ts")
    assert data.name == "mine" and sizes(data) == [16, 4, 20]
    assert data.classes == ("a", "b")


def test_a_single_file_is_cut_alike_in_each_class(tmp_path):
    (tmp_path / "mine.ts").write_text(CASES)
    data = read_cases(tmp_path / "mine.ts")
    assert sizes(data) == [14, 2, 4]
    assert Counter(data.test[1].tolist()) == {0: 2, 1: 2}


def test_parts_can_be_chosen(tmp_path):
    (tmp_path / "mine.ts").write_text(CASES)
    (tmp_path / "other.tsv").write_text("a\t1\t2\n")
    path = tmp_path / "mine.ts"
    assert sizes(read_cases(path, test="none", validation="0.5")) == [10, 10, 0]
    assert sizes(read_cases(path, test="0.5", validation="none")) == [10, 0, 10]
    with pytest.raises(UserError, match="2 channels in the training part, 1 in the va"):
        read_cases(path, validation=str(tmp_path / "other.tsv"))
    (tmp_path / "other.ts").write_text("@data\n1,2:1,2:c\n")
    with pytest.raises(UserError, match="cannot be learned: 'c'"):
        read_cases(path, test=str(tmp_path / "other.ts"))


@pytest.mark.parametrize("choice", ["0", "1", "-0.5", "nan", "inf"])
def test_fractions_lie_between_0_and_1(tmp_path, choice):
    (tmp_path / "mine.ts").write_text(CASES)
    with pytest.raises(UserError, match="`--validation` must be a fraction"):
        read_cases(tmp_path / "mine.ts", validation=choice)


def test_an_unknown_word_is_taken_as_a_missing_file(tmp_path):
    (tmp_path / "mine.ts").write_text(CASES)
    with pytest.raises(UserError, match="`--test` takes a fraction, a file, or none"):
        read_cases(tmp_path / "mine.ts", test="nothing.ts")


def test_a_fraction_takes_the_last_case_of_each_group_of_a_class():
    cases = [(i, "a") for i in range(1, 11)] + [(i, "b") for i in range(4)]
    left, taken = held_out(cases, 0.2)
    assert taken == [(5, "a"), (10, "a")] and len(left) == 12
    assert len(held_out(cases, 0.5)[1]) == 7


def test_every_case_needs_a_class_to_train(tmp_path):
    (tmp_path / "mine.ts").write_text("@classLabel false\n@data\n1,2\n")
    with pytest.raises(UserError, match="case 1 has no class"):
        read_cases(tmp_path / "mine.ts")
    assert read_any(tmp_path / "mine.ts")[0][1] is None


def test_numbers_to_forecast_are_not_classes(tmp_path):
    text = "".join(f"{i / 7},1,2\n" for i in range(60))
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(UserError, match="60 classes in 60 cases"):
        read_cases(tmp_path / "mine.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"", "must name a file of cases, .ts, .tsv"),
        ("a.ts", b"@data\n1:\0\n", "null byte"),
        ("a.ts", b"@data\n1:\xff\n", "no text in UTF-8: see byte 8"),
        ("a.ts", b"@data\n1:\x1b[2J\n", "a class that is no name"),
        ("a.ts", b"@data\n1:" + b"x" * 300 + b"\n", "a class that is no name"),
        pytest.param(
            "a.ts", b"1:a\n" * 200_001, "200,001 lines, a case each", id="lines"
        ),
        ("a.ts", b"@data\nx:a\n", "a.ts cannot be read: line 2 has 'x'"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_any(tmp_path / name)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.ts")
    with pytest.raises(UserError, match="regular file"):
        read_any(tmp_path / "a.ts")
