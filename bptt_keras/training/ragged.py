"""Lists of sequences, as `fit`, `evaluate` and `predict` take them."""

import keras
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches, is_ragged
from bptt_keras.data.unpad import unpad

BATCH_SIZE = 32  # Keras' own default


def is_sequences(model, x):
    """True if `x` holds sequences of different lengths, not an array of them.

    Args:
        model: The inner model.
        x: As for `fit`.
    """
    declared = getattr(model, "inputs", None) or []
    rank = len(declared[0].shape) if len(declared) == 1 else None
    return is_ragged(x, max(len(declared), 1), rank=rank)


def as_batches(trainer, x, y=None, sample_weight=None, *, batch_size=None, shuffle):
    """Sequences as padded batches of a length that suits the trainer's window.

    Args:
        trainer: A `TruncatedBPTT`.
        x: List of arrays, or `tf.RaggedTensor`.
        y: Targets like `x`, or one for each sequence, or `None`.
        sample_weight: Weights like the targets, or `None`.
        batch_size: Sequences in a batch, or `None` for 32.
        shuffle: Boolean.
    """
    # A schedule without a window takes whole batches: any multiple of one will do.
    window = trainer.truncation.evaluation_window or _longest(x)
    return RaggedBatches(
        x,
        y,
        batch_size=batch_size or BATCH_SIZE,
        window=window,
        shuffle=shuffle,
        sample_weight=sample_weight,
    )


def split_off(part, *lists):
    """The first and the last sequences of lists that belong together, as Keras does.

    Args:
        part: Part of the sequences at the end, 0 to 1.
        *lists: Lists, arrays, ragged tensors or `None`.

    Returns:
        `(first, last)`, two tuples.

    Raises:
        ValueError: If one of them would be empty.
    """
    count = len(lists[0]) if not hasattr(lists[0], "nrows") else int(lists[0].nrows())
    at = int(count * (1 - part))
    if not 0 < at < count:
        raise ValueError(
            f"`validation_split` must leave sequences on both sides. Received: "
            f"validation_split={part} for {count} sequences."
        )
    pairs = [(None, None) if v is None else (v[:at], v[at:]) for v in lists]
    return tuple(zip(*pairs, strict=True))


def predicted(trainer, batches, verbose):
    """Outputs for each sequence, in order.

    Args:
        trainer: A `TruncatedBPTT`.
        batches: `RaggedBatches` without targets and without shuffling.
        verbose: As for `predict`.

    Returns:
        List of arrays `(time, ...)`; an array `(n, ...)` where the model answers once
        for a sequence. For several outputs their structure of these.
    """
    bar = keras.utils.Progbar(len(batches), verbose=1 if verbose == "auto" else verbose)
    found, start = [], 0
    for index in range(len(batches)):
        x = batches[index][0]
        rows = len(x["lengths"])
        outputs = trainer.predict_on_batch(x)
        if trainer.answers_at_each_step:
            outputs = unpad(outputs, batches.lengths[start : start + rows])
        found.append(outputs)
        start += rows
        bar.update(index + 1)
    if trainer.answers_at_each_step:
        return _joined_lists(found)
    return keras.tree.map_structure(lambda *parts: _concatenated(parts), *found)


def _joined_lists(found):
    first = found[0]
    if isinstance(first, dict):
        return {name: _joined_lists([part[name] for part in found]) for name in first}
    if isinstance(first, tuple) or (first and isinstance(first[0], list)):
        return type(first)(
            _joined_lists(list(parts)) for parts in zip(*found, strict=True)
        )
    return [sequence for part in found for sequence in part]


def _concatenated(parts):
    return tf.concat(parts, axis=0).numpy()


def _longest(x):
    if isinstance(x, tf.RaggedTensor):
        return int(x.bounding_shape(axis=1))
    return max((len(sequence) for sequence in x), default=1) or 1
