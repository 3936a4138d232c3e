"""Tables and piano rolls in files of anyone's."""

import io

import numpy as np
import pytest

from zoo.datasets.piano_rolls import check_rolls, read_mat
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
    rolls = read_mat(
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
        (b"no matlab", "has not the cells"),
        (mat(traindata=cell(np.zeros((3, 88)))), "has not the cells"),
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_mat(content)


@pytest.mark.parametrize(
    "piece", [np.zeros((3, 87)), np.zeros(88), np.full((1, 88), 2)]
)
def test_pieces_have_88_keys_that_sound_or_not(piece):
    with pytest.raises(ValueError, match="a piece must be"):
        check_rolls([piece])
