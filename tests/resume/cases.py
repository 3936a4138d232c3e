"""Trainings on every kind of data, to interrupt and resume."""

import random

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.resume.pacing import Background

SPEED = "timesteps_per_second"


def series(steps, width=2, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, width)).astype("float32")


def sequences(count=10):
    lengths = np.random.default_rng(1).integers(5, 25, count)
    return [series(int(n), seed=i) for i, n in enumerate(lengths)]


class Squares(keras.utils.PyDataset):
    """Batches that Keras shuffles, and that shuffle themselves."""

    def __init__(self):
        super().__init__()
        self._order = list(range(6))
        self._random = random.Random(5)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        x = series(4 * 20, seed=self._order[index]).reshape(4, 20, 2)
        return x, x**2

    def on_epoch_end(self):
        self._random.shuffle(self._order)


def generated():
    for index in range(100):
        x = series(4 * 20, seed=index).reshape(4, 20, 2)
        yield x, x**2


def of_arrays():
    x = series(20 * 20).reshape(20, 20, 2)
    return {"x": x, "y": x**2, "batch_size": 4}


def shuffled_pipeline():
    x = series(20 * 20).reshape(20, 20, 2)
    pipeline = tf.data.Dataset.from_tensor_slices((x, x**2))
    return {"x": pipeline.shuffle(8, seed=3).batch(4).prefetch(2)}


def from_generator():
    spec = tf.TensorSpec((4, 20, 2), "float32")
    return {
        "x": tf.data.Dataset.from_generator(generated, output_signature=(spec, spec)),
        "steps_per_epoch": 6,
    }


def stream(**options):
    return bk.data.streams(series(500), batch_size=4, window=20, **options)


# Kind of data -> arguments of `fit`, made anew by each process.
KINDS = {
    "arrays": of_arrays,
    "arrays in order": lambda: {**of_arrays(), "shuffle": False},
    "arrays by steps": lambda: {**of_arrays(), "steps_per_epoch": 3},
    "streams": lambda: {"x": stream()},
    "streams by steps": lambda: {"x": stream().repeat(), "steps_per_epoch": 5},
    "pack": lambda: {"x": bk.data.pack(sequences(), batch_size=2, window=10)},
    "sequences": lambda: {"x": sequences(), "y": sequences(), "batch_size": 2},
    "pipeline": shuffled_pipeline,
    "repeated pipeline": lambda: {
        "x": shuffled_pipeline()["x"].repeat(),
        "steps_per_epoch": 7,
    },
    "PyDataset in order": lambda: {"x": Squares(), "shuffle": False},
    "PyDataset": lambda: {"x": Squares()},
    "generator": lambda: {"x": generated(), "steps_per_epoch": 6},
    "from_generator": from_generator,
}


def new_trainer(layer=None, *, optimizer=None, window=10, **options):
    """A small trainer with dropout and metrics, made from the global seed."""
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            layer or bk.layers.GRU(4, return_sequences=True, dropout=0.2),
            keras.layers.Dense(2),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=window, **options)
    trainer.compile(
        optimizer or keras.optimizers.Adam(1e-2, global_clipnorm=1.0),
        "mse",
        metrics=["mae"],
    )
    return trainer


class Interrupted(Exception):
    """What a callback raises in place of a kill."""


class InterruptAfter(keras.callbacks.Callback):
    """Raises after a number of batches; `None`: never."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def get_state(self):
        return None

    def set_state(self, state):
        pass

    def on_train_batch_end(self, batch, logs=None):
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Interrupted


def without_speed(history):
    return {name: values for name, values in history.items() if name != SPEED}


def lines_without_speed(path):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    place = lines[0].index(SPEED)
    return [line[:place] + line[place + 1 :] for line in lines]


def write_every_save(monkeypatch):
    """Otherwise what is due while the last save is being written is left out."""
    monkeypatch.setattr(Background, "busy", property(lambda work: bool(work.wait())))
