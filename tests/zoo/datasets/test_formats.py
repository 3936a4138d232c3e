"""Tables and piano rolls in files of users."""

import io

import numpy as np
import pytest

from zoo.datasets.series import read_csv
from zoo.music.mat import read_mat
from zoo.music.npz import read_npz
from zoo.music.rolls import as_roll, read_parts, read_piece
from zoo.system.errors import UserError


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_has_its_numeric_columns(mark):
    rows = ["date,load,temp", "2020-01-01,1.5,-2", "2020-01-02,2.5,3e1", ""]
    columns, values = read_csv("\n".join(rows).replace(",", mark))
    assert columns == ["load", "temp"]
    assert values.tolist() == [[1.5, -2.0], [2.5, 30.0]]


def test_quotes_are_not_part_of_a_name():
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


def both(content):
    """Matrices by our reader and by SciPy's."""
    import scipy.io

    theirs = scipy.io.loadmat(io.BytesIO(content))
    theirs = {k: v for k, v in theirs.items() if not k.startswith("__")}
    return read_mat(content), theirs


ODD_VALUES = np.array([[0, 1, 2], [250, 3, 7]])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i1", "u2", "i4", "i8", "bool"])
def test_numbers_are_those_that_scipy_reads(kind, packed):
    import scipy.io

    file = io.BytesIO()
    values = ODD_VALUES.astype(kind)
    scipy.io.savemat(
        file,
        {"x": values, "one": values[:1, :1], "none": np.zeros((0, 3), kind)},
        do_compression=packed,
    )
    ours, theirs = both(file.getvalue())
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


def test_bytes_may_be_in_the_other_order():
    def words(*values):
        return b"".join(v.to_bytes(4, "big") for v in values)

    numbers = np.arange(6, dtype=">f8").tobytes()
    inside = words(6, 8, 6, 0) + words(5, 8, 2, 3) + words(1 << 16 | 1) + b"x\0\0\0"
    inside += words(9, len(numbers)) + numbers
    content = b"MATLAB".ljust(124) + b"\1\0MI" + words(14, len(inside)) + inside
    ours, theirs = both(content)
    np.testing.assert_array_equal(ours["x"], theirs["x"])


def test_anything_but_a_matrix_of_numbers_is_left_out():
    content = mat(words="some text", table={"a": 1}, x=np.eye(2))
    assert list(read_mat(content)) == ["x"]


def test_sparse_and_complex_matrices_and_other_cells_are_not_read():
    import scipy.sparse

    assert read_mat(mat(x=scipy.sparse.eye(3))) == {}
    with pytest.raises(ValueError, match="complex"):
        read_mat(mat(x=np.full((2, 2), 1j)))
    with pytest.raises(ValueError, match="holds a cell array, not a matrix"):
        read_mat(mat(x=cell(cell(np.eye(2)))))
    with pytest.raises(ValueError, match="holds text, not a matrix"):
        read_mat(mat(x=cell("text")))


@pytest.mark.parametrize("name", ["JSB_Chorales", "Nottingham"])
def test_real_files_are_read_as_scipy_reads_them(shared_data, name):
    ours, theirs = both((shared_data / "poly_music" / f"{name}.mat").read_bytes())
    for part in ("traindata", "validdata", "testdata"):
        for piece, other in zip(ours[part], theirs[part].ravel(), strict=True):
            np.testing.assert_array_equal(piece, other)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_numpy_are_read_by_their_axes(save):
    file = io.BytesIO()
    arrays = {"a": np.asfortranarray(ODD_VALUES), "b": ODD_VALUES > 2}
    save(file, **arrays, tempo=90, words=np.array(["x"]))
    found = read_npz(file.getvalue(), ndim=2)
    assert list(found) == ["a", "b"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
@pytest.mark.parametrize(
    ("value", "says"), [(0.5, "0.5"), (np.nan, "nan"), (200, "200")]
)
def test_both_kinds_of_file_accept_the_same_values(tmp_path, suffix, value, says):
    import scipy.io

    path, piece = tmp_path / f"a{suffix}", np.zeros((2, 88))
    piece[1, 0] = value
    if suffix == ".npz":
        np.savez(path, piece)
    else:
        scipy.io.savemat(path, {"piece": piece})
    with pytest.raises(UserError, match=f"a{suffix} is no .*has {says} in frame 1"):
        read_piece(path)
