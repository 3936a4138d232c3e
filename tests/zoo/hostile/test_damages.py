"""Files with a few damaged bytes are read, or refused in one sentence."""

import collections
import io
import shutil
import time

import h5py
import numpy as np
import pytest
import scipy.io

from tests.zoo.hostile.bounds import outcome
from tests.zoo.hostile.mutations import damaged
from zoo.models.weights_file import check_weights
from zoo.music.midi import read_midi, write_midi
from zoo.music.rolls import read_parts, read_piece
from zoo.store.check import check_preset
from zoo.store.hub import locate
from zoo.system.errors import UserError

ROLL = (np.random.default_rng(0).random((12, 88)) < 0.1).astype(np.uint8)
SECONDS = 0.1  # of one file, on a machine that does nothing else


def mat(packed, **variables):
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=packed)
    return file.getvalue()


def npz(save, roll):
    file = io.BytesIO()
    save(file, roll=roll, tempo=90)
    return file.getvalue()


def midi(folder):
    write_midi(folder / "roll.mid", ROLL)
    return (folder / "roll.mid").read_bytes()


KINDS = {
    "mat": lambda folder: (mat(False, roll=ROLL.astype(float)), ".mat", read_piece),
    "packed mat": lambda folder: (mat(True, roll=ROLL), ".mat", read_piece),
    "npz": lambda folder: (npz(np.savez, ROLL * 1.0), ".npz", read_piece),
    "packed npz": lambda folder: (npz(np.savez_compressed, ROLL), ".npz", read_piece),
    "midi": lambda folder: (midi(folder), ".mid", read_midi),
}


def survive(call, content, count):
    """Calls with so many damaged forms of a content; returns how they ended."""
    ends, slowest = collections.Counter(), 0.0
    for seed in range(count):
        start = time.perf_counter()
        try:
            call(damaged(content, seed))
            ends["read"] += 1
        except UserError:
            ends["refused"] += 1
        slowest = max(slowest, time.perf_counter() - start)
    return ends, slowest


FEW_OR_MANY = [200, pytest.param(3000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", FEW_OR_MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_music_is_read_or_refused(tmp_path, kind, count):
    content, suffix, read = KINDS[kind](tmp_path)

    def call(changed):
        (tmp_path / f"x{suffix}").write_bytes(changed)
        read(tmp_path / f"x{suffix}")

    ends, slowest = survive(call, content, count)
    assert ends["refused"] > count / 2
    # Ten times what is allowed, as tests may share a machine.
    assert slowest < 10 * SECONDS


@pytest.mark.parametrize("count", FEW_OR_MANY)
def test_damaged_parts_are_read_or_refused(count):
    cells = np.empty((1, 3), object)
    cells[0, :] = [ROLL[:2], ROLL[:5], ROLL]
    content = mat(False, traindata=cells, validdata=cells, testdata=cells)

    def call(changed):
        try:
            read_parts(changed)
        except ValueError as error:
            raise UserError(str(error)) from None

    ends, _ = survive(call, content, count)
    assert ends["refused"] > count / 2


@pytest.mark.parametrize("count", FEW_OR_MANY)
@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_damaged_json_of_a_preset_is_read_or_refused(tmp_path, name, count):
    folder = tmp_path / "preset"
    shutil.copytree(locate("echo-8"), folder)
    content = (folder / name).read_bytes()

    def call(changed):
        (folder / name).write_bytes(changed)
        check_preset(folder)

    ends, _ = survive(call, content, count)
    assert ends["refused"] > count / 2


def weights_of(path, **options):
    """A file as Keras writes it, of a layer with 54 weights."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        arrays = file.create_group("layers/dense/vars")
        kernel = rng.normal(size=(8, 6)).astype("f4")
        arrays.create_dataset("0", data=kernel, **options)
        arrays.create_dataset("1", data=np.ones(6, "f4"))
        arrays.attrs["name"] = "dense"
        file.create_group("vars")
    return path.read_bytes()


@pytest.mark.parametrize("count", FEW_OR_MANY)
@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip", "shuffle": True, "chunks": (4, 3)}]
)
def test_damaged_weights_are_read_or_refused(tmp_path, options, count):
    content = weights_of(tmp_path / "whole.h5", **options)

    def call(changed):
        path = tmp_path / "x.h5"
        path.unlink(missing_ok=True)
        path.write_bytes(changed)
        try:
            # Checksums that differ: what was found good is not looked at again.
            check_weights(path, str(hash(changed)), 54)
        except ValueError as error:
            raise UserError(str(error)) from None

    def all_of_them():
        ends, slowest = survive(call, content, count)
        assert ends["refused"] > count / 2
        assert slowest < 10 * SECONDS

    # In a process of its own: HDF5 is written in C.
    assert outcome(all_of_them, limit=300).error == ""


@pytest.mark.slow
def test_weights_that_pass_are_loaded_or_refused(tmp_path):
    from tests.zoo.hostile.files import sealed
    from zoo.store.preset import load_preset

    folder = tmp_path / "preset"
    shutil.copytree(locate("influence-23"), folder)
    path = folder / "model.weights.h5"
    content = path.read_bytes()

    def call(changed):
        path.unlink()
        path.write_bytes(changed)
        sealed(folder)
        load_preset(folder)

    ends, _ = survive(call, content, 600)
    assert min(ends.values()) > 20
