import dataclasses
import hashlib

import numpy as np
import pytest

from tests.zoo.faulty_server import FaultyServer
from zoo.system import download


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads or fills the user's cache, or sees their settings."""
    monkeypatch.setenv("BPTT_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("BPTT_ZOO_DATA", "BPTT_ZOO_OFFLINE", "BPTT_ZOO_MIRRORS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path_factory):
    """A `FaultyServer` of an empty folder."""
    server = FaultyServer(tmp_path_factory.mktemp("served"))
    yield server
    server.close()


@pytest.fixture
def impatient(monkeypatch):
    """Downloads that give up early, for servers that do not answer."""
    # A busy machine may need that long for an answer of its own.
    monkeypatch.setattr(download, "TIMEOUT", 1.5)
    monkeypatch.setattr(download, "PAUSE", 0.01)


@pytest.fixture
def hashed(monkeypatch):
    """The SHA-256 sums that are taken, in hexadecimal digits, one after the other."""
    found, sha256 = [], hashlib.sha256

    class Told:
        def __init__(self, *arguments, **options):
            self._digest = sha256(*arguments, **options)

        def __getattr__(self, name):
            return getattr(self._digest, name)

        def hexdigest(self):
            found.append(self._digest.hexdigest())
            return found[-1]

    monkeypatch.setattr(hashlib, "sha256", Told)
    return found


@pytest.fixture
def untrained():
    """A small preset with fresh weights and complete metadata."""
    import zoo
    from zoo.datasets import Text, Vocabulary
    from zoo.tasks.char_lm import Recipe, build_model

    text = Text.cut("a text", "to be or not to be, that is the question: " * 20)
    vocabulary = Vocabulary.of(text.train)
    recipe = Recipe(embedding=4, units=12, batch_size=2, window=10)
    metadata = {
        "task": "char-lm",
        "metric": {
            "name": "cross-entropy",
            "unit": "nats per character",
            "part": "validation",
            "value": 1.5,
            "epoch": 3,
        },
        "data": text.describe(),
        "baselines": {"bigram": 2.0, "unigram": 3.0, "uniform": 3.5},
        "references": {"a paper": 1.4},
        "recipe": dataclasses.asdict(recipe),
        "parameters": 1234,
        "versions": {"python": "3.11.0", "keras": "3.12.0"},
        "wall_time_seconds": 12.0,
    }
    processing = {"vocabulary": "".join(vocabulary.characters)}
    return zoo.Preset(build_model(vocabulary.size, recipe), processing, metadata)


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit code, standard output and standard error."""
    from zoo.cli.main import main

    def call(*arguments):
        code = main([str(a) for a in arguments])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def refused(run):
    """Runs a command that must fail with one clear line; returns the line."""

    def call(*arguments, code=2):
        received, _, err = run(*arguments)
        assert received == code
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    return call


def _metadata(task, recipe, name, baselines):
    metric = task.METRIC
    return {
        "task": task.NAME,
        "metric": {
            "name": metric.name,
            "unit": metric.unit,
            "part": "test",
            "value": 0.5,
            "epoch": 1,
        },
        "data": {"name": name},
        "baselines": baselines,
        "references": {},
        "recipe": dataclasses.asdict(recipe),
        "parameters": 1,
        "versions": {},
        "wall_time_seconds": 1.0,
    }


@pytest.fixture
def composer():
    """A small preset of music, whose keys depend on the frames before."""
    import zoo
    from zoo.tasks import TASKS

    task = TASKS["music"]
    recipe = dataclasses.replace(task.recipe_for(None), units=8)
    model = task.build_model(None, recipe)
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    return zoo.Preset(model, {}, _metadata(task, recipe, "nottingham", {}))


@pytest.fixture
def forecaster():
    """Makes a small preset that forecasts; returns it with the series it is for."""
    import zoo
    from zoo.forecasting.recipe import ForecastRecipe
    from zoo.forecasting.series import Series
    from zoo.tasks import TASKS

    def make(base="season", **changes):
        task, rng = TASKS["forecasting"], np.random.default_rng(1)
        values = 50 + 9 * rng.normal(size=(60, 3)).cumsum(axis=0)
        data = Series("x", ("a", "b", "c"), values, (40, 50, 60), (2, 0), "made")
        recipe = ForecastRecipe(
            units=6, window=7, batch_size=1, horizon=4, season=6, base=base
        )
        recipe = dataclasses.replace(recipe, **changes)
        model = task.build_model(data, recipe)
        if base == "ridge":  # whose model begins without corrections
            kernel = model.layers[-1].kernel
            kernel.assign(rng.normal(size=kernel.shape))
        metadata = _metadata(task, recipe, "x", {"seasonal naive": 0.75})
        processing = task.processing(data, recipe)
        return zoo.Preset(model, processing, metadata), data

    return make
