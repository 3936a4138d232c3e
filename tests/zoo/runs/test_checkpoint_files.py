import json
import shutil

import numpy as np
import pytest

from zoo.runs.checkpoint_files import (
    BEFORE,
    CHECKPOINT,
    CHECKSUMS,
    STATE,
    WEIGHTS,
    read_checkpoint,
)
from zoo.store.manifest import sha256_of
from zoo.system.errors import UserError


def write(folder, epoch, **recipe):
    folder.mkdir(parents=True)
    state = {"epoch": epoch, "recipe": {"units": 8, "seed": 0, **recipe}}
    (folder / STATE).write_text(json.dumps(state))
    (folder / WEIGHTS).write_bytes(bytes(range(256)) * epoch)
    seal(folder)


def seal(folder):
    sums = {name: sha256_of(folder / name) for name in (STATE, WEIGHTS)}
    (folder / CHECKSUMS).write_text(json.dumps(sums))


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a training with checkpoints of the epochs 2 and 3."""
    write(tmp_path / CHECKPOINT, 3)
    write(tmp_path / BEFORE, 2)
    return tmp_path


def test_the_newest_checkpoint_is_read(run_folder):
    state, remarks = read_checkpoint(run_folder)
    assert state["epoch"] == 3 and not remarks
    assert state["folder"] == str(run_folder / CHECKPOINT)


@pytest.mark.parametrize("name", [STATE, WEIGHTS, CHECKSUMS])
def test_any_flipped_byte_is_noticed_and_the_previous_checkpoint_used(run_folder, name):
    path = run_folder / CHECKPOINT / name
    whole = path.read_bytes()
    places = np.linspace(0, len(whole) - 1, 40).astype(int)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0x15
        path.write_bytes(bytes(damaged))
        state, (remark,) = read_checkpoint(run_folder)
        assert state["epoch"] == 2 and "is damaged" in remark and "epoch 2" in remark


@pytest.mark.parametrize("name", [STATE, WEIGHTS, CHECKSUMS])
@pytest.mark.parametrize("size", [0, 10, None])
def test_a_truncated_or_missing_file_is_noticed(run_folder, name, size):
    path = run_folder / CHECKPOINT / name
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])
    state, (remark,) = read_checkpoint(run_folder)
    assert state["epoch"] == 2 and name in remark


@pytest.mark.parametrize("text", ["[" * 10_000, "[]", "null", '{"a": 1}', "{"])
def test_checksums_of_another_kind_count_as_damage(run_folder, text):
    (run_folder / CHECKPOINT / CHECKSUMS).write_text(text)
    assert read_checkpoint(run_folder)[0]["epoch"] == 2


def test_an_edited_recipe_is_named(run_folder):
    shutil.rmtree(run_folder / CHECKPOINT)
    write(run_folder / CHECKPOINT, 3)
    path = run_folder / CHECKPOINT / STATE
    path.write_text(path.read_text().replace('"units": 8', '"units": 9'))
    _, (remark,) = read_checkpoint(run_folder)
    assert "recipe: units was 8, is 9" in remark


def test_without_an_intact_checkpoint_the_error_says_what_is_wrong(run_folder):
    for folder in (CHECKPOINT, BEFORE):
        (run_folder / folder / WEIGHTS).write_bytes(b"cut")
    with pytest.raises(UserError, match="trainer.weights.h5 is not what was written"):
        read_checkpoint(run_folder)


def test_a_kill_between_two_renames_leaves_something_to_resume(run_folder):
    (run_folder / CHECKPOINT).rename(run_folder / f".old.{CHECKPOINT}")
    write(run_folder / f".new.{CHECKPOINT}", 4)
    assert read_checkpoint(run_folder)[0]["epoch"] == 4


def test_a_folder_without_a_checkpoint_has_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match="nothing to resume"):
        read_checkpoint(tmp_path)
