"""A loop over windows that forgets to detach the state, detected by its memory use.

The loss of each window is recorded on a single tape that is open for the whole
sequence, so the activations of every window are kept, and gradients reach back to the
start.
"""

import keras
import tensorflow as tf

import bptt_keras as bk

ROWS, WINDOW, UNITS = 16, 32, 128

model = keras.Sequential(
    [
        keras.layers.Input((None, 8)),
        bk.layers.LSTM(UNITS, return_sequences=True),
        keras.layers.Dense(8),
    ]
)
step = bk.PureStep(model)
weights = [variable.value for variable in model.trainable_variables]


LENGTHS = [256, 512, 1024]
# Made beforehand: the data themselves are not what is measured.
SERIES = {
    steps: tf.random.stateless_normal((ROWS, steps + 1, 8), (1, 2)) for steps in LENGTHS
}
PAIRS = {steps: (x[:, :-1], x[:, 1:]) for steps, x in SERIES.items()}


@tf.function(jit_compile=True)
def window_loss(x, y, state):
    outputs, state = step(x, state)
    return tf.reduce_mean(tf.square(outputs - y)), state


def not_detached(steps):
    x, state, total = SERIES[steps], step.initial_state(ROWS), 0.0
    with tf.GradientTape() as tape:
        for start in range(0, steps, WINDOW):
            stop = start + WINDOW
            loss, state = window_loss(
                x[:, start:stop], x[:, start + 1 : stop + 1], state
            )
            total += loss
    return tape.gradient(total, weights)


def detached(steps):
    x, state = SERIES[steps], step.initial_state(ROWS)
    for start in range(0, steps, WINDOW):
        stop = start + WINDOW
        with tf.GradientTape() as tape:
            loss, state = window_loss(
                x[:, start:stop], x[:, start + 1 : stop + 1], state
            )
        gradients = tape.gradient(loss, weights)
    return gradients


def by_fit(steps):
    trainer.train_on_batch(*PAIRS[steps])


trainer = bk.TruncatedBPTT(model, window=WINDOW, shards=1)
trainer.compile(keras.optimizers.SGD(0.0), "mse")

for name, loop in (
    ("state not detached", not_detached),
    ("state detached", detached),
    ("TruncatedBPTT", by_fit),
):
    growth = bk.diagnostics.memory_growth(loop, LENGTHS)
    print(f"{name}:\n  {growth}")

use = bk.diagnostics.memory(trainer, PAIRS[1024], LENGTHS, methods=["full", "windows"])
print(f"what full backpropagation would take:\n  {use}")
