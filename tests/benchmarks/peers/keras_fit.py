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
    """A compiled model and data whose rows follow one another batch by batch.

    The data are cut and kept before the clock starts, and `tf.data` does not tune their
    pipeline: the thread that does can hold up the end of `fit`.
    """
    keras.utils.set_random_seed(0)
    model = network(shape)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_tensor_slices(data.windows(shape)).prefetch(2)
    batches = batches.with_options(options)

    def train(windows):
        history = model.fit(batches.take(windows), callbacks=[ResetStates()], verbose=0)
        return history.history["loss"][-1]

    return train


if __name__ == "__main__":
    serve(build, {"Keras": keras.__version__, "TensorFlow": tf.__version__})
