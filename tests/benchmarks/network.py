"""The model that the single-process benchmarks train and run."""

import keras


def network(layer, units):
    """`ids -> Embedding(96, 64) -> layer(units) -> Dense(96)`, logits of 96 ids."""
    return keras.Sequential(
        [
            keras.layers.Embedding(96, 64),
            layer(units, return_sequences=True),
            keras.layers.Dense(96),
        ]
    )
