"""Shared by the tests of tuning."""

import gc

import pytest


@pytest.fixture(autouse=True)
def no_collection():
    """KerasTuner and Keras collect garbage before every model: most of a tiny job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No test is part of a cluster unless it says so."""
    for name in ("ORACLE_IP", "ORACLE_PORT", "TUNER_ID"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    monkeypatch.delenv("BPTT_KERAS_TUNING_SECRET", raising=False)
