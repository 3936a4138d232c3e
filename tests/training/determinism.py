"""`python -m tests.training.determinism`: what trainings end with, as digests.

Prints a line of JSON, `{name: digest}`, over weights, optimizer and history of a
training with each schedule of windows, number of shards, kind of data and kernel.
"""

import hashlib
import json

import keras
import numpy as np

import bptt_keras as bk
from tests.resume.cases import KINDS, new_trainer, without_speed

SCHEDULES = {
    "fixed": lambda: 10,
    "whole": lambda: None,
    "overlapping": lambda: bk.truncation.FixedWindow(10, 4),
    "variable": lambda: bk.truncation.VariableWindow(6),
    "adaptive": lambda: bk.truncation.AdaptiveWindow(4, longest=12),
    "ARTBP": lambda: bk.truncation.ARTBP(6, longest=10),
}
SHARDS = (1, 2, "auto")
LAYERS = {
    "LSTM": bk.layers.LSTM,
    "GRU": bk.layers.GRU,
    "SimpleRNN": bk.layers.SimpleRNN,
}
CASES = {
    **{
        f"{name} window, {shards} shards": (
            "arrays",
            {"window": name, "shards": shards},
        )
        for name, shards in zip(SCHEDULES, 2 * SHARDS, strict=True)
    },
    **{kind: (kind, {"window": "fixed"}) for kind in KINDS},
    **{layer: ("streams", {"window": "fixed", "layer": layer}) for layer in LAYERS},
}


def digest_of(name):
    """A digest of all that a short training ends with."""
    kind, options = CASES[name]
    keras.utils.set_random_seed(7)
    options = {**options, "window": SCHEDULES[options["window"]]()}
    layer = options.pop("layer", None)
    if layer is not None:
        layer = LAYERS[layer](16, return_sequences=True, dropout=0.2)
    trainer = new_trainer(layer, **options)
    history = trainer.fit(**KINDS[kind](), epochs=2, verbose=0).history
    found = hashlib.sha256(repr(sorted(without_speed(history).items())).encode())
    for variable in (*trainer.weights, *trainer.optimizer.variables):
        found.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    print(json.dumps({name: digest_of(name) for name in CASES}))
