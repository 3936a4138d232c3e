"""Trains a small model on a stream, in as many processes as are started.

    python train.py                                             one process
    python -m bptt_keras.distribute --workers 2 train.py        two on this machine

`--folder` keeps what is needed to go on after a failure, with the same or another
number of processes. On several machines it has to be a folder that all of them share.
"""

import argparse

import keras
import numpy as np

import bptt_keras as bk

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--folder", help="where the training is saved, to be resumed")
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--steps", type=int, default=20_000, help="of the series")
options = parser.parse_args()

# First of all: before models, data, tensors and seeds.
bk.distribute.initialize()

series = np.sin(np.arange(options.steps) / 7) + np.random.normal(size=options.steps) / 9
data = bk.data.streams(series.astype("float32")[:, None], batch_size=32, window=50)
model = keras.Sequential(
    [
        keras.layers.Input((None, 1)),
        bk.layers.LSTM(64, return_sequences=True),
        keras.layers.Dense(1),
    ]
)
trainer = bk.TruncatedBPTT(model, window=50)
trainer.compile(keras.optimizers.Adam(0.003, global_clipnorm=1.0), "mse")
callbacks = []
if options.folder:
    callbacks.append(bk.callbacks.Resume(options.folder))
# Every process passes the whole data, and trains on its rows of each batch.
trainer.fit(data, epochs=options.epochs, callbacks=callbacks, verbose=2)
if bk.distribute.is_first():
    trainer.save("trained.keras")
