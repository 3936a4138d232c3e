"""What must hold in the graph before a window may change anything."""

import tensorflow as tf

from bptt_keras.training.assertions import require


def require_valid_window(result):
    """Checks in the graph on what a window's program found.

    Args:
        result: `programs.Window`.

    Returns:
        List of operations for `tf.control_dependencies`.
    """
    found = window_checks(result)
    return [require(valid, message) for message, valid in found.items()]


def window_checks(result):
    """What must hold before a window may change anything.

    Args:
        result: `programs.Window`.

    Returns:
        `{message: scalar boolean tensor}`.
    """
    labels = (
        "`y` must hold class labels from 0 to the number of the model's outputs minus "
        "1. Received: a label outside."
    )
    valid = tf.reduce_all([term.labels_valid for term in result.terms])
    return {**_id_checks(result.ids_valid), labels: valid}


def require_ids(ids_valid):
    """Checks in the graph that ids are in the range of their embeddings.

    Args:
        ids_valid: `{layer name: scalar boolean tensor}`.

    Returns:
        List of operations for `tf.control_dependencies`.
    """
    found = _id_checks(ids_valid)
    return [require(valid, message) for message, valid in found.items()]


def _id_checks(ids_valid):
    return {
        f"Ids must lie in the vocabulary of layer `{name}`, from 0 to `input_dim` - 1. "
        f"Received: an id outside.": valid
        for name, valid in ids_valid.items()
    }
