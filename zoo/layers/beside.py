"""A recurrent layer whose inputs are concatenated with its outputs."""

from __future__ import annotations

from typing import Any

import keras

from zoo.layers.recurrent import recurrent_layer
from zoo.layers.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="zoo")
class Beside(keras.layers.Layer):
    """Concatenates the inputs with the outputs of a recurrent layer.

        y_t = (x_t, h_t),       h = layer(x)

    So the following layers see the outputs of the convolutions before, and not only
    what the recurrent layer remembers of them. Its state is carried like that of any
    other recurrent layer.

    Args:
        units: Units of the recurrent layer.
        layer: Its kind, as in `zoo.recipes.recipe.LAYERS`.
        **kwargs: `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, time, features)`.
        mask: Booleans `(batch, time)`, False where a timestep is padding.

    Returns:
        Floats `(batch, time, features + units)`.

    Example:
        from zoo.layers import Beside

        outputs = Beside(4)(np.ones((2, 7, 3), "float32"))
        assert outputs.shape == (2, 7, 3 + 4)
        np.testing.assert_array_equal(outputs[..., :3], np.ones((2, 7, 3)))

    Source: Karim, Majumdar, Darabi & Chen, "LSTM Fully Convolutional Networks for Time
    Series Classification" (2018) put an LSTM in parallel with the convolutions; here it
    reads their outputs.
    """

    def __init__(self, units: int, layer: str = "lstm", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.layer = layer
        self.recurrent = recurrent_layer(layer, units, return_sequences=True)
        self.supports_masking = True

    def build(self, inputs_shape: Shape) -> None:
        self.recurrent.build(inputs_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        outputs = self.recurrent(inputs, mask=mask)
        return keras.ops.concatenate([inputs, outputs], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "layer": self.layer}

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return (*inputs_shape[:-1], inputs_shape[-1] + self.units)
