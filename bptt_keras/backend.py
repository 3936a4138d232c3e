"""What it runs on: TensorFlow, asked for by name, and a GPU where there is one."""

import importlib.util


def require_tensorflow():
    """Check that Keras runs on TensorFlow here; the package calls it first of all.

    Raises:
        ImportError: no TensorFlow is installed, or Keras was told to use another
            backend (environment variable KERAS_BACKEND, or its settings file).

    Example:

        from bptt_keras.backend import require_tensorflow

        require_tensorflow()    # returns None: all is well
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "bptt_keras runs on TensorFlow, and none is installed. Install one with "
            '`pip install "bptt_keras[cpu]"` or `pip install "bptt_keras[gpu]"`.'
        )
    # Not at the top: without TensorFlow this import fails with an error of its own.
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            "bptt_keras needs the TensorFlow backend of Keras. Received: "
            f"backend={backend!r}. Set the environment variable "
            "KERAS_BACKEND=tensorflow before Keras is first imported."
        )


def has_gpu():
    """Whether TensorFlow sees a GPU here."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
