"""Tiny training runs: a dense model with dropout, shuffled data, and kills."""

import random

import keras
import numpy as np

import bptt_keras.tuning as tuning

_RANDOM = np.random.default_rng(7)
X = _RANDOM.normal(size=(16, 3)).astype("float32")
Y = X.sum(1, keepdims=True)
VALIDATION = (X[:8] + 0.5, Y[:8])


def build(hp, *, metrics=None, inputs=True):
    """A model whose training depends on seeds: dropout, weights and order."""
    layers = [
        keras.layers.Dense(4, "tanh"),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((3,)), *layers] if inputs else layers)
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=metrics, run_eagerly=True)
    return model


class Quick(keras.Model):
    """A model whose `fit` is a few numbers an epoch, of all that a kill may lose.

    They come from Python, NumPy, Keras' seeds, the optimizer and the weights.
    """

    def __init__(self):
        super().__init__()
        self.dense, self.dropout = keras.layers.Dense(1), keras.layers.Dropout(0.3)
        self.build((None, 3))

    def build(self, shape):
        self.dense.build(shape)
        self.built = True

    def call(self, x):
        return self.dense(x)

    def fit(self, x, y, epochs=1, *, initial_epoch=0, callbacks=(), **_):
        self.stop_training = False
        history = keras.callbacks.History()
        told = keras.callbacks.CallbackList([*callbacks, history], model=self)
        told.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            told.on_epoch_begin(epoch)
            told.on_train_batch_begin(0)
            seed = self.dropout.seed_generator.next().numpy()
            step = random.random() + np.random.rand() + seed[1] % 7
            weights = self.trainable_variables
            self.optimizer.apply([0.01 * step * w for w in weights], weights)
            loss = float(abs(self.dense.kernel.numpy()).sum())
            told.on_train_batch_end(0, {"loss": loss})
            told.on_epoch_end(epoch, {"loss": loss, "val_loss": loss * (1 + step)})
            if self.stop_training:
                break
        told.on_train_end()
        return history


def quick(hp):
    """Builds a `Quick`."""
    model = Quick()
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    return model


class Kill(BaseException):
    """What a killed process leaves, without the end of the process."""


class Killer(keras.callbacks.Callback):
    """Kills after so many epochs of all trials together.

    Args:
        epochs: How many; `None`: never.
        written: Whether the last of them is written to the checkpoint.
    """

    # Of the class, because callbacks are copied for each trial.
    left = 0

    def __init__(self, epochs=None, *, written=True):
        super().__init__()
        self.epochs, self.written = epochs, written
        Killer.left = epochs

    def on_epoch_begin(self, epoch, logs=None):
        if self.epochs is not None and self.written and Killer.left == 0:
            raise Kill

    def on_epoch_end(self, epoch, logs=None):
        if self.epochs is not None:
            Killer.left -= 1
            if not self.written and Killer.left == 0:
                raise Kill


def tuner(folder, kind=tuning.RandomSearch, model=quick, **options):
    """A tuner of a job in a folder, as a new process makes it."""
    options = {"objective": "val_loss", **options}
    if kind is tuning.RandomSearch:
        options = {"max_trials": 2, **options}
    return kind(model, directory=folder.parent, project_name=folder.name, **options)


def search(made, **changes):
    """Searches with the data of this module."""
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, **changes}
    options.setdefault("validation_data", VALIDATION)
    made.search(X, Y, **options)
    return made


def rows(made):
    """The table of a job, without what a kill may change: times and attempts."""
    kept = ("trial", "status", "value", "seeds", "values", "curve", "epoch", "cause")
    return [{name: row[name] for name in kept} for row in made.results.rows()]


def best_weights(made):
    """The kept weights of each trial that has some."""
    found = {}
    for name, trial in made.own_oracle.trials.items():
        if trial.status == "COMPLETED":
            found[name] = made.load_model(trial).get_weights()
    return found


def assert_same(one, other):
    """That two jobs are bit for bit the same, in table and weights."""
    assert rows(one) == rows(other)
    weights, others = best_weights(one), best_weights(other)
    assert weights.keys() == others.keys()
    for name in weights:
        for a, b in zip(weights[name], others[name], strict=True):
            np.testing.assert_array_equal(a, b)
