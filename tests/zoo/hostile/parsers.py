"""Each parser of files that others may have made, with valid files to begin from."""

import contextlib
import dataclasses
import functools
import io
import json
import random
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io

from tests.zoo.hostile.files import COMPRESSED, element
from tests.zoo.hostile.mutations import damaged, odd_json, odd_text
from tests.zoo.hostile.states import training_of
from zoo.cases.own_cases import read_any, read_cases
from zoo.cli.task_command import starting_recipe
from zoo.music.midi import read_midi, write_midi
from zoo.music.rolls import read_piece
from zoo.runs.checkpoint_files import read_training, write_training
from zoo.store.check import check_preset
from zoo.store.hub import locate
from zoo.store.index import INDEX, SHIPPED, read_index
from zoo.store.manifest import MANIFEST, read_manifest
from zoo.tables.own_table import read_table
from zoo.tasks import TASKS
from zoo.texts.own_text import from_file
from zoo.texts.vocabulary import Vocabulary
from zoo.texts.words import Words

Mutate = Callable[[bytes, int], bytes]


@dataclasses.dataclass(frozen=True)
class Sample:
    """A valid file.

    Args:
        name: Its name, whose suffix says what it is.
        content: Its content.
        mutate: Makes another content from it and a seed.
        whole: Whether it is a file by itself, and no part of one.
    """

    name: str
    content: bytes
    mutate: Mutate
    whole: bool = True


@dataclasses.dataclass(frozen=True)
class Parser:
    """Something that reads files.

    Args:
        samples: Makes the valid files to begin from.
        read: Reads a file, in a folder in which nothing else is.
        around: Writes what has to be beside a file of a name, before it is read.
    """

    samples: Callable[[], list[Sample]]
    read: Callable[[Path], object]
    around: Callable[[Path], object] = lambda path: None

    def case(self, seed: int) -> tuple[str, bytes]:
        """The name and the content of the file of a seed."""
        samples = _made(self.samples)
        sample = samples[seed % len(samples)]
        return sample.name, sample.mutate(sample.content, seed)


@functools.cache
def _made(samples: Callable[[], list[Sample]]) -> list[Sample]:
    return samples()


# --- Presets and their indexes --------------------------------------------------------

PRESETS = ("echo-8", "python-topics", "jsb-chorales", "sunspots", "japanese-vowels")


def presets() -> list[Sample]:
    return [
        Sample(f"{name}/{part}", (locate(name) / part).read_bytes(), odd_json)
        for part in ("config.json", "metadata.json")
        for name in PRESETS
    ]


def preset_around(path: Path) -> None:
    shutil.copytree(locate(path.parent.name), path.parent, dirs_exist_ok=True)


def index() -> list[Sample]:
    value = json.loads((SHIPPED / INDEX).read_bytes())
    value["mirrors"] = ["https://example.org/a", "hf://owner/repository@main"]
    value["presets"] = dict(list(value["presets"].items())[:3])
    manifest = (locate("echo-8") / MANIFEST).read_bytes()
    return [
        Sample(INDEX, json.dumps(value).encode(), odd_json),
        Sample(MANIFEST, manifest, odd_json),
    ]


def read_either(path: Path) -> None:
    read = read_index if path.name == INDEX else read_manifest
    read(path.read_bytes(), path.name)


# --- Texts and vocabularies -----------------------------------------------------------

PROSE = 'Ärger, "Über" und Öl:\n\tto be or not to be,\nthat\'s the question.\n' * 3


def vocabulary() -> list[Sample]:
    words = {"words": ["a", "rose", "<eos>", "is", "<unk>"]}
    characters = {"vocabulary": "".join(sorted(set(PROSE)))}
    config = json.loads((locate("python-topics") / "config.json").read_bytes())
    config["processing"] = {}
    of_preset = [
        Sample(
            "python-topics/config.json",
            json.dumps(processing).encode(),
            functools.partial(_in_config, config),
            whole=False,
        )
        for processing in (words, characters)
    ]
    return [Sample("my.txt", PROSE.encode(), odd_text), *of_preset]


def _in_config(config: dict, content: bytes, seed: int) -> bytes:
    whole = json.dumps(config).encode()
    return whole.replace(
        b'"processing": {}', b'"processing": ' + odd_json(content, seed)
    )


def read_vocabulary(path: Path) -> None:
    if path.suffix == ".json":
        check_preset(path.parent)
        return
    text = from_file(path)
    for kind, taken in ((Vocabulary, text.train), (Words, text.train.split())):
        found = kind.of(taken, at_most=20)
        ids = found.encode(text.validation)
        found.decode(ids)
        assert len(found.missing(text.train)) >= 0 and (ids < found.size).all()


def vocabulary_around(path: Path) -> None:
    if path.suffix == ".json":
        preset_around(path)


# --- Series in tables and cases -------------------------------------------------------


def tables() -> list[Sample]:
    rows = [f"2024-03-{day:02},{day % 7},{day * 1.5},x" for day in range(1, 31)]
    comma = [f"{day}.03.2024 00:00;{day % 5},25;1.{day:03},5" for day in range(1, 29)]
    unix = [f"{1_700_000_000 + 3600 * i}\t{i % 3}\t{i}e-3" for i in range(40)]
    bars = [f"{year} | {year % 11:>6} | {year % 4}" for year in range(1960, 2000)]
    texts = [
        ["day,load,heat,note", *rows],
        ["Datum;Last;Wärme", *comma],
        ["# made by hand", "time\tload\theat", *unix],
        ["year | spots | other", *bars],
        [str(i % 5) for i in range(30)],
    ]
    return [Sample("my.csv", "\n".join(text).encode(), odd_text) for text in texts]


def read_any_table(path: Path) -> None:
    # One way of filling gaps each time: the size says which.
    fills = (None, "linear", "last", "drop")
    table = read_table(path, fill=fills[path.stat().st_size % len(fills)])
    assert np.isfinite(table.values).all() and table.values.size
    table.summary.encode()
    json.dumps(table.facts(), allow_nan=False)


TS = """# a comment
@problemName vowels
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@seriesLength 3
@classLabel true a b
@data
"""


def cases() -> list[Sample]:
    ts = TS + "\n".join(f"1.5,{i},-3e-2:0,1,{i}:{'ab'[i % 2]}" for i in range(12))
    arff = "@relation x\n@attribute a numeric\n@attribute target {a,b}\n@data\n"
    arff += "\n".join(f"1.5,{i},-3,{'ab'[i % 2]}" for i in range(12))
    tsv = "\n".join(f"{i % 2 + 1}\t0.5\t{i}\t-1e-3" for i in range(12))
    samples = (("my.ts", ts), ("my.ts", ts), ("my.arff", arff), ("my.tsv", tsv))
    return [Sample(name, text.encode(), odd_text) for name, text in samples]


def read_any_cases(path: Path) -> None:
    for values, _ in read_any(path, fill="linear"):
        assert np.isfinite(values).all() and values.size
    read_cases(path)


# --- Music ----------------------------------------------------------------------------

ROLL = (np.random.default_rng(0).random((12, 88)) < 0.1).astype(np.uint8)


def rolls() -> list[Sample]:
    plain, packed, cells = io.BytesIO(), io.BytesIO(), io.BytesIO()
    scipy.io.savemat(plain, {"roll": ROLL.astype(float)})
    scipy.io.savemat(packed, {"roll": ROLL}, do_compression=True)
    inner = np.empty((1, 2), object)
    inner[0, :] = [ROLL[:2], ROLL]
    scipy.io.savemat(cells, {"a": inner, "roll": ROLL})
    files = [Sample("a.mat", file.getvalue(), damaged) for file in (plain, cells)]
    files.append(Sample("a.mat", packed.getvalue(), damaged))
    files.append(Sample("a.mat", plain.getvalue(), damaged_within_mat))
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, roll=ROLL, tempo=90)
        files.append(Sample("a.npz", file.getvalue(), damaged))
        files.append(Sample("a.npz", file.getvalue(), damaged_within_zip))
    return files


def damaged_within_mat(content: bytes, seed: int) -> bytes:
    """Elements that are damaged before they are packed, so that they unpack."""
    packed = zlib.compress(damaged(content[128:], seed))
    return content[:128] + element(COMPRESSED, packed, pad=False)


ODD_HEADERS = (
    *("(2**40, 88)", "(-1, 88)", "(12, 88, 1)", "()", "(True, 88)", "(12.0, 88)"),
    *("(12, 88", "[12, 88]", "('12', 88)", "(0, 88)", "(12, 0)", "(1056,)", "None"),
)
ODD_KINDS = ("|O", "<f8", "<f2", ">i8", "<c16", "<U3", "|V88", "<M8[s]", "|S0", "x", "")


def damaged_within_zip(content: bytes, seed: int) -> bytes:
    """Arrays that are damaged before they are put into the file, with right sums."""
    rng = random.Random(seed)
    packed = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(file, "w", packed) as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            kind = rng.randrange(4)
            if kind == 0:
                data = damaged(data, seed)
            elif kind == 1:
                data = data.replace(b"(12, 88)", rng.choice(ODD_HEADERS).encode())
            elif kind == 2:
                data = data.replace(b"|u1", rng.choice(ODD_KINDS).encode())
            name = rng.choice((name, name, name, "../x.npy", "x", "/x.npy", "a/"))
            new.writestr(name, data)
    return file.getvalue()


def midi() -> list[Sample]:
    with tempfile.TemporaryDirectory() as folder:
        write_midi(Path(folder, "roll.mid"), ROLL)
        return [Sample("a.mid", Path(folder, "roll.mid").read_bytes(), damaged)]


# --- Recipes and checkpoints ----------------------------------------------------------


def recipes() -> list[Sample]:
    found = []
    for name, task in TASKS.items():
        values = {
            "task": name,
            "recipe": dataclasses.asdict(task.recipe_for(None)),
            "value": 0.5,
        }
        found.append(Sample(f"{name}.json", json.dumps(values).encode(), odd_json))
    return found


def read_recipe(path: Path) -> None:
    starting_recipe(TASKS[path.stem], None, str(path))


def checkpoints() -> list[Sample]:
    recipe = dataclasses.asdict(TASKS["adding"].recipe_for(None))
    training = json.dumps(training_of(recipe)).encode()
    return [Sample("run/checkpoint/training.json", training, odd_json)]


def read_run(path: Path) -> None:
    # With the digest that it has: otherwise nothing but that is looked at.
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            write_training(path.parent, content)
    read_training(path.parent.parent)


PARSERS = {
    "preset": Parser(presets, lambda path: check_preset(path.parent), preset_around),
    "index": Parser(index, read_either),
    "vocabulary": Parser(vocabulary, read_vocabulary, vocabulary_around),
    "ts": Parser(cases, read_any_cases),
    "csv": Parser(tables, read_any_table),
    "rolls": Parser(rolls, read_piece),
    "midi": Parser(midi, read_midi),
    "recipe": Parser(recipes, read_recipe),
    "checkpoint": Parser(checkpoints, read_run),
}
