"""Data pipelines are not tuned by a thread that would delay the end of `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training.intake.pipeline import untuned

X = np.ones((4, 6, 2), "float32")


def tuned(dataset):
    return dataset.options().autotune.enabled


def test_tuning_is_off_unless_asked_for():
    dataset = tf.data.Dataset.range(3)
    options = tf.data.Options()
    options.autotune.enabled = True
    options.deterministic = False
    assert tuned(untuned(dataset)) is False
    assert tuned(untuned(dataset.with_options(options))) is True
    options = tf.data.Options()
    options.deterministic = False
    assert untuned(dataset.with_options(options)).options().deterministic is False


@pytest.mark.parametrize("kind", ["arrays", "dataset", "generator"])
@pytest.mark.quick(1)
def test_every_kind_of_data_is_untuned(kind, monkeypatch):
    seen = []
    original = tf.data.Dataset.__iter__

    def noted(dataset):
        seen.append(tuned(dataset))
        return original(dataset)

    data = {
        "arrays": (X, X[..., :1]),
        "dataset": (tf.data.Dataset.from_tensors((X, X[..., :1])),),
        "generator": ((pair for pair in [(X, X[..., :1])] * 3),),
    }[kind]
    model = keras.Sequential([bk.layers.SimpleRNN(1, return_sequences=True)])
    trainer = bk.TruncatedBPTT(model, window=3)
    trainer.compile("sgd", "mse", jit_compile=False)
    monkeypatch.setattr(tf.data.Dataset, "__iter__", noted)
    trainer.fit(*data, verbose=0)
    assert seen and not any(seen)


def test_a_step_is_traced_once(monkeypatch):
    traced = []
    for name in ("train_step", "test_step", "predict_step"):
        original = getattr(bk.TruncatedBPTT, name)

        def noted(self, data, name=name, original=original):
            traced.append(name)
            return original(self, data)

        monkeypatch.setattr(bk.TruncatedBPTT, name, noted)
    layer = bk.layers.SimpleRNN(2, return_sequences=True)
    trainer = bk.TruncatedBPTT(
        keras.Sequential([layer, keras.layers.Dense(1)]), window=3
    )
    trainer.compile("adam", "mse", metrics=["mae"])
    arrays = X, X[..., :1]
    trainer.fit(*arrays, validation_data=arrays, batch_size=4, epochs=2, verbose=0)
    trainer.evaluate(*arrays, batch_size=4, verbose=0)
    trainer.predict(X, batch_size=4, verbose=0)
    assert traced == ["train_step", "test_step", "predict_step"]
