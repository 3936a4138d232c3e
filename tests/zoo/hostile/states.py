"""Generators of hostile indexes, checkpoints, recipes and data files.

Each is a function of the folder in which it writes what is read afterwards.
"""

import dataclasses
import gzip
import json
import os
from pathlib import Path

from tests.zoo.hostile.files import DEEP, DEEPER, MiB
from zoo.runs.checkpoint_files import CHECKPOINT, COPY, TRAINING, write_training
from zoo.store.downloads import key_of
from zoo.tasks import TASKS

# --- Indexes of presets ---------------------------------------------------------------

MIRROR = "https://example.org/release"
ROW = {
    "manifest_sha256": "0" * 64,
    "size": 1000,
    "task": "adding",
    "data": "adding-200",
    "metric": "mean squared error",
    "unit": "",
    "part": "test",
    "value": 0.5,
    "parameters": 10,
}


def index(presets=None, **values):
    """A function that writes an index where a release is known from before."""
    presets = {"small": ROW} if presets is None else presets
    return raw_index(
        json.dumps({"format": 1, "mirrors": [], "presets": presets, **values}).encode()
    )


def raw_index(content):
    def write(folder):
        key = key_of(f"{MIRROR}/index.json")
        path = folder / "cache" / "presets" / "indexes" / f"{key}.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    return write


def row(**values):
    return index({"small": {**ROW, **values}})


INDEXES = {
    "nested 600 deep": raw_index(DEEP),
    "nested a million deep": raw_index(DEEPER),
    "a million objects": raw_index(b"[" + b"{}," * 300_000 + b"{}]"),
    "a list": raw_index(b"[]"),
    "no UTF-8": raw_index(b'{"format": 1, "presets": {"\xff": 1}}'),
    "number of 10,000 digits": raw_index(b'{"format": ' + b"1" * 10_000 + b"}"),
    "another format": index(format=2),
    "format that is true": index(format=True),
    "presets that are a list": index([ROW]),
    "preset that is text": index({"small": "adding"}),
    "name that leads outside": index({"../../outside": ROW}),
    "name that is a path": index({"/etc/passwd": ROW}),
    "name of a device": index({"con": ROW}),
    "name that controls the terminal": index({"\x1b[2J": ROW}),
    "name that is half a pair": index({"\ud800": ROW}),
    "task that controls the terminal": row(task="\x1b[2J"),
    "task with half a pair": row(task="\ud800"),
    "size of 10**300": row(size=10**300),
    "size that is true": row(size=True),
    "size below zero": row(size=-1),
    "value that is NaN": row(value=float("nan")),
    "value of 10**400": row(value=10**400),
    "checksum that leads outside": row(manifest_sha256="../" * 21 + "x"),
    "checksum that is none": row(manifest_sha256="0" * 63),
    "another field": row(weights="https://example.org"),
    "field that is missing": index({"small": {}}),
    "mirrors that are text": index(mirrors="https://example.org"),
    "mirror that is a number": index(mirrors=[1]),
    "a thousand mirrors": index(mirrors=["https://example.org"] * 1000),
    "mirror that is a file": index(mirrors=["file:///etc/passwd"]),
    "mirror that is a path": index(mirrors=["/etc"]),
    "mirror of another scheme": index(mirrors=["ftp://example.org"]),
    "mirror without a host": index(mirrors=["https://"]),
    "mirror that is cut off": index(mirrors=["https://[::1"]),
    "mirror with an odd port": index(mirrors=["http://localhost:99999999"]),
    "mirror with a query": index(mirrors=["https://example.org/?a=b"]),
    "mirror that is half a pair": index(mirrors=["https://\ud800"]),
    "hub without a repository": index(mirrors=["hf://owner"]),
    "hub with a path that leads outside": index(mirrors=["hf://../../.."]),
    "files that are not there": index(),
}


# --- Checkpoints ----------------------------------------------------------------------


def training_of(recipe):
    """What a training is, as a checkpoint holds it."""
    return {
        "origin": {
            "dataset": "adding-200",
            "data": None,
            "data_dir": None,
            "reading": None,
            "from": None,
            "task": "adding",
            "jit": "auto",
        },
        "recipe": recipe,
        "data": {"sha256": "0" * 64, "facts": {"name": "adding-200"}},
        "patient_since": 0,
    }


def checkpoint(change):
    """A function that writes a run whose checkpoint is changed."""

    def write(folder):
        recipe = dataclasses.asdict(TASKS["adding"].recipe_for(None))
        made = folder / "run" / CHECKPOINT
        write_training(made, training_of(recipe))
        change(made)

    return write


def training(**values):
    """A checkpoint with other values, with a digest that is right."""

    def change(folder):
        known = json.loads((folder / TRAINING).read_text())
        del known["sha256"]
        write_training(folder, {**known, **values})

    return checkpoint(change)


def origin(**values):
    return training(origin={**training_of({})["origin"], **values})


def both(change):
    """A checkpoint of whose files both are changed."""

    def apply(folder):
        for name in (TRAINING, COPY):
            change(folder / name)

    return checkpoint(apply)


def stored(content):
    """A checkpoint whose files are another text."""
    return both(lambda path: path.write_bytes(content))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


CHECKPOINTS = {
    "nested 600 deep": stored(DEEP),
    "nested a million deep": stored(DEEPER),
    "a million objects": stored(b"[" + b"{}," * MiB + b"{}]"),
    "a list": stored(b"[]"),
    "null": stored(b"null"),
    "an empty object": stored(b"{}"),
    "patience that is text": training(patient_since="2"),
    "patience below zero": training(patient_since=-1),
    "patience of 10**400": training(patient_since=10**400),
    "no data": training(data=None),
    "facts that are a number": training(data={"sha256": "0", "facts": 3}),
    "no task": origin(task=None),
    "task that does not exist": origin(task="os.system"),
    "XLA that is a list": origin(jit=[]),
    "data that are a list": origin(data=["/etc/passwd"]),
    "reading that is text": origin(reading="x"),
    "recipe that is text": training(recipe="adding"),
    "recipe of a billion rows": training(recipe={"batch_size": 10**9}),
    "recipe that is NaN": training(recipe={"learning_rate": float("nan")}),
    "a digest of another text": both(
        lambda path: path.write_text(path.read_text().replace("adding", "music"))
    ),
    "a digest that is a list": both(
        lambda path: path.write_text(
            json.dumps({**json.loads(path.read_text()), "sha256": []})
        )
    ),
    "files that are pipes": both(pipe),
    "files that are endless": both(endless),
    "files of 20 GB": both(lambda path: os.truncate(path, 20 * 2**30)),
}


# --- Recipes --------------------------------------------------------------------------


def recipe(**values):
    """A function that writes the file of a recipe of `adding`."""
    known = dataclasses.asdict(TASKS["adding"].recipe_for(None))
    return file(json.dumps({"task": "adding", "recipe": {**known, **values}}).encode())


def file(content):
    """A function that writes a file."""
    return lambda folder: (folder / "file").write_bytes(content)


RECIPES = {
    "nested 600 deep": file(DEEP),
    "nested a million deep": file(DEEPER),
    "of 30 MB": file(b'{"a": "' + bytes(30 * MiB)),
    "a list": file(b"[]"),
    "empty": file(b""),
    "no UTF-8": file(b"\xff\xfe{}"),
    "no recipe": file(b'{"task": "adding"}'),
    "of another task": file(b'{"task": "music", "recipe": {}}'),
    "that is text": file(b'{"task": "adding", "recipe": "x"}'),
    "of a billion rows": recipe(batch_size=10**9),
    "of a window of a billion": recipe(window=10**9),
    "of 10**300 layers": recipe(layers=10**300),
    "of no layers": recipe(layers=0),
    "of units that are text": recipe(units="1e9"),
    "of units that are true": recipe(units=True),
    "of too many units": recipe(units=65_536, layers=32),
    "that is NaN": recipe(learning_rate=float("nan")),
    "of a layer that is a module": recipe(layer="os.system"),
    "of a seed below zero": recipe(seed=-1),
    "of epochs without end": recipe(epochs=10**12),
}


# --- Data -----------------------------------------------------------------------------

HEAD = b"day,load\n"
TABLES = {
    "bomb": file(gzip.compress(bytes(200 * MiB), 1)),
    "bombs one after the other": file(gzip.compress(b"1\n" * (20 * MiB), 1) * 4),
    "cut compression": file(gzip.compress(b"1,2\n" * 1000)[:-9]),
    "two million lines": file(b"1\n" * 2_000_000),
    "line of 10 MB": file(HEAD + b"1," * (5 * MiB)),
    "binary": file(HEAD + bytes(1000)),
    "no UTF-8": file(HEAD + b"\xff\xff,1\n" * 100),
    "spreadsheet": file(b"PK\x03\x04" + bytes(1000)),
    "quote that is not closed": file(HEAD + b'"' + b"1,2\n" * 200_000),
    "field of 900,000 characters": file(HEAD + b"1" * 900_000 + b",2\n" + b"1,2\n" * 9),
    "40,000 columns of text": file(b"\n".join([b",".join([b"x"] * 40_000)] * 3)),
    "1,500 columns that are nearly dates": file(
        b"\n".join(
            b",".join(b"2024-%02d-%04d" % (13 + i % 50, j) for j in range(1500))
            for i in range(21)
        )
    ),
    "dates that are nearly right": file(
        b"day,load\n" + b"".join(b"2024-01-%02d,1\n" % (i % 99) for i in range(50_000))
    ),
    "values without a square": file(
        HEAD + b"".join(b"%d,1e200\n" % i for i in range(99))
    ),
    "infinite": file(HEAD + b"".join(b"%d,inf\n" % i for i in range(99))),
    "nothing but a heading": file(HEAD),
    "nothing": file(b""),
    "nothing but quotes": file(b'"' * 100_000),
    "steps of a million years": file(
        b"day,load\n0001-01-01,1\n9999-12-31,2\n0001-01-02,x\n"
    ),
}
TS = b"@problemName x\n@classLabel true a b\n@data\n"
CASES = {
    "no data": file(b"@problemName x\n"),
    "empty": file(b""),
    "binary": file(TS + bytes(1000)),
    "no UTF-8": file(TS + b"1,2:\xff\n"),
    "300,000 lines": file(TS + b"1:a\n" * 300_000),
    "2 million timesteps": file(TS + b"1," * 2_000_000 + b"1:a\n"),
    "100,000 channels": file(TS + b"1:" * 100_000 + b"a\n"),
    "channels of two lengths": file(TS + b"1,2:1:a\n"),
    "number of a million digits": file(TS + b"1" * 1_000_000 + b":a\n"),
    "value of 10**300": file(TS + b"1e300,1:a\n1,1:b\n"),
    "infinite": file(TS + b"inf,1:a\n1,1:b\n"),
    "text in place of a number": file(TS + b"__import__('os'),1:a\n"),
    "class that is not named": file(TS + b"1,2:c\n"),
    "class that controls the terminal": file(b"@data\n1,2:\x1b[2J\n1,2:b\n"),
    "class of a megabyte": file(b"@data\n1,2:" + b"x" * MiB + b"\n1,2:b\n"),
    "timestamps": file(b"@timeStamps true\n@data\n(1,2):a\n"),
    "a class each": file(
        TS[:15] + b"@data\n" + b"".join(b"1:c%d\n" % i for i in range(99))
    ),
}
TEXTS = {
    "null characters": file(b"to be or not" + bytes(1000)),
    "no UTF-8": file(b"\xff\xfd" * 1000),
    "too short": file(b"x"),
    "UTF-32 that is cut off": file(b"\xff\xfe\0\0" + b"x" * 1001),
    "characters beyond Unicode": file(b"\xff\xfe\0\0" + b"\xff" * 400),
    "UTF-16 with half a pair": file(b"\xff\xfe" + b"\x00\xd8" * 1000),
    "of 300 GB": lambda folder: (
        (folder / "file").write_bytes(b"x"),
        os.truncate(folder / "file", 300 * 2**30),
    ),
}


def outside(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder: names, contents of small files, targets of links."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            small = path.is_file() and path.stat().st_size < 10**6
            found[name] = path.read_bytes() if small else ""
    return found
