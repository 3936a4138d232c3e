"""Each data set, built from its real files, against known facts."""

import os
import subprocess
import sys

import numpy as np
import pytest

from zoo import datasets
from zoo.system.errors import UserError
from zoo.texts.text import as_characters
from zoo.texts.words import as_words


@pytest.fixture
def load(shared_data):
    """Loads a data set from the shared folder."""
    return lambda name: datasets.load(name, data_dir=shared_data)


def test_every_data_set_says_where_it_comes_from():
    for name in datasets.DATASETS:
        facts = datasets.describe(name)
        for key in ("summary", "description", "homepage", "licence"):
            assert facts[key], f"{name} has no {key}"
        for file in facts["files"]:
            assert len(file["sha256"]) == 64 and file["url"].startswith("https://")


def test_the_penn_treebank_has_its_words(load):
    text = load("penn-treebank")
    parts = [as_words(part) for part in (text.train, text.validation)]
    # Words and one <eos> a line.
    assert [len(part) for part in parts] == [929_589, 73_760]
    assert len(as_words(text.test)) == 82_430
    assert len(set(parts[0])) == 10_000
    assert not set(parts[1]) - set(parts[0])


def test_the_penn_treebank_has_its_characters(load):
    text = load("penn-treebank")
    parts = [as_characters(p) for p in (text.train, text.validation, text.test)]
    assert [len(part) for part in parts] == [5_017_482, 393_042, 442_423]
    assert len(set(parts[0])) == 50


def test_wikitext_2_has_its_words(load):
    text = load("wikitext-2")
    words = [as_words(p) for p in (text.train, text.validation, text.test)]
    assert [len(part) for part in words] == [2_088_628, 217_646, 245_569]
    assert len(set(words[0])) == 33_278


@pytest.mark.slow
def test_mnist_has_its_digits(load):
    parts = load("mnist")
    images = np.concatenate([block["images"] for block in parts["train"]])
    assert images.shape == (60_000, 28, 28)
    np.testing.assert_allclose(images.mean() / 255, 0.1307, atol=5e-5)
    first = {part: parts[part][0]["labels"][:10].tolist() for part in parts}
    assert first["train"] == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert first["test"] == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.mark.parametrize(
    ("name", "pieces", "frames", "notes"),
    [
        ("jsb-chorales", [229, 76, 77], [13_807, 4_602, 4_725], 3.90),
        ("nottingham", [694, 173, 170], [176_561, 45_513, 44_463], 3.96),
    ],
)
@pytest.mark.quick(1)
def test_music_has_its_pieces(load, name, pieces, frames, notes):
    parts = load(name)
    rolls = [[e["frames"] for e in parts[p]] for p in ("train", "validation", "test")]
    assert [len(part) for part in rolls] == pieces
    assert [sum(map(len, part)) for part in rolls] == frames
    assert np.concatenate(rolls[0]).sum(axis=1).mean() == pytest.approx(notes, abs=5e-3)


def test_tables_have_their_rows_in_order(load):
    (table,) = load("etth1")["series"]
    assert [name.decode() for name in table["columns"]][-1] == "OT"
    assert table["values"].shape == (17_420, 7)
    assert table["values"][0, -1] == np.float32(30.5310001373291)
    (table,) = load("sunspots")["series"]
    assert table["values"].shape == (2_820, 1)
    np.testing.assert_array_equal(table["values"][:2, 0], np.float32([58.0, 62.6]))


@pytest.mark.parametrize(
    ("name", "cases", "channels", "shortest", "longest", "classes"),
    [
        ("japanese-vowels", [270, 370], 12, 7, 29, 9),
        ("basic-motions", [40, 40], 6, 100, 100, 4),
    ],
)
def test_cases_have_their_lengths_and_classes(
    load, name, cases, channels, shortest, longest, classes
):
    parts = load(name)
    assert [len(parts[part]) for part in ("train", "test")] == cases
    every = parts["train"] + parts["test"]
    lengths = {len(case["values"]) for case in every}
    assert (min(lengths), max(lengths)) == (shortest, longest)
    assert {case["values"].shape[1] for case in every} == {channels}
    assert len({case["label"] for case in every}) == classes


def test_examples_keep_their_order_when_they_are_read_again(load):
    first, second = (load("jsb-chorales")["train"] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a["frames"], b["frames"])


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match="There is no data set 'mnits'. There are: "):
        datasets.load("mnits")


def test_words_end_their_lines():
    assert as_words(" a b \n\n c \n") == [
        "a",
        "b",
        "<eos>",
        "<eos>",
        "c",
        "<eos>",
    ]
    assert as_characters(" a b \n c \n") == "a b\nc\n"


@pytest.mark.slow
def test_two_processes_prepare_a_data_set_once(shared_data, tmp_path):
    command = [
        sys.executable,
        "-c",
        "from zoo import datasets; print(len(datasets.load('penn-treebank').train))",
    ]
    env = os.environ | {
        "BPTT_ZOO_CACHE": str(tmp_path),
        "BPTT_ZOO_DATA": str(shared_data),
    }
    pair = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [p.communicate()[0].split() for p in pair] == [["5101618"]] * 2
