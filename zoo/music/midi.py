"""Piano rolls as standard MIDI files."""

from __future__ import annotations

import os

import numpy as np

from zoo.music.midi_file import notes_of
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.files import atomic_path
from zoo.system.reading import read_bytes

KEYS, LOWEST = 88, 21  # piano keys, MIDI pitch of the first
TICKS = 120  # per frame
VELOCITY = 80


def write_midi(
    path: str | os.PathLike,
    roll: np.ndarray,
    *,
    tempo: float = 100.0,
    frames_per_beat: int = 1,
) -> None:
    """Writes a piano roll as a MIDI file with one track.

    A key that sounds in consecutive frames is one held note. A frame takes
    `60 / (tempo * frames_per_beat)` seconds.

    Args:
        path: The file, replaced if it exists.
        roll: `(frames, 88)`, nonzero where a key sounds: MIDI notes 21 to 108.
        tempo: Beats (quarter notes) per minute, in [4, 1000].
        frames_per_beat: Number of frames per beat, from 1 to 64.

    Raises:
        UserError: If a value is out of range.

    Example:
        import zoo

        roll = np.zeros((4, 88))
        roll[0:2, 60 - 21] = roll[2:4, 64 - 21] = 1    # two frames of C, two of E
        zoo.write_midi("two.mid", roll, tempo=90)
        assert np.array_equal(zoo.read_midi("two.mid"), roll)
    """
    # mido: put off.
    import mido

    check_speed(tempo=tempo, frames_per_beat=frames_per_beat)
    check_roll(roll)
    # At the same time, notes end before others start.
    events = sorted(
        event
        for key, start, end in held_notes(roll)
        for event in ((end, 0, LOWEST + key), (start, 1, LOWEST + key))
    )
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS * frames_per_beat)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    last = 0
    for frame, begins, note in events:
        kind = "note_on" if begins else "note_off"
        time = (frame - last) * TICKS
        track.append(mido.Message(kind, note=note, velocity=VELOCITY, time=time))
        last = frame
    rest = (len(roll) - last) * TICKS
    track.append(mido.MetaMessage("end_of_track", time=rest))
    with atomic_path(path) as temporary:
        file.save(temporary)


def read_midi(path: str | os.PathLike, *, frames_per_beat: int = 1) -> np.ndarray:
    """Reads a MIDI file as a piano roll.

    Starts and ends of notes are rounded to frames; a shorter note takes one frame. The
    roll begins with the file and ends with the last note. Percussion is left out.

    Args:
        path: A file of type 0 or 1.
        frames_per_beat: Number of frames per quarter note, from 1 to 64.

    Returns:
        `(frames, 88)` of 0 and 1, uint8.

    Raises:
        UserError: If it cannot be read, is damaged, measures time in seconds (SMPTE),
            has no notes, a note that no piano has, or more than 100,000 frames.
    """
    check_speed(frames_per_beat=frames_per_beat)
    content = read_bytes(path, at_most=limits.MIDI, option="`path`")
    return roll_of(content, path, frames_per_beat=frames_per_beat)


def roll_of(
    content: bytes, name: str | os.PathLike, *, frames_per_beat: int
) -> np.ndarray:
    """The piano roll from the content of a MIDI file; see `read_midi`.

    Args:
        content: The content of the file.
        name: Name of the file, for the error.
        frames_per_beat: Number of frames per quarter note.

    Returns:
        `(frames, 88)` of 0 and 1, uint8.

    Raises:
        UserError: As `read_midi`.
    """
    try:
        ticks, notes = notes_of(content)
    except ValueError as error:
        raise UserError(f"{name} cannot be read as MIDI: {error}.") from None
    if not notes:
        raise UserError(f"{name} has no notes.")
    odd = sorted({n for n, *_ in notes if not LOWEST <= n < LOWEST + KEYS})
    if odd:
        raise UserError(
            f"{name} has notes that no piano has: {odd}. They must be in [{LOWEST}, "
            f"{LOWEST + KEYS - 1}]; transpose the piece."
        )
    per_frame = ticks / frames_per_beat
    spans = [(n, round(s / per_frame), round(e / per_frame)) for n, s, e in notes]
    frames = max(max(start + 1, end) for _, start, end in spans)
    if frames > limits.FRAMES:
        raise UserError(
            f"{name} lasts for {frames:,} frames, and {limits.FRAMES:,} are the most."
        )
    roll = np.zeros((frames, KEYS), np.uint8)
    for note, start, end in spans:
        roll[start : max(start + 1, end), note - LOWEST] = 1
    return roll


def held_notes(roll: np.ndarray) -> list[tuple[int, int, int]]:
    """Notes of a piano roll as `(key, first frame, frame after the last)`, by key."""
    sounds = np.pad(np.asarray(roll) != 0, ((1, 1), (0, 0))).astype(np.int8)
    change = np.diff(sounds, axis=0).T
    keys, starts = np.nonzero(change > 0)
    _, ends = np.nonzero(change < 0)
    return list(zip(keys.tolist(), starts.tolist(), ends.tolist(), strict=True))


def check_roll(roll: np.ndarray) -> None:
    """Raises `UserError` unless it is `(frames, 88)` with at least one frame."""
    shape = np.shape(roll)
    if len(shape) != 2 or shape[1] != KEYS or not shape[0]:
        raise UserError(
            f"A piano roll must be (frames, {KEYS}), at least one frame. Received the "
            f"shape {shape}"
        )


def check_speed(*, tempo: float = 100.0, frames_per_beat: int = 1) -> None:
    """Raises `UserError` for a `tempo` or `frames_per_beat` out of range."""
    if not 4 <= tempo <= 1000:
        raise UserError(f"`tempo` must be in [4, 1000]. Received: tempo={tempo}")
    if not 1 <= frames_per_beat <= 64:
        raise UserError(
            "`frames_per_beat` must be in [1, 64]. Received: "
            f"frames_per_beat={frames_per_beat}"
        )
