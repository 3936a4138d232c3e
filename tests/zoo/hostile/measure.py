"""`python -m tests.zoo.hostile.measure`: the cost of each kind of hostile file.

Prints a line of JSON for each kind. It runs without TensorFlow, like commands that
refuse a file, so the measured memory is that of the file.
"""

import dataclasses
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Imported before anything is measured.
import h5py  # noqa: F401

from tests.zoo.hostile.bounds import outcome
from tests.zoo.hostile.files import MAT, MIDI, NPZ, PRESETS
from zoo.music.midi import read_midi
from zoo.music.rolls import read_piece
from zoo.store.check import check_preset
from zoo.store.hub import locate
from zoo.system.reading import read_bytes, read_json


def pieces(folder):
    """Kind, name, function that writes it, function that reads it."""
    for suffix, table, read in (
        (".mat", MAT, read_piece),
        (".npz", NPZ, read_piece),
        (".mid", MIDI, read_midi),
    ):
        path = folder / f"a{suffix}"
        for name, make in table.items():
            yield suffix, name, (lambda m=make, p=path: p.write_bytes(m())), read, path


def presets(folder):
    """Likewise, of presets."""
    for name, change in PRESETS.items():

        def make(change=change):
            shutil.rmtree(folder / "preset", ignore_errors=True)
            shutil.copytree(locate("python-topics"), folder / "preset")
            change(folder / "preset")

        yield "preset", name, make, check_preset, folder / "preset"


def no_files(folder):
    """Likewise, of what is no regular file."""
    pipe, link = folder / "pipe.mid", folder / "device.mid"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    (folder / "folder.mid").mkdir()
    for name in ("pipe", "device", "folder"):
        path = folder / f"{name}.mid"
        for read in (read_bytes, read_json, read_midi, read_piece):
            yield "no file", f"{name}, {read.__name__}", lambda: None, read, path


def main() -> None:
    """Measures all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows in (pieces, presets, no_files):
            for kind, name, make, read, path in rows(folder):
                made = outcome(make)
                if made.error:
                    sys.exit(f"{kind}, {name}: {made.error}")
                row = dataclasses.asdict(outcome(read, path))
                print(json.dumps({"kind": kind, "name": name, **row}), flush=True)
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main()
