"""A training in which one process goes wrong, in the way that is asked for.

python -m tests.distribute.failing HOW: the last process does it after two epochs.
"""

import os
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk


class Fails(keras.callbacks.Callback):
    """Does what goes wrong."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def on_epoch_end(self, epoch, logs=None):
        last = bk.distribute.process_index() == bk.distribute.process_count() - 1
        if epoch != 1 or not last:
            return
        print(f"AT {time.time()}", flush=True)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.how == "raise":
            raise ValueError("a fault of its own")
        elif self.how == "end":
            sys.exit(0)
        elif self.how == "stop":
            self.model.stop_training = True


def main(how):
    if how == "late":
        tf.constant(1.0) + 1.0
    bk.distribute.initialize(timeout=20 if how == "hang" else 60, seed=0)
    if how == "twice":
        bk.distribute.initialize()
    mine = bk.distribute.process_index()
    x = np.random.default_rng(mine if how == "other data" else 0)
    x = x.normal(size=(8, 40, 3)).astype("float32")
    layers = [bk.layers.LSTM(8, return_sequences=True)]
    if how == "rows depend":
        layers.append(keras.layers.BatchNormalization())
    model = keras.Sequential([*layers, keras.layers.Dense(3)])
    window = 10 + (how == "other window" and mine)
    trainer = bk.TruncatedBPTT(model, window=window)
    trainer.compile("adam", "mse", run_eagerly=how == "eager")
    data = {"x": x, "y": x}
    if how == "other order":
        pairs = tf.data.Dataset.from_tensor_slices((x, x))
        data = {"x": pairs.shuffle(8, seed=mine).batch(4)}
    callbacks = [Fails(how)]
    if how == "backup":
        callbacks.append(keras.callbacks.BackupAndRestore("backup"))
    try:
        history = trainer.fit(
            **data, epochs=200, verbose=0, callbacks=callbacks, batch_size=None
        ).history
    except bk.distribute.DistributeError as error:
        print(f"TOLD {time.time()} {error}", flush=True)
        sys.exit(3)
    print(f"EPOCHS {len(history['loss'])}")


if __name__ == "__main__":
    main(sys.argv[1])
