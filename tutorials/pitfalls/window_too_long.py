"""A window far longer than gradients reach: memory and time are wasted.

The target depends on the last three inputs, and the gradients of the network vanish
after a few timesteps, but the window has 400.
"""

import keras
import numpy as np

import bptt_keras as bk

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(32, 1200, 1)).astype("float32")
y = (x + np.roll(x, 1, axis=1) + np.roll(x, 2, axis=1)) / 3

model = keras.Sequential(
    [
        keras.layers.Input((None, 1)),
        bk.layers.GRU(64, return_sequences=True),
        keras.layers.Dense(1),
    ]
)
trainer = bk.TruncatedBPTT(model, window=400)
trainer.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), "mse")

watch = bk.callbacks.TrainingWatch((x[:4, :500], y[:4, :500]), longest=120, every=5)
trainer.fit(x, y, epochs=5, verbose=0, callbacks=[watch])

bias = bk.diagnostics.truncation_bias(
    trainer, (x[:, :400], y[:, :400]), [5, 10, 20, 50, 100, 200]
)
print(f"\nwhat shorter windows are worth: {bias}")
