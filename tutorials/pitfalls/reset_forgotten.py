"""Sequences that start without `reset`: each inherits the state of another.

The target is the running mean of a sequence since its start. Every batch holds new
sequences; if their starts are not flagged, the network averages over different
sequences.
"""

import keras
import numpy as np

import bptt_keras as bk

ROWS, STEPS, BATCHES = 16, 25, 60
rng = np.random.default_rng(0)
x = rng.normal(size=(BATCHES, ROWS, STEPS, 1)) + rng.normal(size=(BATCHES, ROWS, 1, 1))
y = np.cumsum(x, axis=2) / np.arange(1, STEPS + 1)[:, None]


def batches(reset):
    flags = np.full(ROWS, reset)
    return [
        ({"inputs": a.astype("float32"), "reset": flags}, b.astype("float32"))
        for a, b in zip(x, y, strict=True)
    ]


def train(reset):
    """Trains on all batches in order and returns the trainer and its last loss."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 1)),
            bk.layers.GRU(16, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=STEPS)
    trainer.compile(keras.optimizers.Adam(1e-2), "mse")
    for _ in range(8):
        for a, b in batches(reset):
            loss = trainer.train_on_batch(a, b)
    return trainer, loss


forgotten, _ = train(reset=False)
print("resets forgotten:")
print(f"  {bk.diagnostics.carried_state(forgotten, batches(False), borders=40)}")

flagged, _ = train(reset=True)
print("starts flagged, looked at as if they were not:")
print(f"  {bk.diagnostics.carried_state(flagged, batches(False), borders=40)}")
