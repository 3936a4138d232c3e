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


class Training:
    """A trainer and its data, trained on when called.

    Args:
        trainer: `TruncatedBPTT`, compiled.
        dataset: One turn's batches.
        shape: `Shape` of the work.
        several: Windows in a batch.
        kernel: The kernel that has to run, or None for any.
        xla: Whether XLA compiles the model.
    """

    def __init__(self, trainer, dataset, shape, several, *, kernel, xla):
        self.trainer, self.dataset = trainer, dataset
        self.shape, self.several = shape, several
        self.kernel, self.xla = kernel, xla

    def __call__(self, windows):
        batches = self.dataset
        if windows != self.shape.windows:
            batches = batches.take(max(windows // self.several, 1))
        history = self.trainer.fit(batches, callbacks=[Watch()], verbose=0)
        return history.history["loss"][-1]


def about(training):
    """The kernel that ran in the first update, and more versions if it is native.

    Raises:
        RuntimeError: If another one had to run.
    """
    layers = [layer for layer in training.trainer.model.layers if recurrent(layer)]
    ran = {layer.kernel_of(xla=training.xla) for layer in layers}
    facts = {"kernel": " and ".join(sorted(ran))}
    if "native" in ran:
        from bptt_keras.kernels.native.library import library

        # What a layer intends, and what happened.
        if not library().calls():
            raise RuntimeError("The native kernel was chosen, but was never called.")
        facts["kernel_set"] = library().chosen()
    if training.kernel not in (None, facts["kernel"]):
        raise RuntimeError(
            f"The kernel {training.kernel!r} had to run, {facts['kernel']!r} did: "
            + said_about_kernels(training.trainer)
        )
    return facts


def recurrent(layer):
    """Whether a layer chooses among kernels."""
    return hasattr(layer, "kernel_of")


def said_about_kernels(trainer):
    """The lines of the summary that name a kernel, in one."""
    texts = []
    trainer.summary(print_fn=lambda text, **_: texts.append(text))
    lines = "\n".join(texts).splitlines()
    return "; ".join(line.strip() for line in lines if "kernel" in line)


def build(
    shape,
    policy="float32",
    jit_compile="auto",
    shards="auto",
    batch_windows=1,
    kernel=None,
):
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
    xla = jit_compile is not False
    return Training(trainer, dataset, shape, several, kernel=kernel, xla=xla)


if __name__ == "__main__":
    serve(
        build,
        {"bptt_keras": bk.__version__, "TensorFlow": tf.__version__},
        about=about,
    )
