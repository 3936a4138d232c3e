"""The two ways in which a trainer runs: the default one, and the plain one."""

import pytest

import bptt_keras as bk


def pytest_generate_tests(metafunc):
    """Each test of a module marked `both_ways` runs twice.

    As it is written such a module says `jit_compile=False` and `shards=1`. The quick
    tests run it as users do, with XLA and shards, the slow ones also as written.
    """
    if metafunc.definition.get_closest_marker("both_ways"):
        metafunc.fixturenames.append("way")
        plain = pytest.param("plain", marks=pytest.mark.slow)
        metafunc.parametrize("way", ["default", plain], indirect=True)


@pytest.fixture
def way(request, monkeypatch):
    """`"default"`: trainers leave `jit_compile` and `shards` at their defaults."""
    if request.param == "plain":
        return request.param
    trainer = bk.TruncatedBPTT
    made, compiled = trainer.__init__, trainer.compile

    def init(self, *args, **kwargs):
        kwargs.pop("shards", None)
        made(self, *args, **kwargs)

    def compile_(self, *args, **kwargs):
        kwargs.pop("jit_compile", None)
        compiled(self, *args, **kwargs)

    monkeypatch.setattr(trainer, "__init__", init)
    monkeypatch.setattr(trainer, "compile", compile_)
    return request.param
