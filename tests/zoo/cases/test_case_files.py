"""Labelled series in text files of users."""

import numpy as np
import pytest

from zoo.cases.case_files import read_arff, read_rows, read_ts

HEAD = "#made here\n@problemName x\n@CLASSLABEL true a b\n@Data\n"


def test_cases_have_channels_and_a_label():
    (first, second) = read_ts(HEAD + "1,2,3:4,5,6:a\n\n# none\n7,8:9,10:b\n")
    assert first[0].tolist() == [[1, 4], [2, 5], [3, 6]] and first[1] == "a"
    assert second[0].shape == (2, 2) and second[1] == "b"
    assert first[0].dtype == np.float32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no case"),
        ("1,2:a\n", "no case after a line `@data`"),
        (HEAD, "it has no case"),
        (HEAD + "1,x:a\n", "line 5 has 'x' in place of a number"),
        (HEAD + "1,2:3:a\n", "line 5 has channels of 1 and 2 values"),
        (HEAD + "1,?:a\n", "line 5 has a missing value: timestep 2 of channel 1"),
        (HEAD + "1,nan:a\n", "line 5 has a missing value"),
        (HEAD + "a\n", "line 5 has no channel"),
        (HEAD + ":a\n", "line 5 has a missing value"),
        (HEAD + "1,2:a\n1,2:3,4:b\n", "line 6 has 2 channels, those before it 1"),
        (HEAD + "1,2:c\n", "line 5 has the class 'c', which `@classLabel` does not"),
        (HEAD + "1,1e300:a\n", "line 5 has a value beyond 1e\\+30: 1e\\+300"),
        (HEAD + "1,inf:a\n", "line 5 has a value beyond"),
        (HEAD + "1,0x10:a\n", "line 5 has '0x10' in place"),
        (HEAD + "1:" * 1001 + "a\n", "line 5 has 1,001 channels; at most 1,000"),
        (HEAD + "1," * 1_000_000 + "1:a\n", "1,000,001 timesteps; at most 1,000,000"),
        ("@timeStamps true\n" + HEAD + "(0,1):a\n", "timestamps .* are not read"),
        ("@targetLabel true\n@data\n1,2:3.5\n", "targets are numbers"),
    ],
)
def test_cases_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_ts(text)


def test_missing_values_are_filled_by_lines_if_asked():
    ((values, _),) = read_ts(HEAD + "?,1,NaN,3,?:a\n", fill="linear")
    assert values[:, 0].tolist() == [1, 1, 2, 3, 3]
    with pytest.raises(ValueError, match="line 5 has a channel in which all values"):
        read_ts(HEAD + "1,2:?,?:a\n", fill="linear")


def test_without_classes_all_are_channels():
    cases = read_ts("@classLabel false\n@data\n1,2:3,4\n5,6:7,8\n")
    assert [label for _, label in cases] == [None, None]
    assert cases[1][0].tolist() == [[5, 7], [6, 8]]


@pytest.mark.parametrize(
    "text",
    [
        "1\t0.5\t2\n2\t3\t4\n",
        "1,0.5,2\r\n2,3,4\r\n",
        "  1.0000000e+00  5.0e-1   2.0\n  2.0000000e+00  3  4\n",
        "class;t1;t2\n1;0.5;2\n2;3;4\n",
        "1.0,0.5,2,NaN,NaN\n2.0,3,4,NaN,NaN\n",
    ],
)
def test_rows_have_their_class_first(text):
    cases = read_rows(text)
    assert [label for _, label in cases] == ["1", "2"]
    assert [values.ravel().tolist() for values, _ in cases] == [[0.5, 2], [3, 4]]


def test_rows_may_have_classes_with_names_and_other_lengths():
    cases = read_rows("a cat,1,2,3\na dog,4,5,NaN\n")
    assert [(len(values), label) for values, label in cases] == [
        (3, "a cat"),
        (2, "a dog"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("1,2,x\n", "line 1 has 'x' in place of a number"),
        ("1\n", "line 1 has no values"),
        ("1,2,NaN,3\n", "line 1 has a missing value: timestep 2"),
    ],
)
def test_rows_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_rows(text)


def test_arff_has_the_class_last_and_channels_in_quotes():
    ((values, label),) = read_arff("%x\n@relation r\n@data\n1,2,3,up\n")
    assert values.ravel().tolist() == [1, 2, 3] and label == "up"
    ((values, label),) = read_arff("@relation r\n@data\n'1,2\\n3,4',up\n")
    assert values.tolist() == [[1, 3], [2, 4]] and label == "up"
