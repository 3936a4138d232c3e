import dataclasses

import pytest

from tests.zoo.faulty_server import FaultyServer
from zoo import download


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
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setattr(download, "PAUSE", 0.01)


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
