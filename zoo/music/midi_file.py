"""Reads the notes of a MIDI file byte by byte.

A file is a sequence of chunks: a name, a number of bytes and the content. The first one
gives the number of tracks and of ticks per quarter note; a track is a sequence of
events, each after a number of ticks. Anything else is refused: damaged bytes can mean
anything, such as a note that lasts for years.

Source: MIDI Manufacturers Association, "Standard MIDI Files 1.0".
"""

from __future__ import annotations

import struct

DRUMS = 9
# Number of data bytes of an event, by its status without the channel.
DATA = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
NOTE_ON = 0x90  # and 0x80, the smallest status, is note off
META, TRACK_END, SYSEX = 0xFF, 0x2F, (0xF0, 0xF7)
CUT_OFF = "it is cut off"
# Time, (channel, note), and whether the note starts.
_Event = tuple[int, tuple[int, int], bool]


def notes_of(content: bytes) -> tuple[int, list[tuple[int, int, int]]]:
    """The notes of all tracks, without percussion.

    Args:
        content: A file of type 0 or 1.

    Returns:
        Ticks per quarter note, and `(note, start, end)` in ticks for each note; notes
        that are never switched off end with the last track.

    Raises:
        ValueError: If it is not such a file, is damaged, or measures time in seconds.

    Example:
        from zoo.music.midi_file import notes_of

        track = bytes([0, 0x90, 60, 80, 96, 0x80, 60, 0, 0, 0xFF, 0x2F, 0])
        head = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96])
        content = head + b"MTrk" + bytes([0, 0, 0, len(track)]) + track
        assert notes_of(content) == (96, [(60, 0, 96)])
    """
    if content[:4] != b"MThd" or len(content) < 14:
        raise ValueError("it does not begin as a MIDI file does")
    size, kind, tracks, division = struct.unpack_from(">IHHH", content, 4)
    if size < 6 or kind > 2:
        raise ValueError("its head is damaged")
    if kind == 2:
        raise ValueError("it holds several pieces (type 2), and must hold one")
    if division & 0x8000:
        raise ValueError(
            "it counts time in frames of a film (SMPTE), not in beats; save it with "
            "ticks per quarter note"
        )
    if not division:
        raise ValueError("it has 0 ticks in a quarter note")
    events, end, place = [], 0, 8 + size
    for _ in range(tracks):
        start, place = _track_at(content, place)
        own, last = _events(content, start, place)
        events += own
        end = max(end, last)
    # A stable sort: at the same time, events keep the order of the tracks.
    events.sort(key=lambda event: event[0])
    return division, _notes(events, end)


def _track_at(content: bytes, place: int) -> tuple[int, int]:
    """The start and the end of the next track; other chunks are skipped."""
    while True:
        if place + 8 > len(content):
            raise ValueError(CUT_OFF)
        name = content[place : place + 4]
        start = place + 8
        place = start + int.from_bytes(content[place + 4 : start], "big")
        if place > len(content):
            raise ValueError(CUT_OFF)
        if name == b"MTrk":
            return start, place


def _events(content: bytes, place: int, end: int) -> tuple[list[_Event], int]:
    """`(time, voice, whether it starts)` of a track's notes, and the track's end."""
    events: list[_Event] = []
    now, status = 0, None
    while place < end:
        if content[place] < 0x80:  # nearly all numbers have one byte
            now, place = now + content[place], place + 1
        else:
            delta, place = _number(content, place, end)
            now += delta
        if place >= end:
            raise ValueError(CUT_OFF)
        byte = content[place]
        if byte == META or byte in SYSEX:
            place += 1 + (byte == META)
            kind = content[place - 1]
            size, place = _number(content, place, end)
            place += size
            if place > end:
                raise ValueError(CUT_OFF)
            if byte == META and kind == TRACK_END:
                break
            if byte in SYSEX:
                status = None
            continue
        if byte >= 0x80:
            status, place = byte, place + 1
        # An event without a status has that of the event before.
        if status is None or status >= 0xF0:
            raise ValueError(f"it has an event of an unknown kind, {byte:#04x}")
        kind, channel = status & 0xF0, status & 0x0F
        data, place = content[place : place + DATA[kind]], place + DATA[kind]
        if place > end:
            raise ValueError(CUT_OFF)
        if max(data) >= 0x80:
            raise ValueError("an event has a number above 127")
        if kind <= NOTE_ON and channel != DRUMS:
            begins = kind == NOTE_ON and data[1] > 0
            events.append((now, (channel, data[0]), begins))
    return events, now


def _number(content: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of one to four bytes, seven bits each, and the position after it."""
    value = 0
    for byte in content[place : min(place + 4, end)]:
        place += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place
    raise ValueError(CUT_OFF if place >= end else "it has a number without end")


def _notes(events: list[_Event], end: int) -> list[tuple[int, int, int]]:
    """`(note, start, end)` in ticks."""
    notes = []
    sounding: dict[tuple[int, int], int] = {}
    for now, voice, begins in events:
        if voice in sounding:  # a second start ends the first
            notes.append((voice[1], sounding.pop(voice), now))
        if begins:
            sounding[voice] = now
    return notes + [(note, start, end) for (_, note), start in sounding.items()]
