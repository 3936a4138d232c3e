"""Trains cases one after the other, in one process or in several.

python -m tests.distribute.program FOLDER CASE...

Writes `CASE-<process>.npz` with the weights and `CASE-<process>.json` with what `fit`
and `evaluate` have reported.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import bptt_keras as bk

SEED = 3
ROWS, STEPS, WINDOW = 22, 40, 8


def inputs(rows=ROWS):
    return np.random.default_rng(0).normal(size=(rows, STEPS, 3)).astype("float32")


def arrays():
    x = inputs()
    # The last batch has one row: fewer than there are processes.
    return {"x": x, "y": x[..., :2] / 2, "batch_size": 7}


def lists():
    lengths = np.random.default_rng(1).integers(5, STEPS, ROWS)
    x = [row[:length] for row, length in zip(inputs(), lengths, strict=True)]
    return {"x": x, "y": [row[:, :2] / 2 for row in x], "batch_size": 7}


def series(steps=1500):
    return np.random.default_rng(2).normal(size=(steps, 3)).astype("float32")


def streams():
    x = series()
    return {"x": bk.data.streams(x, batch_size=6, window=16, targets=x[:, :2] / 2)}


def two_outputs():
    x, weights = inputs(), np.random.default_rng(3).random((ROWS, STEPS))
    return {
        "x": x,
        "y": {"a": x[..., :2], "b": x[..., 1:] / 2},
        "sample_weight": {"a": weights.astype("float32")},
        "batch_size": 7,
    }


def at_the_end():
    x = inputs()
    return {"x": x, "y": x[:, 0, :2], "batch_size": 7}


def ignoring():
    """Most timesteps of the first rows have no weight."""
    weights = np.ones((ROWS, STEPS), "float32")
    weights[::2, 5:] = 0
    return {**arrays(), "sample_weight": weights}


# Data, arguments of the trainer, and of `compile`.
CASES = {
    "arrays": (arrays, {}, {}),
    "streams": (streams, {}, {}),
    "lists": (lists, {}, {}),
    "weights": (ignoring, {}, {}),
    "two outputs": (two_outputs, {}, {}),
    "two outputs, waiting": (two_outputs, {"update": 3}, {}),
    "at the end": (at_the_end, {}, {}),
    "three windows": (streams, {"update": 3}, {}),
    "a sequence": (arrays, {"update": "sequence"}, {}),
    "overlapping": (arrays, {"stride": 3}, {}),
    "random windows": (
        arrays,
        {"window": lambda: bk.truncation.VariableWindow(WINDOW, seed=5)},
        {},
    ),
    "recomputation": (arrays, {"window": None, "recompute": "sqrt"}, {}),
    "without XLA": (arrays, {}, {"jit_compile": False}),
    "AGC": (arrays, {"rules": [lambda: bk.clipping.AGC(0.05)]}, {}),
    "ZClip": (streams, {"rules": [lambda: bk.clipping.ZClip()]}, {}),
    "steps": (streams, {}, {"steps_per_execution": 4}),
}


def model_of(case):
    x = keras.Input((None, 3))
    timed = case != "at the end"
    h = bk.layers.LSTM(6, return_sequences=timed)(x)
    if case.startswith("two outputs"):
        return keras.Model(x, {n: keras.layers.Dense(2, name=n)(h) for n in "ab"})
    return keras.Model(x, keras.layers.Dense(2)(h))


def trained(case, **fit):
    """What a case ends with: the trainer, and what was reported."""
    # As at the start of a program of its own.
    keras.utils.set_random_seed(SEED)
    data, options, compilation = CASES[case]
    options = {"window": WINDOW, **options}
    rules = options.pop("rules", [lambda: bk.clipping.AutoClip(50, history=20)])
    if callable(options["window"]):
        options["window"] = options["window"]()
    trainer = bk.TruncatedBPTT(model_of(case), **options)
    optimizer = bk.clipping.ClippedOptimizer(
        keras.optimizers.Adam(0.01), *(rule() for rule in rules)
    )
    metrics = {n: ["mae"] for n in "ab"} if case.startswith("two outputs") else ["mae"]
    trainer.compile(optimizer, "mse", metrics=metrics, **compilation)
    held_out = {k: v for k, v in data().items() if k in ("x", "y")}
    known = data()
    validation = held_out["x"] if "y" not in held_out else tuple(held_out.values())
    history = trainer.fit(
        **known, epochs=4, verbose=0, validation_data=validation, **fit
    ).history
    logs = trainer.evaluate(**held_out, verbose=0, return_dict=True)
    return trainer, {"history": history, "logs": logs}


def main(folder, *cases):
    bk.distribute.initialize(timeout=300, seed=SEED)
    for case in cases:
        trainer, told = trained(case)
        stem = Path(folder, f"{case}-{bk.distribute.process_index()}")
        np.savez(f"{stem}.npz", *[v.numpy() for v in trainer.weights])
        Path(f"{stem}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
