"""Tables, labelled cases and piano rolls in files of anyone's."""

import io

import numpy as np
import pytest

from zoo.datasets.cases import read_ts
from zoo.datasets.rolls import as_roll, read_parts
from zoo.datasets.series import read_csv


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_has_its_numeric_columns(mark):
    rows = ["date,load,temp", "2020-01-01,1.5,-2", "2020-01-02,2.5,3e1", ""]
    columns, values = read_csv("\n".join(rows).replace(",", mark))
    assert columns == ["load", "temp"]
    assert values.tolist() == [[1.5, -2.0], [2.5, 30.0]]


def test_quotes_are_no_part_of_a_name():
    assert read_csv('"Month","Spots"\n"1749-01",58.0\n')[0] == ["Spots"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a heading and at least one row"),
        ("a,b\n", "a heading and at least one row"),
        ("a,b\nx,y\n", "no column is numeric"),
        ("a,b\n1,2\n3,\n", "line 3, column 'b': a number is missing"),
        ("a,b\n1,2\n3\n", "line 3, column 'b': a number is missing"),
        ("a,b\n1,2\n3,nan\n", "line 3, column 'b': a number is missing"),
        ("a,b\n1,2\n3,n/a\n", "line 3, column 'b': a number is missing"),
    ],
)
def test_a_table_with_gaps_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_csv(text)


HEAD = "#made here\n@problemName x\n@classLabel true a b\n@data\n"


def test_cases_have_channels_and_a_label():
    (first, second) = read_ts(HEAD + "1,2,3:4,5,6:a\n7,8:9,10:b\n")
    assert first[0].tolist() == [[1, 4], [2, 5], [3, 6]] and first[1] == "a"
    assert second[0].shape == (2, 2) and second[1] == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2:a\n", "no case after a line `@data`"),
        (HEAD, "no case after a line `@data`"),
        (HEAD + "1,x:a\n", "line 5 must hold channels of numbers"),
        (HEAD + "1,2:3:a\n", "line 5 must hold channels of numbers, of one length"),
        (HEAD + "1,?:a\n", "line 5 must hold"),
        (HEAD + "1,nan:a\n", "line 5 has no channel, or values are missing"),
        (HEAD + "a\n", "line 5 has no channel"),
        (HEAD + "1,2:a\n1,2:3,4:b\n", "line 6 has 2 channels, those before it 1"),
    ],
)
def test_cases_that_cannot_be_read_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read_ts(text)


def mat(**cells):
    import scipy.io

    file = io.BytesIO()
    scipy.io.savemat(file, cells)
    return file.getvalue()


def cell(*pieces):
    made = np.empty((1, len(pieces)), object)
    for place, piece in enumerate(pieces):
        made[0, place] = piece
    return made


def test_piano_rolls_are_read_from_matlabs_cells():
    piece = np.zeros((3, 88), np.uint8)
    piece[1, 40] = 1
    rolls = read_parts(
        mat(
            traindata=cell(piece, piece[:2]),
            validdata=cell(piece),
            testdata=cell(piece),
        )
    )
    assert [len(p) for p in rolls["train"]] == [3, 2]
    np.testing.assert_array_equal(rolls["test"][0], piece)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no matlab", "no MATLAB file of version 5"),
        (mat(traindata=cell(np.zeros((3, 88)))), "has not the cells"),
        (mat(traindata=np.zeros((3, 88))), "has not the cells"),
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_parts(content)


@pytest.mark.parametrize(
    "piece",
    [
        np.zeros((3, 87)),
        np.zeros(88),
        np.full((1, 88), 128),
        np.full((1, 88), -1),
        np.full((1, 88), 0.5),
        np.full((1, 88), np.nan),
    ],
)
def test_pieces_have_88_keys_that_sound_or_not(piece):
    with pytest.raises(ValueError, match="a piece must"):
        as_roll(piece)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", "float32"])
def test_velocities_sound_and_others_do_not(kind):
    piece = np.zeros((2, 88), kind)
    piece[1, 3] = 1 if kind == "bool" else 127
    roll = as_roll(piece)
    assert roll.dtype == np.uint8
    assert np.argwhere(roll).tolist() == [[1, 3]] and roll.max() == 1
