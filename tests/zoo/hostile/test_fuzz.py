"""Parsers read or refuse files that are nearly valid, within seconds and 500 MB."""

import os
import time

import pytest

from tests.zoo.hostile import fuzz, parsers
from tests.zoo.hostile.parsers import PARSERS, Parser, Sample
from zoo.system.errors import UserError


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(60, marks=pytest.mark.slow)], ids=["2 s", "60 s"]
)
@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.quick(2)
def test_a_parser_reads_or_refuses_each_file(name, seconds):
    report = fuzz.fuzz(name, seconds)
    assert not report.failed, report.failed[0]
    assert report.cases > 10
    assert report.refused


@pytest.mark.parametrize("name", PARSERS)
def test_each_valid_file_is_read(name, tmp_path):
    for place, sample in enumerate(PARSERS[name].samples()):
        if not sample.whole:
            continue
        path = tmp_path / str(place) / sample.name
        path.parent.mkdir(parents=True)
        PARSERS[name].around(path)
        path.write_bytes(sample.content)
        PARSERS[name].read(path)


@pytest.mark.parametrize("name", PARSERS)
def test_a_seed_always_makes_the_same_file(name):
    first = [PARSERS[name].case(seed) for seed in range(200)]
    assert first == [PARSERS[name].case(seed) for seed in range(200)]
    assert len(set(first)) > 100


# --- The search itself finds what it is for -------------------------------------------


def reader(read):
    """A parser of ten files that all are read in one way."""
    return Parser(lambda: [Sample("a.txt", b"x", lambda _, seed: b"%d" % seed)], read)


def raises(path):
    raise KeyError("x")


def long_winded(path):
    raise UserError("two\nlines")


def hangs(path):
    time.sleep(60)


def works_hard(path):
    start = time.process_time()
    while time.process_time() < start + 2.1:
        pass


def fills_memory(path):
    bytearray(fuzz.MEMORY + 10**8)


def dies(path):
    os.abort()


def writes(path):
    (path.parent / "other").write_text("x")


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (raises, "KeyError"),
        (long_winded, "no sentence"),
        (hangs, "not done after 1 s"),
        (works_hard, "it took 2.1 s"),
        (fills_memory, "more than 500,000,000 bytes"),
        (dies, "the process ended with -6"),
        (writes, "it has written 'other'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.quick(1)
def test_a_failure_is_found_saved_and_ends_with_1(
    read, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(parsers.PARSERS, "midi", reader(read))
    if read is hangs:
        monkeypatch.setattr(fuzz, "PATIENCE", 1.0)
    arguments = ["--minutes", "0.02", "--parser", "midi", "--out", str(tmp_path)]
    assert fuzz.main([*arguments, "--seed", "3"]) == 1
    assert (tmp_path / "midi" / "3-a.txt").read_bytes() == b"3"
    assert words in (tmp_path / "midi" / "3-a.txt.txt").read_text()
    assert "0 read, 0 refused" in capsys.readouterr().out


def test_without_a_failure_it_ends_with_0(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(parsers.PARSERS, "midi", reader(lambda path: path.read_text()))
    arguments = ["--minutes", "0.01", "--parser", "midi", "--out", str(tmp_path / "x")]
    assert fuzz.main(arguments) == 0
    assert ", 0 refused, 0 failed" in capsys.readouterr().out
    assert not (tmp_path / "x").exists()
