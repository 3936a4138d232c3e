import numpy as np
import pytest

import zoo
from zoo.music.own_rolls import read_rolls
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError
from zoo.tasks import TASKS

MUSIC = TASKS["music"]


def roll(frames, key=40):
    piece = np.zeros((frames, 88), np.uint8)
    piece[:, key] = 1
    return piece


def folder_of(folder, lengths):
    folder.mkdir(exist_ok=True)
    for place, length in enumerate(lengths):
        zoo.write_midi(folder / f"{place:02}.mid", roll(length), frames_per_beat=4)
    return folder


def lengths(pieces):
    return [len(piece) for piece in pieces]


def test_midi_and_arrays_in_folders_of_a_folder_are_read_in_order(tmp_path):
    folder_of(tmp_path / "b", [3])
    folder_of(tmp_path / "a", range(4, 12))
    np.savez(tmp_path / "c.npz", roll=roll(20))
    zoo.write_midi(tmp_path / "d.MIDI".lower(), roll(21), frames_per_beat=4)
    (tmp_path / ".hidden.mid").write_text("no music")
    (tmp_path / "notes.txt").write_text("no music")
    _, train, validation, test = read_rolls(tmp_path)
    # a/00 to a/07, b/00, c and d: the ninth validates, the tenth tests.
    assert lengths(train) == [4, 5, 6, 7, 8, 9, 10, 11, 21]
    assert (lengths(validation), lengths(test)) == ([3], [20])


@pytest.mark.parametrize(
    ("fraction", "validated"), [(0.1, [8, 18]), (0.2, [3, 8, 13, 18]), (0.5, 10)]
)
def test_a_fraction_of_the_pieces_validates_beside_every_tenth(
    tmp_path, fraction, validated
):
    folder_of(tmp_path / "many", range(1, 21))
    _, train, validation, test = read_rolls(tmp_path / "many", validation=fraction)
    assert lengths(test) == [10, 20]
    if isinstance(validated, int):
        assert len(validation) == validated
    else:
        assert lengths(validation) == [place + 1 for place in validated]
    assert len(train) + len(validation) + len(test) == 20


def test_few_pieces_are_cut_and_so_is_one_file(tmp_path, capsys):
    folder = folder_of(tmp_path / "few", [20, 40])
    _, train, validation, test = read_rolls(folder)
    assert (lengths(train), lengths(validation)) == ([16, 32], [2, 4])
    assert lengths(test) == [2, 4]
    assert "few has 2 pieces, fewer than 10" in capsys.readouterr().err
    name, train, _, test = read_rolls(folder / "01.mid", frames_per_beat=8)
    assert (name, lengths(train), lengths(test)) == ("01.mid", [64], [8])


def test_other_places_validate_and_test(tmp_path):
    folder = folder_of(tmp_path / "train", range(5, 17))
    other = folder_of(tmp_path / "other", [3, 4])
    _, train, validation, test = read_rolls(
        folder, validation=other, test=other / "00.mid"
    )
    assert lengths(train) == list(range(5, 17))
    assert (lengths(validation), lengths(test)) == ([3, 4], [3])


def test_a_file_that_cannot_be_read_is_named_or_left_out(tmp_path, capsys):
    folder = folder_of(tmp_path / "some", [20, 40])
    (folder / "bad.mid").write_bytes(b"MThd")
    with pytest.raises(UserError, match="bad.mid .* With --skip-damaged yes"):
        read_rolls(folder)
    assert lengths(read_rolls(folder, skip_damaged=True)[1]) == [16, 32]
    assert "left out 1 of 3 files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.mp3", "must name a folder or a file .mid"), ("empty", "without a file .mid")],
)
def test_a_folder_without_music_is_refused(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        read_rolls(tmp_path / name)


def test_the_frames_of_a_beat_are_stored_and_other_data_read_by_them(tmp_path):
    folder = folder_of(tmp_path / "some", [20, 40])
    data = MUSIC.from_file(str(folder), None, frames_per_beat=8)
    recipe = MUSIC.recipe_for(None)
    assert MUSIC.processing(data, recipe) == {"frames_per_beat": 8}
    stored = Stored(MUSIC.processing(data, recipe), recipe, (88, 88))
    other = MUSIC.from_file(str(folder), None)
    assert lengths(other.train) == [16, 32]
    assert lengths(MUSIC.adapted(other, stored).train) == [32, 64]
    for wrong in (0, 65):
        with pytest.raises(UserError, match="`frames_per_beat` must be in"):
            MUSIC.from_file(str(folder), None, frames_per_beat=wrong)


def test_the_recipe_fits_few_frames(tmp_path):
    data = MUSIC.from_file(str(folder_of(tmp_path / "some", [20, 40])), None)
    usual = MUSIC.recipe_for(None)
    recipe = MUSIC.fitted(data, usual, frozenset())
    assert recipe.batch_size == 2 and recipe.dropout > usual.dropout
    assert MUSIC.fitted(data, usual, frozenset({"batch_size"})).batch_size == 8
    MUSIC.check(data, recipe)


def test_the_levels_have_a_chain_of_each_key(tmp_path):
    data = MUSIC.from_file(str(folder_of(tmp_path / "some", [20, 40])), None)
    levels = MUSIC.levels(data, None, "test")
    chain, rate, chance = levels.values()
    assert list(levels)[0] == "Markov chain of each key"
    # One key is held throughout, so what came before tells nothing new.
    assert chain == pytest.approx(rate, rel=0.2) and rate < chance


def test_a_whole_set_of_other_music_can_be_scored(tmp_path):
    data = MUSIC.from_file(str(folder_of(tmp_path / "some", [20, 40])), None)
    batches = MUSIC.held_out(data, MUSIC.recipe_for(None), "whole")
    # Six pieces, of each all frames but the first.
    assert sum(int(batches[i][0]["lengths"].sum()) for i in range(len(batches))) == 54
