import numpy as np
import pytest

from tests.zoo.hostile.states import training_of
from zoo.runs.checkpoint_files import (
    CHECKPOINT,
    COPY,
    TRAINING,
    epochs_done,
    read_training,
    write_training,
)
from zoo.system.errors import UserError

KNOWN = training_of({"units": 8, "name": "\u00e4"})


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a training."""
    write_training(tmp_path / CHECKPOINT, KNOWN)
    return tmp_path


def test_what_was_written_is_read(run_folder):
    assert read_training(run_folder) == (KNOWN, [])


def test_any_flipped_byte_is_noticed_and_the_copy_used(run_folder):
    path = run_folder / CHECKPOINT / TRAINING
    whole = path.read_bytes()
    found = []
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x15
        path.write_bytes(bytes(damaged))
        training, remarks = read_training(run_folder)
        assert training == KNOWN
        found.append(len(remarks))
    # A space that becomes another sign of no meaning is no damage to the content.
    assert np.mean(found) > 0.9
    assert "training.json is damaged" in remarks[0] or not remarks


@pytest.mark.parametrize("name", [TRAINING, COPY])
@pytest.mark.parametrize("content", [b"", b"{", b"[" * 10_000, b"[]", b"null", None])
def test_a_truncated_or_missing_file_is_noticed(run_folder, name, content):
    path = run_folder / CHECKPOINT / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    training, remarks = read_training(run_folder)
    assert training == KNOWN
    assert len(remarks) == (name == TRAINING)


def test_without_a_whole_file_the_error_names_both(run_folder):
    for name in (TRAINING, COPY):
        (run_folder / CHECKPOINT / name).write_text("{}")
    with pytest.raises(UserError, match="it is not what was written. So is its copy"):
        read_training(run_folder)


def test_a_folder_without_a_checkpoint_has_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match="nothing to resume"):
        read_training(tmp_path)


@pytest.mark.parametrize(
    ("history", "done"),
    [
        ('{"epoch": [1, 2, 3]}', 3),
        ('{"epoch": []}', 0),
        ('{"epoch": [1, null]}', 0),
        ("[]", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_epochs_are_counted_by_the_history(tmp_path, history, done):
    if history is not None:
        (tmp_path / "history.json").write_text(history)
    assert epochs_done(tmp_path) == done
