"""A plugin of pytest: drop-in layers take the places of Keras' own in a run of tests.

`pytest -p tests.layers.keras_own --own-report FILE keras/src/layers/rnn/lstm_test.py`
writes a JSON object to `FILE`, for each test `{"outcome", "made", "run", "missed"}`:
how many drop-in layers it made, how often one of their kernels ran, and how many of
Keras' layers the test made in spite of all.
"""

import collections
import functools
import inspect
import json
from pathlib import Path

import keras
import pytest

import bptt_keras as bk

NAMES = ("LSTM", "GRU", "SimpleRNN")
FOLDER = Path("keras/src/layers/rnn")
# Markers of Keras' conftest.py, for backends that do not train and for several devices.
MARKERS = ("requires_trainable_backend", "multi_device")


def pytest_addoption(parser):
    parser.addoption("--own-report", type=Path, required=True)


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: of Keras")
    # Keras' test files import one another as modules of the package.
    keras.src.layers.rnn.__path__.append(str(config.rootpath / FOLDER))
    report = Report(config.option.own_report)
    for name in NAMES:
        report.replace(name)
    config.pluginmanager.register(report)


class Report:
    """What each test made and ran, and how it ended."""

    def __init__(self, file):
        self.file = file
        self.tests = collections.defaultdict(dict)
        self.counts = collections.Counter()

    def replace(self, name):
        """Puts a drop-in layer into the place of Keras' layer; both are counted."""
        theirs, ours = getattr(keras.layers, name), getattr(bk.layers, name)
        for module in (keras.layers, keras.src.layers):
            setattr(module, name, ours)
        self.count("made", ours, "__init__")
        self.count("run", ours, "_run_kernel")
        # Ours call it, too, for what they inherit.
        self.count("missed", theirs, "__init__", only=theirs)

    def count(self, what, kind, method, only=object):
        """Counts the calls of a method, with `only` those for no subclass of it."""
        function, counts = getattr(kind, method), self.counts

        @functools.wraps(function)
        def counted(self, *args, **kwargs):
            counts[what] += only in (object, type(self))
            return function(self, *args, **kwargs)

        # Keras takes the arguments apart by what the function itself says of them.
        counted.__signature__ = inspect.signature(function)
        setattr(kind, method, counted)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.counts.clear()
        result = yield
        counts = {what: self.counts[what] for what in ("made", "run", "missed")}
        self.tests[short(item.nodeid)].update(counts)
        return result

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.tests[short(report.nodeid)]["outcome"] = report.outcome

    def pytest_sessionfinish(self):
        self.file.write_text(json.dumps(self.tests), encoding="utf-8")


def short(name):
    """`keras/.../lstm_test.py::LSTMTest::test_basics` without the folders."""
    return name.rpartition("/")[2]
