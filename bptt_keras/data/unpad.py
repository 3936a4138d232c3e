"""Cuts padded outputs back into sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def unpad(outputs: Any, lengths: Any) -> Any:
    """Cuts padded outputs back into a list of sequences.

    Args:
        outputs: Array or tensor `(n, time, ...)`, or the `tf.RaggedTensor` that
            `predict` returns for batches of different lengths; or a dict, list or tuple
            of these.
        lengths: Valid timesteps of each row, `(n,)` integers, such as
            `RaggedBatches.lengths`.

    Returns:
        A list of `n` arrays `(lengths[i], ...)`, in order; for a structure of outputs,
        the same structure of such lists.

    Raises:
        ValueError: If there are not as many rows as lengths, or a row is shorter than
            its length.

    Example:
        import numpy as np, bptt_keras as bk

        padded = np.array([[1, 2, 0], [3, 4, 5]])
        first, second = bk.data.unpad(padded, [2, 3])
        assert first.tolist() == [1, 2] and second.tolist() == [3, 4, 5]
    """
    lengths = np.asarray(lengths)
    if isinstance(outputs, dict):
        return {name: unpad(output, lengths) for name, output in outputs.items()}
    if isinstance(outputs, list | tuple):
        return type(outputs)([unpad(output, lengths) for output in outputs])
    if isinstance(outputs, tf.RaggedTensor):
        values, starts = outputs.values.numpy(), outputs.row_starts().numpy()
        room = outputs.row_lengths().numpy()
    else:
        values = np.asarray(outputs)
        if values.ndim < 2:
            raise ValueError(
                f"`outputs` must have the shape (n, time, ...). Received: outputs of "
                f"shape {values.shape}. One output for each sequence needs no cutting."
            )
        rows, steps = values.shape[:2]
        values = values.reshape(-1, *values.shape[2:])
        starts, room = np.arange(rows) * steps, np.full(rows, steps)
    if lengths.shape != room.shape or (lengths > room).any() or (lengths < 0).any():
        raise ValueError(
            f"`lengths` must hold one number for each row of `outputs`, between 0 and "
            f"its timesteps. Received: lengths of shape {lengths.shape}, up to "
            f"{lengths.max(initial=0)}, for {len(room)} rows of up to "
            f"{room.max(initial=0)} timesteps."
        )
    return [
        values[start : start + length]
        for start, length in zip(starts, lengths, strict=True)
    ]
