"""Generators of hostile files: each kind is a function of a folder."""

import hashlib
import io
import json
import struct
import zipfile
import zlib

import h5py
import numpy as np

from zoo.music.mat import COMPRESSED, MATRIX

MiB = 2**20


# --- MATLAB ---------------------------------------------------------------------------


def element(kind, data, *, size=None, pad=True):
    """An element of a MATLAB file, padded to eight bytes."""
    size = len(data) if size is None else size
    return struct.pack("<II", kind, size) + data + bytes(-len(data) % 8 if pad else 0)


def matrix(name, shape, *, kind=6, code=9, numbers=b"", size=None, inside=None):
    """A matrix of a class, with numbers of a type or with other elements inside."""
    head = (
        element(6, struct.pack("<II", kind, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name.encode())
    )
    rest = element(code, numbers, size=size) if inside is None else inside
    return element(MATRIX, head + rest)


def mat(*elements, version=0x0100):
    """A MATLAB file of elements."""
    return (
        b"MATLAB 5.0".ljust(124)
        + struct.pack("<H", version)
        + b"IM"
        + b"".join(elements)
    )


def packed(*parts):
    """An element that is packed by zlib, of parts that need not be there at once."""
    packer = zlib.compressobj(1)
    data = b"".join([*map(packer.compress, parts), packer.flush()])
    return element(COMPRESSED, data, pad=False)


def nested_cells(depth):
    """Cells inside one another."""
    inner = matrix("", (1, 1), numbers=bytes(8))
    for _ in range(depth):
        inner = matrix("x", (1, 1), kind=1, inside=inner)
    return inner


def zeros(size):
    """A matrix of so many zeros, packed."""
    size -= size % 88
    whole = matrix("x", (size // 88, 88), code=2, size=size)
    # Without its numbers: the element itself must be as long as it says.
    whole = whole[:4] + struct.pack("<I", len(whole) - 8 + size) + whole[8:]
    return packed(whole, *[bytes(MiB)] * (size // MiB), bytes(size % MiB))


MAT = {
    "huge declared cells": lambda: mat(matrix("x", (2**30, 2**30), kind=1, inside=b"")),
    "cells nested 9,000 deep": lambda: mat(nested_cells(9000)),
    "huge declared matrix": lambda: mat(matrix("x", (2**31 - 1, 88), numbers=b"")),
    "huge declared element": lambda: mat(element(MATRIX, b"", size=2**32 - 1)),
    "compressed bomb": lambda: mat(zeros(600 * MiB)),
    "bombs one after the other": lambda: mat(*[zeros(150 * MiB)] * 20),
    "broken compression": lambda: mat(element(COMPRESSED, b"x\x9cno", pad=False)),
    "cut compression": lambda: mat(
        element(COMPRESSED, zlib.compress(bytes(99))[:-6], pad=False)
    ),
    "negative extents": lambda: mat(matrix("x", (-1, -88), numbers=bytes(704))),
    "version 7.3": lambda: mat(b"\x89HDF", version=0x0200),
    "sparse": lambda: mat(matrix("x", (3, 88), kind=5)),
    "empty": lambda: b"",
    "NaN": lambda: mat(matrix("x", (1, 88), numbers=np.full(88, np.nan).tobytes())),
    "one half": lambda: mat(matrix("x", (1, 88), numbers=np.full(88, 0.5).tobytes())),
    "too many frames": lambda: mat(zeros(88 * 200_000)),
}


# --- NumPy ----------------------------------------------------------------------------


def npy(shape, kind="|u1", data=b"", *, header=None):
    """An array of NumPy that says it has a shape."""
    text = (
        header or f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    )
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data


def npz(*contents, compression=zipfile.ZIP_DEFLATED):
    """A zip file of arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for place, content in enumerate(contents):
            archive.writestr(f"{place}.npy", content)
    return file.getvalue()


def encrypted():
    content = bytearray(npz(npy((2, 88), data=bytes(176))))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def declared(size):
    """An entry whose directory says that it unpacks to so many bytes."""
    content = bytearray(npz(npy((2, 88), data=bytes(176))))
    place = content.index(b"PK\1\2") + 24
    content[place : place + 4] = struct.pack("<I", size)
    return bytes(content)


def many_entries():
    """Half a million entries of the same data, in 23 MB."""
    content = npz(npy((2, 88), data=bytes(176)))
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:end]
    count = 500_000
    tail = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(entry) * count, start, 0
    )
    return content[:start] + entry * count + tail


NPZ = {
    "88 TiB declared": lambda: npz(npy((2**40, 88))),
    "bomb": lambda: npz(npy((MiB, 88), data=bytes(MiB * 88)), *[bytes(88 * MiB)] * 3),
    "size that is not there": lambda: declared(2**31),
    "truncated": lambda: npz(npy((2, 88), data=bytes(176)))[:-30],
    "encrypted": encrypted,
    "empty": lambda: npz(),
    "no bytes": lambda: b"",
    "half a million entries": many_entries,
    "packed by another method": lambda: npz(
        npy((2, 88), data=bytes(176)), compression=zipfile.ZIP_BZIP2
    ),
    "pickle": lambda: npz(npy((2, 88), "|O", bytes(99))),
    "description that is code": lambda: npz(npy((), header="__import__('os')")),
    "description nested deep": lambda: npz(npy((), header="(" * 9000)),
    "description of minus signs": lambda: npz(npy((), header="-" * 9000 + "1")),
    "negative extents": lambda: npz(npy((-1, 88))),
    "NaN": lambda: npz(npy((1, 88), "<f8", np.full(88, np.nan).tobytes())),
    "one half": lambda: npz(npy((1, 88), "<f8", np.full(88, 0.5).tobytes())),
}


# --- MIDI -----------------------------------------------------------------------------


def midi(*tracks, division=96, kind=0, count=None):
    """A MIDI file of tracks, each bytes."""
    count = len(tracks) if count is None else count
    head = b"MThd" + struct.pack(">IHHH", 6, kind, count, division)
    return head + b"".join(
        b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks
    )


ON, OFF, END = b"\0\x90\x3c\x50", b"\0\x80\x3c\0", b"\0\xff\x2f\0"
FAR = b"\xff\xff\xff\x7f"  # 268 million ticks
MIDI = {
    "huge delta": lambda: midi(ON + FAR + OFF[1:] + END),
    "endless number": lambda: midi(b"\xff" * MiB),
    "note that never ends": lambda: midi(ON + FAR + END[1:]),
    "counts seconds (SMPTE)": lambda: midi(ON + b"\x60" + OFF[1:], division=0xE728),
    "0 ticks": lambda: midi(ON + b"\x60" + OFF[1:], division=0),
    "no status": lambda: midi(b"\0\x3c\x50" + END),
    "status that is none": lambda: midi(b"\0\xf4\x50" + END),
    "data above 127": lambda: midi(b"\0\x90\xbc\x50" + END),
    "track without end": lambda: b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\xff\xff\xff\xff" + ON,
    "65,535 tracks": lambda: midi(ON + OFF + END, kind=1, count=65535),
    "several pieces": lambda: midi(ON + OFF + END, kind=2),
    "many notes at once": lambda: midi(
        b"".join(b"\0\x90" + bytes([21 + k % 88, 80]) for k in range(250_000))
    ),
    "empty": lambda: b"",
    "larger than any": lambda: midi(ON + OFF + END) + bytes(3 * MiB),
}


# --- Presets --------------------------------------------------------------------------


def write(folder, name, value):
    """A JSON file of a preset."""
    (folder / name).write_text(json.dumps(value), "utf-8")


def read(folder, name):
    """What a JSON file of a preset holds."""
    return json.loads((folder / name).read_text("utf-8"))


def changed(name, change):
    """A function that changes a JSON file of a preset."""

    def apply(folder):
        value = read(folder, name)
        change(value)
        write(folder, name, value)

    return apply


def replaced(name, content):
    """A function that replaces a file of a preset."""
    return lambda folder: (folder / name).write_bytes(content)


def sealed(folder):
    """Gives the metadata the checksum that the weights have."""
    content = (folder / "model.weights.h5").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    changed("metadata.json", lambda m: m.update(weights_sha256=sha256))(folder)


def weights(change):
    """A function that changes the weights of a preset, with the right checksum."""

    def apply(folder):
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)
        sealed(folder)

    return apply


def first_array(file):
    """An array of a file, and its name."""
    found = []
    file.visititems(
        lambda name, item: (
            found.append(name) if isinstance(item, h5py.Dataset) else None
        )
    )
    return found[0], file[found[0]]


def again(file, value, **options):
    """Writes the first array of a file in another way."""
    name, _ = first_array(file)
    del file[name]
    return file.create_dataset(name, data=value, **options)


def with_value(value):
    def change(file):
        _, array = first_array(file)
        array[(0,) * array.ndim] = value

    return change


def chunk_that_unpacks(size):
    """A chunk that unpacks to more than its array has."""

    def change(file):
        _, array = first_array(file)
        shape = array.shape
        bomb = again(file, np.zeros(shape, "f4"), chunks=shape, compression="gzip")
        packer = zlib.compressobj(1)
        parts = [packer.compress(bytes(MiB)) for _ in range(size // MiB)]
        data = b"".join([*parts, packer.flush()])
        bomb.id.write_direct_chunk((0,) * len(shape), data)

    return change


def linked(depth):
    """Groups that have the next one twice: two to the power of `depth` paths."""

    def change(file):
        group = file.create_group("a")
        for _ in range(depth):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    return change


def circle(file):
    file["layers/again"] = file["layers"]


def many_groups(file):
    for place in range(20_000):
        file.create_group(f"g{place}")


def deep_groups(file):
    file.create_group("/".join("g" * 900))


def sparse(folder):
    with open(folder / "model.weights.h5", "r+b") as file:
        file.truncate(20 * 2**30)


def virtual(file):
    name, array = first_array(file)
    shape = array.shape
    del file[name]
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape)
    file.create_virtual_dataset(name, layout)


def external(file):
    name, array = first_array(file)
    shape = array.shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/dev/zero", 0, 10**6)])


def unstored(file):
    name, array = first_array(file)
    shape = array.shape
    del file[name]
    file.create_dataset(name, shape, "f4", chunks=shape)


def named_type(file):
    file["layers/kind"] = np.dtype("f4")


def long_strings(file):
    file.create_dataset("x", (2,), "S200000000", chunks=(1,), compression="gzip")


def odd_numbers(file):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(31, 20, 11, 0, 20)
    name, array = first_array(file)
    space = h5py.h5s.create_simple(array.shape)
    del file[name]
    h5py.h5d.create(file.id, name.encode(), kind, space)


def large_attribute(file):
    file.attrs.create("x", np.zeros(8000))


def all_zeros(folder):
    """A model of 90 million weights, all 0, in a file of some 100 KB."""
    units = 9_000

    def change(config):
        layers = config["model"]["layers"]
        layers[:] = [
            {"class_name": "Dense", "config": {"units": 10_000, "use_bias": False}},
        ]
        config["model"]["features"] = units
        config["processing"] = {}

    changed("config.json", change)(folder)
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file.create_dataset(
            "layers/dense/vars/0",
            shape=(units, 10_000),
            dtype="f4",
            data=np.zeros((units, 10_000), "f4"),
            chunks=(1000, 1000),
            compression="gzip",
            compression_opts=1,
        )
    sealed(folder)


def layer(place, **values):
    return changed(
        "config.json", lambda c: c["model"]["layers"][place]["config"].update(values)
    )


def with_layers(layers):
    return changed("config.json", lambda c: c["model"].update(layers=layers))


def recipe(**values):
    return changed("metadata.json", lambda m: m["recipe"].update(values))


DEEP = b'{"a":' * 600 + b"1" + b"}" * 600
DEEPER = b"[" * 1_000_000
PRESETS = {
    "metadata nested 600 deep": replaced("metadata.json", DEEP),
    "metadata nested a million deep": replaced("metadata.json", DEEPER),
    "config nested 600 deep": replaced("config.json", DEEP),
    "recipe nested 600 deep": lambda folder: (folder / "metadata.json").write_bytes(
        (folder / "metadata.json")
        .read_bytes()
        .replace(b'"recipe": {', b'"recipe": {"x": ' + DEEP + b",")
    ),
    "metadata of a million objects": replaced("metadata.json", b"[" + b"{}," * MiB),
    "metadata of 30 MB": replaced("metadata.json", b'{"a": "' + bytes(30 * MiB)),
    "number of 10,000 digits": replaced("metadata.json", b'{"a": ' + b"1" * 10_000),
    "half a pair of surrogates": changed(
        "metadata.json", lambda m: m["data"].update(name="\ud800")
    ),
    "units of a billion": layer(-1, units=10**9),
    "units of 4 million": layer(2, units=4 * 10**6),
    "units that are text": layer(-1, units="1e9"),
    "embedding of a billion": layer(0, input_dim=10**9),
    "activation that is a module": layer(-1, activation="os.system"),
    "100,000 layers": with_layers(
        [{"class_name": "Dropout", "config": {"rate": 0.5}}] * 100_000
    ),
    "1,000 recurrent layers": changed(
        "config.json",
        lambda c: c["model"].update(
            layers=[c["model"]["layers"][0]]
            + [{"class_name": "bptt_keras>LSTM", "config": {"units": 1}}] * 1000
        ),
    ),
    "recipe of a billion rows": recipe(batch_size=10**9),
    "recipe with a window of a billion": recipe(window=10**9),
    "recipe of 10**300 layers": recipe(layers=10**300),
    "recipe that is NaN": recipe(learning_rate=float("nan")),
    "vocabulary of a million": changed(
        "config.json",
        lambda c: c["processing"].update(
            vocabulary="".join(map(chr, range(0x20000, 0x110000)))
        ),
    ),
    "sparse file of 20 GB": sparse,
    "weights that are zeros": all_zeros,
    "NaN": weights(with_value(np.nan)),
    "infinite": weights(with_value(np.inf)),
    "chunk that unpacks to 600 MB": weights(chunk_that_unpacks(600 * MiB)),
    "hard links in a tree of 2**60 paths": weights(linked(60)),
    "hard link in a circle": weights(circle),
    "20,000 groups": weights(many_groups),
    "groups 900 deep": weights(deep_groups),
    "soft link": weights(lambda f: f.__setitem__("x", h5py.SoftLink("/layers"))),
    "external link": weights(
        lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/x"))
    ),
    "virtual array": weights(virtual),
    "external storage": weights(external),
    "array of which nothing is stored": weights(unstored),
    "named type": weights(named_type),
    "text of 200 MB": weights(long_strings),
    "numbers of an odd kind": weights(odd_numbers),
    "large attribute": weights(large_attribute),
    "another filter": weights(
        lambda f: again(f, first_array(f)[1][()], compression="lzf")
    ),
    "terabytes declared": weights(
        lambda f: f.create_dataset("bomb", (10**12,), "f4", chunks=(1024,))
    ),
    "no HDF5": lambda folder: (
        (folder / "model.weights.h5").write_bytes(b"no weights"),
        sealed(folder),
    ),
}
