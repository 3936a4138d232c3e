"""What gradient tapes see of a kernel.

TensorFlow has no public names for either (2.21).
"""

from tensorflow.python.eager import record


def is_recorded():
    """Whether a tape is there that may ask for gradients of what runs now.

    A function that is traced before a tape calls it does not know.
    """
    return record.could_possibly_record()


def unrecorded():
    """A context within which no tape records anything.

    For what stands inside `tf.custom_gradient`: a persistent tape would want gradients
    of its operations, too, which those of XLA have not.
    """
    return record.stop_recording()
