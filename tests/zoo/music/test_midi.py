import mido
import numpy as np
import pytest

from zoo.music.midi import held_notes, read_midi, write_midi
from zoo.music.midi_file import notes_of
from zoo.system.errors import UserError


def roll_of(frames, *notes):
    """A piano roll of `(MIDI note, first frame, frame after the last)`."""
    roll = np.zeros((frames, 88), np.uint8)
    for note, start, end in notes:
        roll[start:end, note - 21] = 1
    return roll


def notes_in(path):
    """`(note, start, seconds)` of a file, as a player hears them."""
    sounding, notes, now = {}, [], 0.0
    for message in mido.MidiFile(path):  # times in seconds, by the tempo
        now += message.time
        if message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = now
        elif message.type == "note_off":
            start = sounding.pop(message.note)
            notes.append((message.note, start, now - start))
    assert not sounding
    return sorted(notes)


@pytest.mark.parametrize(("tempo", "per_beat"), [(60, 1), (90, 2), (133.3, 4)])
def test_notes_times_and_durations_are_those_of_the_roll(tmp_path, tempo, per_beat):
    notes = [(21, 0, 1), (60, 0, 3), (60, 4, 6), (64, 3, 5), (108, 6, 7)]
    path = tmp_path / "a.mid"
    write_midi(path, roll_of(9, *notes), tempo=tempo, frames_per_beat=per_beat)
    frame = 60 / tempo / per_beat
    expected = [(n, start * frame, (end - start) * frame) for n, start, end in notes]
    # MIDI counts a beat in whole microseconds.
    np.testing.assert_allclose(notes_in(path), sorted(expected), atol=1e-5)
    assert mido.MidiFile(path).length == pytest.approx(9 * frame, abs=1e-5)


def test_a_key_goes_up_before_another_goes_down(tmp_path):
    write_midi(tmp_path / "a.mid", roll_of(2, (60, 0, 1), (50, 1, 2)))
    (track,) = mido.MidiFile(tmp_path / "a.mid").tracks
    kinds = [message.type for message in track if not message.is_meta]
    assert kinds == ["note_on", "note_off", "note_on", "note_off"]


@pytest.mark.parametrize("per_beat", [1, 3])
def test_a_roll_is_read_as_it_was_written(tmp_path, per_beat):
    roll = (np.random.default_rng(0).random((50, 88)) < 0.3).astype(np.uint8)
    write_midi(tmp_path / "a.mid", roll * 0.7, frames_per_beat=per_beat)
    again = read_midi(tmp_path / "a.mid", frames_per_beat=per_beat)
    np.testing.assert_array_equal(again, roll)
    assert again.dtype == np.uint8


def test_held_notes_are_runs_of_frames():
    notes = [(60, 0, 3), (60, 4, 6), (62, 5, 6)]
    found = held_notes(roll_of(6, *notes))
    assert found == [(note - 21, start, end) for note, start, end in notes]
    assert held_notes(np.zeros((4, 88))) == []


def test_files_from_other_programs_are_read(tmp_path):
    file = mido.MidiFile(type=1, ticks_per_beat=96)
    melody, bass, drums = (file.add_track() for _ in range(3))
    melody += [
        mido.Message("note_on", note=72, time=96),
        mido.Message("note_on", note=72, velocity=0, time=90),  # a little early
        mido.Message("note_on", note=74, time=6),
        mido.Message("note_off", note=74, time=10),  # shorter than a frame
    ]
    bass += [
        mido.Message("note_on", note=48, channel=1),
        mido.Message("note_on", note=48, channel=1, time=192),  # again, never off
        mido.MetaMessage("end_of_track", time=192),
    ]
    drums += [mido.Message("note_on", note=9, channel=9, time=5)]
    file.save(tmp_path / "a.midi")
    roll = read_midi(tmp_path / "a.midi")
    expected = roll_of(4, (72, 1, 2), (74, 2, 3), (48, 0, 4))
    np.testing.assert_array_equal(roll, expected)


def test_files_that_are_not_piano_music_are_refused(tmp_path):
    path = tmp_path / "a.mid"
    with pytest.raises(UserError, match="names a file that does not exist"):
        read_midi(path)
    path.write_bytes(b"no music")
    with pytest.raises(UserError, match="cannot be read as MIDI"):
        read_midi(path)
    write_midi(path, roll_of(4, (60, 0, 2)))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="it is cut off"):
        read_midi(path)
    write_midi(path, np.zeros((4, 88)))
    with pytest.raises(UserError, match="has no notes"):
        read_midi(path)
    file = mido.MidiFile()
    file.add_track().append(mido.Message("note_on", note=12))
    file.save(path)
    with pytest.raises(UserError, match=r"no piano has: \[12\]. They must be in \[21"):
        read_midi(path)


@pytest.mark.parametrize("shape", [(4, 87), (88,), (0, 88)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(UserError, match=r"must be \(frames, 88\)"):
        write_midi(tmp_path / "a.mid", np.zeros(shape))


@pytest.mark.parametrize(
    "option", [{"tempo": 0}, {"tempo": float("nan")}, {"frames_per_beat": 0}]
)
def test_speeds_out_of_range_are_refused(tmp_path, option):
    with pytest.raises(UserError, match=f"`{next(iter(option))}` must be in"):
        write_midi(tmp_path / "a.mid", np.zeros((4, 88)), **option)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(20))
def test_notes_are_those_that_mido_reads(tmp_path, seed):
    rng = np.random.default_rng(seed)
    file = mido.MidiFile(type=1, ticks_per_beat=int(rng.integers(1, 1000)))
    for _ in range(3):
        track = file.add_track()
        for _ in range(60):
            options = {"time": int(rng.choice([0, 1, 200, 70_000]))}
            kind = rng.choice(["note_on", "note_off", "pitchwheel", "sysex", "tempo"])
            if kind.startswith("note"):
                options |= {
                    "note": int(rng.integers(21, 109)),
                    "channel": int(rng.choice([0, 1, 9])),
                    "velocity": int(rng.choice([0, 64])),
                }
            if kind == "tempo":
                track.append(mido.MetaMessage("set_tempo", **options))
            else:
                options |= {"data": [1] * 200} if kind == "sysex" else {}
                track.append(mido.Message(str(kind), **options))
    file.save(tmp_path / "a.mid")
    sounding, notes, now = {}, [], 0
    for message in file.merged_track:
        now += message.time
        if not message.type.startswith("note") or message.channel == 9:
            continue
        voice = message.channel, message.note
        if voice in sounding:
            notes.append((message.note, sounding.pop(voice), now))
        if message.type == "note_on" and message.velocity:
            sounding[voice] = now
    notes += [(note, start, now) for (_, note), start in sounding.items()]
    ticks, found = notes_of((tmp_path / "a.mid").read_bytes())
    assert ticks == file.ticks_per_beat
    assert sorted(found) == sorted(notes)
