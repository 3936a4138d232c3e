"""Runs a model along whole series."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk

CHUNK = 4096  # timesteps per call, to bound the memory for long series


def outputs(
    model: keras.Model, inputs: np.ndarray, *, last_only: bool = False
) -> np.ndarray:
    """A model's outputs, starting from its initial state.

    Args:
        model: A model that reads `(rows, timesteps, features)`.
        inputs: Its inputs.
        last_only: Whether to return only the outputs at the last timestep.

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
