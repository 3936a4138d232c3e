"""Gradients do vanish in an LSTM, unless its forget gates are open.

At each timestep the gradient through the cell state of an LSTM is multiplied by the
forget gate. With the usual bias of 1 the gate is at about 0.73, and half of the
gradient is gone after a few timesteps. Biases that match the time scale of the task
(`bk.initializers.Chrono`) change that.
"""

import keras
import numpy as np

import bptt_keras as bk

STEPS = 200
rng = np.random.default_rng(0)
x = rng.normal(size=(16, STEPS, 2)).astype("float32")
y = x[:, 0, :1]  # the target at the end is the first timestep

flows = {}
for name, bias in (
    ("LSTM", "zeros"),
    ("LSTM, Chrono(200)", bk.initializers.Chrono(STEPS)),
):
    keras.utils.set_random_seed(0)
    chrono = name != "LSTM"
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.LSTM(32, bias_initializer=bias, unit_forget_bias=not chrono),
            keras.layers.Dense(1),
        ]
    )
    flows[name] = bk.diagnostics.gradient_flow(model, (x, y), loss="mse", longest=150)
    print(f"{name}: {flows[name]}")
