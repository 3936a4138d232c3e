import json

import pytest

from bptt_keras.tuning.jobs.store import (
    DamagedError,
    Store,
)


@pytest.fixture
def store(tmp_path):
    """A store with the value before the newest beside it."""
    made = Store(tmp_path / "job.json")
    made.write({"event": 1, "values": [0.1, "ä", None]})
    made.write({"event": 2, "values": [0.2, "ö", True]})
    return made


NEWEST = {"event": 2, "values": [0.2, "ö", True]}
BEFORE = {"event": 1, "values": [0.1, "ä", None]}


def test_what_was_written_is_read(tmp_path):
    store = Store(tmp_path / "job.json")
    assert not store.exists()
    value = {"a": [1, 2.5, None, "ü\n"], "nan": float("inf")}
    store.write(value)
    assert store.exists()
    assert store.read() == (value, None)


def test_a_number_comes_back_with_all_its_digits(tmp_path):
    store = Store(tmp_path / "job.json")
    store.write([0.1 + 0.2, 1e-308])
    assert store.read()[0] == [0.1 + 0.2, 1e-308]


def test_any_flipped_byte_falls_back_to_the_previous_copy_with_a_message(store):
    content = store.path.read_bytes()
    for place in range(len(content)):
        for mask in (0x01, 0x20, 0x80):
            flipped = bytearray(content)
            flipped[place] ^= mask
            store.path.write_bytes(flipped)
            value, sentence = store.read()
            if sentence is None:
                # White space between the two entries is all that may differ.
                assert value == NEWEST
                assert content[place : place + 1] == b" "
            else:
                assert value == BEFORE
                assert "job.json is damaged" in sentence
                assert "job.previous.json" in sentence


def test_a_file_truncated_at_any_length_falls_back_to_the_previous_copy(store):
    content = store.path.read_bytes()
    for length in range(len(content)):
        store.path.write_bytes(content[:length])
        value, sentence = store.read()
        assert value == BEFORE
        assert "job.json is damaged" in sentence


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"[]",
        b"null",
        b'{"value": 3, "sha256": 4}',
        b'{"value": "3", "sha256": null}',
        b"[" * 100_000,
        b"\xff\xfe{",
    ],
)
def test_foreign_content_counts_as_damaged(store, content):
    store.path.write_bytes(content)
    assert store.read()[0] == BEFORE


def test_two_damaged_files_are_an_error_that_names_both(store):
    for path in (store.path, store.previous):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedError, match="job.json and .*job.previous.json"):
        store.read()


def test_without_a_copy_a_damaged_file_is_an_error(tmp_path):
    store = Store(tmp_path / "job.json")
    store.write(1)
    store.path.write_text("{")
    assert store.exists()
    with pytest.raises(DamagedError, match="cannot be read"):
        store.read()


def test_a_damaged_job_is_not_a_new_one(tmp_path):
    (tmp_path / "job.previous.json").write_text("")
    assert Store(tmp_path / "job.json").exists()


class Kill(BaseException):
    pass


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_before_a_rename_leaves_the_old_value_or_the_new(
    store, monkeypatch, renames
):
    import os

    made, real = [], os.replace

    def replace(old, new):
        if len(made) == renames:
            raise Kill
        made.append(new)
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    if renames < 2:
        with pytest.raises(Kill):
            store.write({"event": 3})
    else:
        store.write({"event": 3})
    monkeypatch.undo()
    # Until the first rename nothing has happened; after it the new value counts.
    assert Store(store.path).read() == (NEWEST if renames == 0 else {"event": 3}, None)
    # And the store goes on from there.
    store.write({"event": 4})
    assert Store(store.path).read() == ({"event": 4}, None)


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_a_half_written_new_file_leaves_the_current_value(store, length):
    new = store.path.with_name(".job.json.new")
    new.write_bytes(store.path.read_bytes()[:length])
    assert store.read() == (NEWEST, None)


def test_a_half_written_new_file_does_not_hide_the_previous_copy(store):
    store.path.with_name(".job.json.new").write_bytes(b"{")
    store.path.write_bytes(b"{")
    value, sentence = store.read()
    assert value == BEFORE
    assert "job.previous.json" in sentence


def test_a_value_that_json_cannot_hold_changes_nothing(store):
    with pytest.raises(TypeError):
        store.write({"event": object()})
    assert store.read() == (NEWEST, None)


def test_the_file_is_json_with_a_checksum(store):
    stored = json.loads(store.path.read_text())
    assert set(stored) == {"sha256", "value"}
    assert json.loads(stored["value"]) == NEWEST
