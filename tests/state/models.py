"""Models of every shape; to join the batteries, add a row to `MODELS`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.state.layers import CausalConvolution

ROWS, STEPS = 3, 9


def floats(*shape):
    values = np.random.default_rng(0).normal(size=(ROWS, *shape))
    return values.astype("float32")


def ids(limit=11, steps=STEPS):
    values = np.random.default_rng(1).integers(1, limit, (ROWS, steps))
    # Masked where the model masks: a hole, an end, and a whole start.
    values[0, 3:5] = values[1, 7:] = values[2, :2] = 0
    return values.astype("int32")


def gru(units=3, **options):
    return keras.layers.GRU(units, return_sequences=True, **options)


def lstm(units=3, **options):
    return bk.layers.LSTM(units, return_sequences=True, **options)


def several_inputs():
    a, b = keras.Input((None, 2)), keras.Input((None,))
    wide = keras.layers.Reshape((-1, 1))(b)
    hidden = lstm()(keras.layers.Concatenate()([a, wide]))
    model = keras.Model([a, b], [keras.layers.Dense(2)(hidden), gru()(hidden)])
    return model, [floats(STEPS, 2), floats(STEPS)]


def dicts():
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 1), name="b")
    left, right = gru()(a), lstm()(b)
    both = keras.layers.Add()([left, right])
    outputs = {"mean": keras.layers.Dense(1)(both), "spread": {"left": left}}
    return keras.Model({"a": a, "b": b}, outputs), {
        "a": floats(STEPS, 2),
        "b": floats(STEPS, 1),
    }


def nested_structures():
    a, b, c = (keras.Input((None, n), name=f"n{n}") for n in (1, 2, 3))
    hidden = gru()(keras.layers.Concatenate()([a, b, c]))
    model = keras.Model(
        {"x": [a, {"y": b}], "z": (c,)}, [hidden, {"twice": hidden * 2}]
    )
    return model, {
        "x": [floats(STEPS, 1), {"y": floats(STEPS, 2)}],
        "z": (floats(STEPS, 3),),
    }


def shared_embedding():
    a, b = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    table, mix = keras.layers.Embedding(11, 4), keras.layers.Dense(3)
    left, right = gru()(mix(table(a))), lstm()(mix(table(b)))
    return keras.Model([a, b], left + right), [ids(), ids()[:, ::-1].copy()]


def masked_embedding():
    tokens = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(11, 4, mask_zero=True)(tokens)
    first, second = gru()(embedded), lstm()(embedded)
    cell = keras.layers.RNN(NestedCell(3), return_sequences=True)
    return keras.Model(tokens, [cell(first), gru()(second)]), ids()


def nested_functional():
    def block(features):
        x = keras.Input((None, features))
        return keras.Model(x, keras.layers.Dense(3)(gru(4)(x)) + x)

    inner = keras.Sequential([keras.Input((None, 3)), block(3), lstm(3)])
    x = keras.Input((None, 3))
    middle = keras.Model(x, inner(block(3)(x)))
    model = keras.Sequential([keras.Input((None, 3)), middle, keras.layers.Dense(2)])
    return model, floats(STEPS, 3)


class Block(keras.Model):
    def __init__(self):
        super().__init__()
        self.recurrent, self.mix = gru(3), keras.layers.Dense(3)

    def call(self, inputs, training=False):
        return self.mix(self.recurrent(inputs, training=training)) + inputs


class Blocks(keras.Model):
    """Takes and returns dicts; inside, a list of models and a Functional one."""

    def __init__(self):
        super().__init__()
        self.blocks = [Block(), Block()]
        x = keras.Input((None, 3))
        self.head = keras.Model(x, lstm(2)(x))

    def call(self, inputs):
        hidden = inputs["x"]
        for block in self.blocks:
            hidden = block(hidden)
        return {"head": self.head(hidden) + inputs["y"], "last": hidden[:, -1]}


def subclassed():
    model, inputs = Blocks(), {"x": floats(STEPS, 3), "y": floats(STEPS, 2)}
    model(inputs)
    return model, inputs


class NestedCell(keras.layers.Layer):
    """States in a nested list, an output that is none of them, a layer inside."""

    def __init__(self, units):
        super().__init__()
        self.units = self.output_size = units
        self.state_size = [units, [units, 2]]
        self.mix = keras.layers.Dense(units)

    def build(self, shape):
        self.mix.build((None, shape[-1]))

    def get_initial_state(self, batch_size=None):
        units = (batch_size, self.units)
        return [tf.zeros(units), [tf.ones(units), tf.zeros((batch_size, 2))]]

    def call(self, inputs, states, training=False):
        h, (before, count) = states
        new = tf.tanh(self.mix(inputs) + 0.5 * h - 0.3 * before)
        return 2 * new + count[:, :1], [new, [h, count + 0.1]]


class PlainCell(keras.layers.Layer):
    """One state, without `get_initial_state`; attends to a memory of its own."""

    def __init__(self, units):
        super().__init__()
        self.state_size = units

    def build(self, shape):
        self.memory = self.add_weight((1, 5, self.state_size), name="memory")
        self.look = keras.layers.Attention()
        self.mix = keras.layers.Dense(self.state_size)
        self.mix.build((None, shape[-1]))

    def call(self, inputs, states):
        asked = self.mix(inputs) + states[0]
        memory = tf.tile(tf.convert_to_tensor(self.memory), [tf.shape(asked)[0], 1, 1])
        seen = self.look([asked[:, None], memory])[:, 0]
        state = tf.tanh(seen + states[0])
        return state, [state]


def cells(*made):
    model = keras.Sequential(
        [keras.Input((None, 2)), keras.layers.RNN(*made, return_sequences=True)]
    )
    return model, floats(STEPS, 2)


def over_frames(*layers, frame):
    return keras.Sequential([keras.Input((None, *frame)), *layers]), floats(
        STEPS, *frame
    )


def small_net():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


class RepeatLike(keras.layers.Layer):
    """A static vector at each step of a sequence."""

    def call(self, static, sequence):
        steps = tf.shape(sequence)[1]
        return tf.repeat(static[:, None], steps, axis=1)


def static_added():
    sequence, static = keras.Input((None, 2)), keras.Input((8,))
    bias = keras.layers.Reshape((1, 3))(keras.layers.Dense(3)(static))
    hidden = keras.layers.Add()([keras.layers.Dense(3)(sequence), bias])
    return keras.Model([sequence, static], gru()(hidden)), [floats(STEPS, 2), floats(8)]


def static_repeated():
    sequence, static = keras.Input((None, 2), name="x"), keras.Input((8,), name="who")
    repeated = RepeatLike()(static, sequence)
    hidden = lstm()(keras.layers.Concatenate()([sequence, repeated]))
    outputs = {"steps": hidden, "end": keras.layers.GRU(2)(hidden)}
    model = keras.Model({"x": sequence, "who": static}, outputs)
    return model, {"x": floats(STEPS, 2), "who": floats(8)}


def normalised():
    layers = [
        keras.layers.BatchNormalization(),
        gru(),
        keras.layers.LayerNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Conv1D(3, 1),
        keras.layers.SpatialDropout1D(0.5),
        lstm(),
        keras.layers.Lambda(lambda x: x[..., ::-1] + keras.ops.mean(x, -1, True)),
    ]
    return keras.Sequential([keras.Input((None, 2)), *layers]), floats(STEPS, 2)


def last_states():
    x = keras.Input((None, 2))
    hidden, h, c = lstm(return_state=True)(x)
    return keras.Model(x, [hidden, h, {"c": c}]), floats(STEPS, 2)


def convolved():
    layers = [CausalConvolution(3, 3), gru(), CausalConvolution(2, 2)]
    return keras.Sequential([keras.Input((None, 2)), *layers]), floats(STEPS, 2)


MODELS = {
    "several inputs and outputs": several_inputs,
    "dicts": dicts,
    "nested structures": nested_structures,
    "shared Embedding and Dense": shared_embedding,
    "masked Embedding": masked_embedding,
    "Functional in Functional in Sequential": nested_functional,
    "subclassed in subclassed": subclassed,
    "RNN of a nested cell": lambda: cells(NestedCell(3)),
    "RNN of a cell with one state": lambda: cells(PlainCell(3)),
    "StackedRNNCells of own cells": lambda: cells([NestedCell(3), PlainCell(2)]),
    "StackedRNNCells, mixed": lambda: cells(
        [keras.layers.LSTMCell(2), NestedCell(3), keras.layers.GRUCell(2)]
    ),
    "StackedRNNCells of one": lambda: cells([NestedCell(3)]),
    "ConvLSTM1D": lambda: over_frames(
        keras.layers.ConvLSTM1D(2, 2, return_sequences=True), frame=(4, 2)
    ),
    "ConvLSTM2D": lambda: over_frames(
        keras.layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True),
        frame=(4, 4, 1),
    ),
    "TimeDistributed Dense": lambda: over_frames(
        keras.layers.TimeDistributed(keras.layers.Dense(2)), gru(), frame=(2,)
    ),
    "TimeDistributed convolutions": lambda: over_frames(
        keras.layers.TimeDistributed(small_net()), lstm(), frame=(4, 4, 1)
    ),
    "TimeDistributed RNN": lambda: over_frames(
        keras.layers.TimeDistributed(keras.layers.GRU(3)), lstm(), frame=(4, 2)
    ),
    "static input, added": static_added,
    "static input, repeated": static_repeated,
    "normalised": normalised,
    "last states": last_states,
    "own convolutions": convolved,
}
# What they are made of is in others, too, which take less time.
LARGER = (
    *("masked Embedding", "Functional in Functional in Sequential", "normalised"),
    *("subclassed in subclassed", "StackedRNNCells, mixed", "ConvLSTM1D"),
    "static input, repeated",
)


def smaller(names):
    """Names of models as parameters, the larger ones for the slow tests."""
    return [
        pytest.param(n, marks=pytest.mark.slow if n in LARGER else ()) for n in names
    ]
