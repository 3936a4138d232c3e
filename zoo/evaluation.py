"""How well a character model predicts a text."""

from __future__ import annotations

import numpy as np

import bptt_keras as bk
from zoo.datasets.text import Text
from zoo.preset import Preset
from zoo.tasks import TASKS

STREAMS = 16


def validation_streams(ids: np.ndarray, window: int):
    """A validation text as batches.

    Up to 16 streams, fewer for a short text: each starts without a past, so each
    costs a little, and side by side they are fast. The last `(n - 1) % streams`
    characters are not scored.

    Args:
        ids: Array `(n,)`, n >= 2.
        window: Timesteps of a batch, fewer for a very short text.

    Returns:
        A `tf.data.Dataset`, as `bptt_keras.data.streams` makes it.
    """
    window = min(window, len(ids) - 1)
    streams = max(1, min(STREAMS, (len(ids) - 1) // window))
    return bk.data.streams(ids, batch_size=streams, window=window)


def evaluate(preset: Preset, text: Text) -> float:
    """Cross-entropy of the validation part of a text.

    Args:
        preset: A character model.
        text: Any text; characters outside the model's vocabulary count as unknown
            ones, which the model all but rules out.

    Returns:
        Nats per character.
    """
    window = preset.metadata["recipe"]["window"]
    task = TASKS[preset.metadata["task"]]
    trainer = bk.TruncatedBPTT(preset.model, window=window)
    trainer.compile(optimizer="sgd", loss=task.build_loss())
    data = validation_streams(preset.vocabulary.encode(text.validation), window)
    return trainer.evaluate(data, verbose=0, return_dict=True)["loss"]
