import hashlib
import shutil

import zoo
from zoo.store.check import check_preset
from zoo.store.files import PresetFiles
from zoo.store.hub import locate, locate_files
from zoo.store.preset import load_preset

NAME = "echo-8"


def sum_of(folder):
    """Checksum of the weights in a preset folder."""
    content = (folder / "model.weights.h5").read_bytes()
    return hashlib.sha256(content).hexdigest()


def test_weights_of_a_name_are_hashed_once(hashed):
    expected = sum_of(locate(NAME))
    hashed.clear()
    zoo.from_preset(NAME)
    assert hashed.count(expected) == 1


def test_weights_are_hashed_once_when_found_checked_and_loaded(hashed):
    hashed.clear()
    files = locate_files(NAME)
    checked = check_preset(files)
    preset = load_preset(checked)
    assert hashed.count(files.sums["model.weights.h5"]) == 1
    assert preset.metadata is checked.metadata


def test_weights_of_a_folder_are_hashed_once(hashed, tmp_path):
    folder = shutil.copytree(locate(NAME), tmp_path / "copy")
    expected = sum_of(folder)
    hashed.clear()
    assert PresetFiles.at(folder).sums == {}
    load_preset(check_preset(folder))
    assert hashed.count(expected) == 1


def test_a_release_hashes_weights_once(hashed, tmp_path, run):
    expected = sum_of(locate(NAME))
    hashed.clear()
    code, _, err = run("publish", tmp_path / "release", NAME)
    assert code == 0, err
    assert hashed.count(expected) == 1
    assert (tmp_path / "release" / NAME / "manifest.json").is_file()
