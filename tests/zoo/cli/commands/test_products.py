import csv
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.products import forecasts
from zoo.products.composing import start_chord
from zoo.tasks import TASKS

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def music(composer):
    """The name of a preset of music."""
    zoo.save_to_preset("music", composer)
    return "music"


@pytest.fixture
def table(forecaster):
    """The name of a preset that forecasts `my.csv`, and what it should say."""
    preset, data = forecaster()
    zoo.save_to_preset("table", preset)
    write_csv("my.csv", ["day", "c", "b", "a"], data.values[:, ::-1])
    return "table", zoo.forecast(preset, data.values)


def write_csv(path, columns, values):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(["monday", *row] for row in values.tolist())


def test_music_is_written_as_midi_and_picture(run, music, composer, tmp_path):
    options = ["--length", 9, "--temperature", 0.8, "--seed", 3]
    code, out, err = run("generate", music, "--out", "tune.mid", *options)
    assert (code, err) == (0, "")
    assert "9 frames added to 1" in out and "tune.png" in out
    added = zoo.generate_music(composer, length=9, temperature=0.8, seed=3)
    expected = np.concatenate([start_chord(), added])
    # Frames of `nottingham` are eighths.
    np.testing.assert_array_equal(
        zoo.read_midi("tune.mid", frames_per_beat=2), expected
    )
    assert (tmp_path / "tune.png").read_bytes().startswith(SIGNATURE)


def test_music_continues_from_a_file(run, music, composer):
    piece = zoo.generate_music(composer, length=6, seed=8)
    zoo.write_midi("my.mid", piece, frames_per_beat=4)
    options = ["--frames-per-beat", 4, "--prompt", "my.mid", "--length", 5]
    assert run("generate", music, "--out", "tune.mid", *options)[0] == 0
    roll = zoo.read_midi("tune.mid", frames_per_beat=4)
    expected = [piece, zoo.generate_music(composer, piece, length=5)]
    np.testing.assert_array_equal(roll, np.concatenate(expected))


def test_the_tempo_is_heard(run, music):
    import mido

    for tempo, seconds in ((60, 5 / 2), (120, 5 / 4)):
        command = ["generate", music, "--length", 4, "--tempo", tempo, "--out", "t.mid"]
        assert run(*command)[0] == 0
        assert mido.MidiFile("t.mid").length == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "`--out` must name the MIDI file"),
        (["--out", "tune.wav"], "must be a file .mid or .midi: tune.wav"),
        (["--out", "no/tune.mid"], "lies in a folder that does not exist"),
        (["--out", "a.mid", "--prompt", "a.mid"], "replace the file that is read"),
        (["--out", "a.mid", "--prompt", "b.mid"], "does not exist: b.mid"),
        (["--out", "a.mid", "--prompt", "The "], "must be a file .mid, .midi, .npz"),
        (["--out", "a.mid", "--tempo", "0"], "`tempo` must be in [4, 1000]"),
        (["--out", "a.mid", "--frames-per-beat", "0"], "`frames_per_beat` must be"),
        (["--out", "a.mid", "--temperature", "-1"], "`temperature` must be"),
    ],
)
def test_wrong_options_of_music_are_refused(refused, music, tmp_path, options, message):
    assert message in refused("generate", music, *options)
    assert [path.name for path in tmp_path.iterdir()] == [music]


@pytest.mark.parametrize("option", ["--out", "--tempo", "--frames-per-beat"])
def test_options_of_music_are_refused_for_a_text(refused, untrained, option):
    zoo.save_to_preset("text", untrained)
    error = refused("generate", "text", "--prompt", "to be", option, "3")
    assert f"`{option}` is for music, and this preset makes text" in error


def test_presets_of_other_tasks_are_refused(refused, music, table):
    name, _ = table
    assert "one of forecasting, which generates nothing" in refused("generate", name)
    error = refused("forecast", music, "--data", "my.csv")
    assert "one of music; it must be one of forecasting" in error


def test_a_forecast_is_written_as_table_and_picture(run, table, tmp_path):
    name, expected = table
    code, out, err = run("forecast", name, "--data", "my.csv")
    assert (code, err) == (0, "")
    assert "the 4 timesteps after its 60" in out
    assert "this model 0.5, seasonal naive 0.75" in out
    with open("my-forecast.csv", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["step", "c", "a"]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    found = np.array([row[1:] for row in rows], float)
    # Seven digits are written, and floats are summed in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert (tmp_path / "my-forecast.png").read_bytes().startswith(SIGNATURE)
    assert run("forecast", name, "--data", "my.csv", "--out", "b.csv")[0] == 0
    assert (tmp_path / "b.png").exists()


def test_times_and_intervals_of_a_table_are_written(run, forecaster):
    preset, data = forecaster()
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    preset.processing.update(task.finished(preset.model, data, recipe))
    zoo.save_to_preset("table", preset)
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype(str)
    # Newest first, which is turned round.
    rows = [
        ",".join([day, *map(str, row)])
        for day, row in zip(days[::-1], data.values[::-1].tolist(), strict=True)
    ]
    Path("my.csv").write_text("\n".join(["day,a,b,c", *rows]))
    code, out, _ = run("forecast", "table", "--data", "my.csv")
    assert code == 0 and "newest row first: turned round" in out
    assert "90% intervals (low, high): from the errors of 7 forecasts" in out
    with open("my-forecast.csv", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["day", "c", "c_low", "c_high", "a", "a_low", "a_high"]
    assert [row[0] for row in rows] == [f"2024-03-0{k}" for k in (1, 2, 3, 4)]
    values = np.array([row[1:] for row in rows], float)
    expected = zoo.forecast(preset, data.values)
    np.testing.assert_allclose(values[:, [0, 3]], expected, rtol=1e-5)
    np.testing.assert_allclose(
        values[:, [2, 5]] - values[:, [0, 3]],
        forecasts.half_widths(preset, data.values),
        rtol=1e-3,
    )


def test_a_table_is_read_as_that_of_the_training_was(run, refused, forecaster):
    preset, data = forecaster()
    preset.processing["reading"] = {"fill": "last", "heading": "what"}
    zoo.save_to_preset("table", preset)
    values = data.values.astype(str)
    values[5, 1] = "NA"
    rows = "\n".join(",".join(row) for row in values.tolist())
    Path("my.csv").write_text(f"a,b,c\n{rows}\n")
    code, out, _ = run("forecast", "table", "--data", "my.csv")
    assert code == 0 and "1 missing values filled (last)" in out
    error = refused("forecast", "table", "--data", "my.csv", "--time", "x")
    assert "`--time` names no column" in error


def test_only_a_part_of_a_long_forecast_is_printed(run, forecaster):
    preset, data = forecaster(horizon=15)
    zoo.save_to_preset("long", preset)
    write_csv("my.csv", ["day", "a", "b", "c"], data.values)
    _, out, _ = run("forecast", "long", "--data", "my.csv")
    assert "   12  " in out and "   13  " not in out
    assert "(15 timesteps, 2 columns)" in out


def test_unsuitable_tables_are_refused(refused, table):
    name, _ = table
    command = ["forecast", name, "--data"]
    assert "no.csv" in refused(*command, "no.csv")
    assert "replace the file that is read" in refused(
        *command, "my.csv", "--out", "my.csv"
    )
    assert "must be a file .csv" in refused(*command, "my.csv", "--out", "a.txt")
    write_csv("other.csv", ["day", "a", "b", "d"], np.ones((9, 3)))
    assert "It has: a, b, d." in refused(*command, "other.csv")
    write_csv("short.csv", ["day", "a", "b", "c"], np.ones((5, 3)))
    assert "at least 6 timesteps" in refused(*command, "short.csv")
    gap = np.ones((9, 3))
    gap[4, 1] = np.nan
    write_csv("gap.csv", ["day", "a", "b", "c"], gap)
    assert "1 value is missing or no number, the first: line 6, column 'b'" in refused(
        *command, "gap.csv"
    )
