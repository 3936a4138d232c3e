"""What is raised where a model cannot be exported."""

from __future__ import annotations


class ExportError(RuntimeError):
    """A model cannot be exported in a format; nothing was written.

    The message names the format, the layer that is the reason, and what its runtime or
    its converter said.

    Example:
        import keras, bptt_keras as bk

        words = keras.layers.Lambda(lambda x: keras.ops.fft((x, x))[0], name="fft")
        model = keras.Sequential([keras.Input((None, 4)), words, keras.layers.GRU(2)])
        try:
            bk.export(model, "model.onnx", "onnx")
        except bk.ExportError as error:
            assert "'fft'" in str(error)
    """


class Differs(Exception):
    """A file does not compute what Keras does; the message says by how much."""
