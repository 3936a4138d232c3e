"""Keras alone: stateful layers in `fit`, unshuffled, and a callback that resets."""

import keras
import tensorflow as tf

from tests.benchmarks.peers import data
from tests.benchmarks.peers.protocol import serve
from tests.benchmarks.shapes import EMBEDDING, IDS

LAYERS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "rnn": keras.layers.SimpleRNN,
}


class ResetStates(keras.callbacks.Callback):
    """Starts every epoch from the initial state."""

    def on_epoch_begin(self, epoch, logs=None):
        for layer in self.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()


def network(shape):
    """The model, with the fixed batch that stateful layers ask for."""
    size = (shape.rows, shape.window)
    if shape.features:
        inputs = x = keras.Input(batch_shape=(*size, shape.features))
    else:
        inputs = keras.Input(batch_shape=size, dtype="int32")
        x = keras.layers.Embedding(IDS, EMBEDDING)(inputs)
    for _ in range(shape.layers):
        x = LAYERS[shape.kind](shape.units, return_sequences=True, stateful=True)(x)
    return keras.Model(inputs, keras.layers.Dense(IDS)(x))


def build(shape, jit_compile, steps_per_execution):
    """A compiled model and arrays whose rows follow one another batch by batch."""
    keras.utils.set_random_seed(0)
    model = network(shape)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    x, y = (part.reshape(-1, *part.shape[2:]) for part in data.windows(shape))

    def train(windows):
        history = model.fit(
            x[: windows * shape.rows],
            y[: windows * shape.rows],
            batch_size=shape.rows,
            shuffle=False,
            callbacks=[ResetStates()],
            verbose=0,
        )
        return history.history["loss"][-1]

    return train


if __name__ == "__main__":
    serve(build, {"Keras": keras.__version__, "TensorFlow": tf.__version__})
