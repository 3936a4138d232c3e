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
import pandas  # noqa: F401

from tests.zoo.hostile import states
from tests.zoo.hostile.bounds import outcome
from tests.zoo.hostile.files import MAT, MIDI, NPZ, PRESETS
from zoo.cases.own_cases import read_cases
from zoo.cli.commands import resume
from zoo.cli.task_command import starting_recipe
from zoo.music.midi import read_midi
from zoo.music.rolls import read_piece
from zoo.store import json_models  # noqa: F401
from zoo.store.check import check_preset
from zoo.store.hub import locate, locate_files
from zoo.system.reading import read_bytes, read_json
from zoo.tables.own_table import read_table
from zoo.tasks import TASKS
from zoo.texts.own_text import from_file


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


def read_index(folder):
    """Looks a name up in the index, of which the cache has a copy."""
    os.environ.update(BPTT_ZOO_CACHE=str(folder / "cache"), BPTT_ZOO_OFFLINE="1")
    locate_files("small", mirrors=[states.MIRROR])


def read_run(folder):
    """Resumes a training as far as TensorFlow."""
    resume.import_tensorflow = lambda: sys.exit("it was not refused")
    resume.resume(resume.Options(str(folder / "run"), epochs=9))


def read_recipe(folder):
    starting_recipe(TASKS["adding"], None, str(folder / "file"))


def named(read, suffix):
    """A function that reads the file of a folder under a name with a suffix."""

    def call(folder):
        path = folder / f"my{suffix}"
        (folder / "file").rename(path)
        read(path)

    return call


KINDS = {
    "index": (states.INDEXES, read_index),
    "checkpoint": (states.CHECKPOINTS, read_run),
    "recipe": (states.RECIPES, read_recipe),
    ".csv": (states.TABLES, named(read_table, ".csv")),
    ".ts": (states.CASES, named(read_cases, ".ts")),
    ".txt": (states.TEXTS, named(from_file, ".txt")),
}


def others(folder):
    """Likewise, of indexes, checkpoints, recipes and data."""
    inside = folder / "deep" / "inside"
    for kind, (table, read) in KINDS.items():
        for name, write in table.items():

            def make(write=write):
                shutil.rmtree(inside, ignore_errors=True)
                inside.mkdir(parents=True)
                write(inside)

            yield kind, name, make, read, inside


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


def elsewhere(folder, path):
    """What is in a folder, other than at a path."""
    inside = str(path.relative_to(folder))
    found = states.outside(folder)
    return {k: v for k, v in found.items() if not k.startswith(inside)}


def main() -> None:
    """Measures all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows in (pieces, presets, others, no_files):
            for kind, name, make, read, path in rows(folder):
                made = outcome(make)
                if made.error:
                    sys.exit(f"{kind}, {name}: {made.error}")
                before = elsewhere(folder, path)
                row = dataclasses.asdict(outcome(read, path))
                row["outside"] = elsewhere(folder, path) != before
                print(json.dumps({"kind": kind, "name": name, **row}), flush=True)
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main()
