"""A save that someone else has made is refused, though its name has its digest."""

import io
import json
import os
import struct
import zipfile

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.files import LARGEST_JSON
from bptt_keras.resume import plain, saves
from tests.resume.cases import KINDS, new_trainer
from tests.zoo.hostile.bounds import refusal
from tests.zoo.hostile.files import many_entries, npy
from zoo.system.errors import UserError

CONTENT = {
    "place": [0, 2, False, []],
    "batches": 2,
    "replayed": 2,
    "stop_training": False,
    "variables": [[[2], "float32"]],
    "schedule": {"attributes": {}},
    "random": {"tuple": []},
    "callbacks": [],
    "files": [],
    "first_orders": [],
    "orders": [],
    "way": "saved",
    "configuration": {},
    "format": 1,
}


def array(text):
    """The entry of a text."""
    text = text if isinstance(text, bytes) else text.encode()
    return npy((len(text),), data=text)


def zipped(entries, *, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def content(text, **others):
    """A save whose content is a text."""
    return zipped({"content.npy": array(text), **others})


def changed(**values):
    return content(json.dumps({**CONTENT, **values}))


def with_array(entry):
    return content(json.dumps(CONTENT), **{"variables-0.npy": entry})


def encrypted():
    made = bytearray(changed())
    made[6] |= 1
    made[made.index(b"PK\1\2") + 8] |= 1
    return bytes(made)


def overlapping():
    """A thousand entries that are all the same 4 MB."""
    made = zipped({"content.npy": array(json.dumps(CONTENT) + " " * 4_000_000)})
    start, end = made.index(b"PK\1\2"), made.index(b"PK\5\6")
    entry = made[start:end]
    tail = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 1000, 1000, len(entry) * 1000, start, 0
    )
    return made[:start] + entry * 1000 + tail


HOSTILE = {
    "no zip": lambda: b"x" * 100,
    "empty": lambda: b"",
    "without arrays": lambda: zipped({}),
    "without content": lambda: zipped({"variables-0.npy": npy((0,))}),
    "content that is no array": lambda: zipped({"content": b"{}"}),
    "content of objects": lambda: zipped({"content.npy": npy((1,), "|O", bytes(99))}),
    "content of 20 TB": lambda: zipped({"content.npy": npy((20 * 10**12,))}),
    "compressed": lambda: zipped(
        {"content.npy": array(" " * 10**7)}, compression=zipfile.ZIP_DEFLATED
    ),
    "encrypted": encrypted,
    "half a million entries": many_entries,
    "entries of the same bytes": overlapping,
    "no UTF-8": lambda: content(b'{"format": "\xff"}'),
    "nested 600 deep in a list": lambda: content("[" * 600 + "]" * 600),
    "nested a million deep": lambda: content("[" * 1_000_000),
    "a million objects": lambda: content("[" + "{}," * 1_000_000 + "{}]"),
    "text of 40 MB": lambda: content('"' + " " * 40_000_000 + '"'),
    "number of 10,000 digits": lambda: content("1" * 10_000),
    "a list": lambda: content("[]"),
    "another format": lambda: changed(format=2),
    "array of 88 TB": lambda: with_array(npy((10**12, 88))),
    "array of nothing, without end": lambda: with_array(npy((2**60,), "|V0")),
    "array with a negative extent": lambda: with_array(npy((-1, 88))),
    "array that is code": lambda: with_array(npy((), header="__import__('os')")),
    "array nested deep": lambda: with_array(npy((), header="(" * 9000)),
    "array of objects": lambda: with_array(npy((1,), "|O", bytes(99))),
    "array of another number": lambda: content(
        json.dumps(CONTENT), **{"variables-7.npy": npy((0,))}
    ),
    **{
        f"without {name}": lambda name=name: content(
            json.dumps({k: v for k, v in CONTENT.items() if k != name})
        )
        for name in CONTENT
    },
    **{
        f"{name} of another type": lambda name=name: changed(**{name: 0.5})
        for name in CONTENT
    },
    "place that is too short": lambda: changed(place=[0, 1]),
    "place below zero": lambda: changed(place=[-1, 0, False, []]),
    "place that is text": lambda: changed(place=["0", 0, False, []]),
    "place of 10**400": lambda: changed(place=[0, 10**400, False, []]),
    "place with nested calls": lambda: changed(place=[1, 0, False, [[]]]),
    "files below zero": lambda: changed(files=[-1]),
    "files that are text": lambda: changed(files=["/etc/passwd"]),
    "callbacks that are text": lambda: changed(callbacks=["x"]),
}


def sealed(folder, content):
    """Writes a save with the digest of its bytes in its name."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "new"
    new.write_bytes(content)
    path = folder / f"save-{1:012d}-{saves.digest_of_file(new)}.npz"
    new.rename(path)
    return path


def read(folder):
    """Reads the newest save; a refusal becomes one of the zoo's."""
    save, remarks = saves.newest(folder)
    if save is None:
        raise UserError(*remarks)


def refused(folder):
    """The words of the refusal of a save."""
    return refusal(read, folder)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_save_that_is_none_is_refused(tmp_path, name):
    sealed(tmp_path / "saves", HOSTILE[name]())
    assert "is damaged: " in refused(tmp_path / "saves")
    assert [path.name for path in tmp_path.iterdir()] == ["saves"]


def test_the_save_that_the_others_are_made_from_is_read(tmp_path):
    sealed(tmp_path, changed())
    save, remarks = saves.newest(tmp_path)
    assert save.content["place"] == [0, 2, False, []] and not remarks


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_save_that_would_not_end_is_refused(tmp_path, make):
    make(tmp_path / f"save-{1:012d}-{'0' * 32}.npz")
    assert "must be a regular file" in refused(tmp_path)


def test_a_content_that_would_not_be_read_again_is_not_written(tmp_path):
    save = saves.Save(1, {"callbacks": "x" * LARGEST_JSON}, {})
    with pytest.raises(OSError, match="keep long lists as arrays"):
        saves.write(tmp_path, save)
    assert not list(tmp_path.iterdir())


# --- What only the training can tell --------------------------------------------------


class Logs(keras.callbacks.Callback):
    """A callback with a setting, state and a file."""

    def __init__(self, path):
        super().__init__()
        self.path, self.seen, self.tell = str(path), [1], print


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """`(trainer, folder, save)` of a training that has begun."""
    folder = tmp_path_factory.mktemp("trained")
    keras.utils.set_random_seed(7)
    trainer = new_trainer()
    fit(trainer, folder / "saves", epochs=1)
    return trainer, saves.newest(folder / "saves")[0]


def fit(trainer, folder, epochs=2):
    trainer.fit(
        **KINDS["arrays in order"](),
        epochs=epochs,
        verbose=0,
        callbacks=[Logs("log"), bk.callbacks.Resume(folder, print_fn=len)],
    )


def of_logs(content):
    """The state of the `Logs`."""
    states = [state["attributes"] for state in content["callbacks"]]
    return next(state for state in states if "seen" in state)


def place(content, arrays):
    content["place"] = [0, 99, False, []]


def shape(content, arrays):
    arrays["variables"][-1] = np.zeros((3, 3, 3), "float32")


def dtype(content, arrays):
    arrays["variables"][0] = np.array(["x"])


def count(content, arrays):
    del arrays["variables"][0]


def position(content, arrays):
    content["place"] = [0, 2, False, []]
    arrays["data"] = [np.frombuffer(b"no position", np.uint8)] * 2


def no_position(content, arrays):
    content["place"] = [0, 2, False, []]
    del arrays["data"]


def random_state(content, arrays):
    content["random"] = {"tuple": [1, 2, 3]}


def setting(content, arrays):
    of_logs(content)["path"] = "/outside"


def method(content, arrays):
    of_logs(content)["on_epoch_end"] = {"ops": "relu"}


def function(content, arrays):
    of_logs(content)["tell"] = 3


def no_function(content, arrays):
    of_logs(content)["seen"] = {"ops": "__loader__"}


def no_array(content, arrays):
    of_logs(content)["seen"] = {"array": 10**6}


def callback(content, arrays):
    del content["callbacks"][0]


def files(content, arrays):
    content["files"] = []


def schedule(content, arrays):
    content["schedule"] = {"attributes": {"x": {"y": 1}}}


CHANGES = (
    *(place, shape, dtype, count, position, no_position, random_state, setting),
    *(method, function, no_function, no_array, callback, files, schedule),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_save_that_does_not_fit_is_refused_in_a_sentence(trained, tmp_path, change):
    trainer, save = trained
    held = json.loads(json.dumps(save.content))
    arrays = {name: list(found) for name, found in save.arrays.items()}
    change(held, arrays)
    saves.write(tmp_path, saves.Save(1, held, arrays))
    with pytest.raises(ValueError, match=r"another folder|of another training") as got:
        fit(trainer, tmp_path)
    assert "\n" not in str(got.value) and len(str(got.value)) < 700


@pytest.mark.parametrize("name", ["lock", f"save-{1:012d}-{'0' * 32}.npz"])
def test_links_in_the_folder_are_refused(trained, tmp_path, name):
    outside = tmp_path / "outside"
    (tmp_path / "saves").mkdir()
    (tmp_path / "saves" / name).symlink_to(outside)
    with pytest.raises(ValueError, match="is a link, through which other files could"):
        fit(trained[0], tmp_path / "saves")
    assert not outside.exists()


def test_a_value_of_its_own_kind_is_restored():
    logs = Logs("log")
    state, missing = plain.state_of(logs, plain.Arrays())
    state["attributes"]["seen"] = [1, 2, 3]
    plain.restore(logs, state, plain.Arrays())
    assert logs.seen == [1, 2, 3] and not missing
