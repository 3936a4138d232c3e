import json
import subprocess
import sys

import pytest

from zoo.cli.main import main
from zoo.store.manifest import FILES


def printed(capsys, *argv):
    assert main(argv) == 0
    return capsys.readouterr().out


@pytest.fixture
def release(server, capsys):
    """A release of `echo-8` on a server, and another name for it there."""
    folder = server.folder / "release"
    assert main(["pull", "echo-8", "--out", str(server.folder / "mine")]) == 0
    assert main(["publish", str(folder), "echo-8", str(server.folder / "mine")]) == 0
    capsys.readouterr()
    return f"{server.url}/release"


def test_list_shows_presets_tasks_and_data_sets(capsys):
    text = printed(capsys, "list")
    for word in ("echo-8", "char-lm", "jsb-chorales", "--data PATH"):
        assert word in text
    listed = json.loads(printed(capsys, "list", "--json"))
    assert set(listed) == {"tasks", "data_sets", "presets"}
    (echo,) = [p for p in listed["presets"] if p["name"] == "echo-8"]
    assert echo["shipped"] and echo["task"] == "delayed-echo"


def test_list_shows_what_a_server_has(release, capsys):
    listed = json.loads(printed(capsys, "list", "--from", release, "--json"))
    assert {p["name"] for p in listed["presets"]} == {"echo-8", "mine"}
    assert "by download, 0.1 MB" in printed(capsys, "list", "--from", release)


def test_show_prints_result_recipe_and_folder(capsys):
    text = printed(capsys, "show", "echo-8")
    for word in ("this model", "chance", "window 16", "bptt-zoo evaluate echo-8"):
        assert word in text
    shown = json.loads(printed(capsys, "show", "echo-8", "--json"))
    assert shown["recipe"]["window"] == 16 and shown["folder"].endswith("echo-8")


@pytest.mark.slow
def test_pull_prints_a_folder_that_evaluate_takes(release, capsys, tmp_path):
    out = tmp_path / "out"
    text = printed(capsys, "pull", "mine", "--from", release, "--out", str(out))
    assert text.strip() == str(out)
    assert {p.name for p in out.iterdir()} == {*FILES, "manifest.json"}
    found = json.loads(printed(capsys, "evaluate", str(out), "--json"))
    shown = json.loads(printed(capsys, "show", str(out), "--json"))
    assert found["value"] == pytest.approx(shown["metric"]["value"], abs=1e-6)
    assert found["trained_on_these"] is True
    address = json.loads(printed(capsys, "pull", f"{release}/mine", "--json"))
    assert set(address["files"]) >= set(FILES)


@pytest.mark.parametrize(
    "argv, code, words",
    [
        (["pull", "nothing"], 2, "There is no preset"),
        (["pull", "ftp://host/x"], 2, "must begin with https"),
        (["pull", "echo-8", "--sha256", "x"], 2, "64 hexadecimal digits"),
        (["pull", "https://127.0.0.1:9/x"], 1, "cannot be downloaded"),
        (["list", "--from", "http://127.0.0.1:9"], 1, "cannot be downloaded"),
        (["show", "nowhere"], 2, "There is no preset"),
        (["export-preset", "nowhere", "--out", "x"], 2, "There is no preset"),
        (["publish", "x", "nowhere"], 2, "There is no preset"),
        (["completion", "fish"], 2, "invalid choice"),
    ],
)
def test_a_preset_that_cannot_be_served_ends_with_one_line(
    argv, code, words, capsys, impatient, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == code
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_pull_and_export_replace_nothing_without_being_asked(tmp_path, capsys):
    there = tmp_path / "there"
    there.mkdir()
    assert main(["pull", "echo-8", "--out", str(there)]) == 2
    assert main(["export-preset", "echo-8", "--out", str(there)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert list(there.iterdir()) == []
    photos = tmp_path / "other" / "photos"
    photos.mkdir(parents=True)
    command = ["export-preset", "echo-8", "--out", str(photos.parent), "--overwrite"]
    assert main(command) == 2
    assert "is no preset folder, and is not replaced" in capsys.readouterr().err
    assert photos.is_dir()
    command = ["export-preset", "echo-8", "--out", str(there), "--overwrite", "--half"]
    assert "seed 0: 0.9956, seed 1:" in printed(capsys, *command)
    assert {p.name for p in there.iterdir()} == set(FILES)
    command = ["export-preset", str(there), "--out", str(there), "--overwrite"]
    assert main(command) == 2
    assert "would replace a run that is read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere/results.csv", "results.txt"])
def test_results_look_where_the_table_goes_before_they_measure(name, capsys, tmp_path):
    assert main(["results", "nothing", "--csv", str(tmp_path / name)]) == 2
    assert "`--csv`" in capsys.readouterr().err


@pytest.mark.slow
def test_results_measure_again_and_say_what_they_leave_out(capsys, tmp_path):
    path = tmp_path / "results.csv"
    command = ["results", "echo-8", "nothing", "--csv", str(path), "--json"]
    # What makes its data needs none of the folder.
    command += ["--data-dir", str(tmp_path)]
    assert main(command) == 1
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert "nothing is left out: There is no preset" in err
    assert 0.9 < row["value"] < 1 and row["seeds"] == 3 and row["deviation"] < 0.01
    assert path.read_text().splitlines()[0] == ",".join(row)
    table = printed(capsys, "results", "echo-8")
    assert table.startswith("| preset |") and "| `echo-8` | accuracy, test |" in table


def test_the_light_commands_need_no_tensorflow():
    code = (
        "import sys; from zoo.cli.main import main; main(['list']);"
        "main(['show', 'echo-8']); main(['pull', 'echo-8']);"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
