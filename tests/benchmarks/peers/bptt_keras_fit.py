"""This library: `TruncatedBPTT.fit` over streams, with a metric and a callback."""

import keras
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks.peers import data
from tests.benchmarks.peers.protocol import serve
from tests.benchmarks.shapes import EMBEDDING, IDS

LAYERS = {"lstm": bk.layers.LSTM, "gru": bk.layers.GRU, "rnn": bk.layers.SimpleRNN}


class Watch(keras.callbacks.Callback):
    """Sees every batch, as a progress bar or a logger does."""

    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def network(shape):
    """The model of plain layers."""
    layers = [] if shape.features else [keras.layers.Embedding(IDS, EMBEDDING)]
    for _ in range(shape.layers):
        layers.append(LAYERS[shape.kind](shape.units, return_sequences=True))
    # Losses are made in float32 under mixed precision, as Keras advises.
    return keras.Sequential([*layers, keras.layers.Dense(IDS, dtype="float32")])


def build(shape, policy="float32", jit_compile="auto", shards="auto", batch_windows=1):
    """A trainer and a dataset of streams, several windows a batch where asked for."""
    several = max(batch_windows, shape.batch_windows)
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    trainer = bk.TruncatedBPTT(network(shape), window=shape.window, shards=shards)
    trainer.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
        jit_compile=jit_compile,
    )
    inputs, targets = data.series(shape)
    dataset = bk.data.streams(
        inputs,
        targets=targets,
        batch_size=shape.rows,
        window=shape.window * several,
    )

    def train(windows):
        batches = dataset.take(max(windows // several, 1))
        whole = dataset if windows == shape.windows else batches
        history = trainer.fit(whole, callbacks=[Watch()], verbose=0)
        return history.history["loss"][-1]

    return train


if __name__ == "__main__":
    serve(build, {"bptt_keras": bk.__version__, "TensorFlow": tf.__version__})
