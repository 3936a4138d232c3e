"""Every recurrent layer that an exported model may hold; to join, add a row."""

import keras

import bptt_keras as bk

LAYERS = {
    **{
        f"bk.layers.{name}": getattr(bk.layers, name)
        for name in (
            *("LSTM", "GRU", "SimpleRNN", "LayerNormLSTM", "ZoneoutLSTM"),
            *("WeightDropLSTM", "IndRNN", "MinGRU", "MinLSTM", "LRU"),
        )
    },
    **{
        f"keras.layers.{name}": getattr(keras.layers, name)
        for name in ("LSTM", "GRU", "SimpleRNN")
    },
}
FORMATS = {"saved_model": "step", "onnx": "step.onnx", "litert": "step.tflite"}


def model_of(layer, units=6, count=2):
    """Layers of a kind, one on top of the other, and a read-out."""
    layers = [layer(units, return_sequences=True) for _ in range(count)]
    return keras.Sequential([keras.Input((None, 3)), *layers, keras.layers.Dense(2)])


def outcome(name, format, folder, *, rows, timesteps):
    """`None` if a layer passes in a format, or why it is refused.

    Raises:
        AssertionError: If it is refused and a file is left, or the error does not name
            the layer.
    """
    keras.utils.set_random_seed(20)
    model = model_of(LAYERS[name])
    folder.mkdir()
    try:
        said = bk.export(
            model,
            folder / FORMATS[format],
            format,
            rows=rows,
            timesteps=timesteps,
            reset=True,
        )
    except bk.ExportError as error:
        assert not [*folder.iterdir()], "a file is left"
        kind = name.split(".")[-1]
        assert str(error).startswith("Layer ") and f"({kind})" in str(error), error
        return str(error)
    proof = said["proof"]
    # `LayerNormLSTM` amplifies rounding errors, of Keras with XLA and without as well.
    most = 1e-2 if name == "bk.layers.LayerNormLSTM" else 1e-5
    assert proof["largest_difference"] <= proof["allowed_difference"] <= most
    return None
