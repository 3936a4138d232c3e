"""What a model answers along whole series."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk

CHUNK = 4096  # timesteps of a call, which bounds the memory of long series


def outputs(
    model: keras.Model, inputs: np.ndarray, *, last_only: bool = False
) -> np.ndarray:
    """A model's outputs from the initial state on.

    Args:
        model: A model of `(rows, timesteps, features)`.
        inputs: What it reads.
        last_only: Whether only the outputs after the last timestep are asked for.

    Returns:
        `(rows, timesteps, outputs)`, or `(rows, outputs)`, in float64.
    """
    step = bk.PureStep(model)
    run = tf.function(step, reduce_retracing=True)
    state, pieces = step.initial_state(len(inputs)), []
    for start in range(0, inputs.shape[1], CHUNK):
        found, state = run(inputs[:, start : start + CHUNK], state)
        pieces.append(found[:, -1:] if last_only else found)
    if last_only:
        return pieces[-1][:, -1].numpy().astype(float)
    return np.concatenate([piece.numpy() for piece in pieces], axis=1).astype(float)
