"""An embedding that drops whole words."""

from __future__ import annotations

from typing import Any

import keras

from zoo.layers.types import Tensor


@keras.saving.register_keras_serializable(package="zoo")
class WordEmbedding(keras.layers.Embedding):
    """`keras.layers.Embedding` that, in training, drops words of the vocabulary.

        E'_w = E_w * kept_w / (1 - dropout)         kept_w: one draw a word

    A dropped word is dropped everywhere in a call: in truncated backpropagation, in all
    rows and timesteps of a window. If the trainer runs a window in several shards, each
    shard draws its own words. Inference uses E.

    Args:
        input_dim: Number of words.
        output_dim: Width of a word's vector.
        dropout: Fraction of the words to drop, in [0, 1).
        **kwargs: Those of `keras.layers.Embedding`.

    Call arguments:
        inputs: Ids `(batch, time)`.
        training: True drops words.

    Returns:
        Vectors `(batch, time, output_dim)`.

    Raises:
        ValueError: If `dropout` is not in [0, 1).

    Example:
        from zoo.layers import WordEmbedding

        layer = WordEmbedding(100, 8, dropout=0.5)
        vectors = layer(np.array([[3, 7, 3]]), training=True)
        np.testing.assert_array_equal(vectors[:, 0], vectors[:, 2])

    Source: Gal & Ghahramani (2016); Merity, Keskar & Socher (2018), section 4.3. There
    the draws are the same for a whole forward and backward pass, as here.
    """

    def __init__(
        self, input_dim: int, output_dim: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(input_dim, output_dim, **kwargs)
        if not 0 <= dropout < 1:
            raise ValueError(
                f"`dropout` must be from 0 to below 1. Received: dropout={dropout!r}"
            )
        self.dropout = dropout
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        vectors = super().call(inputs)
        if not training or self.dropout == 0:
            return vectors
        ones = keras.ops.ones((self.input_dim, 1), vectors.dtype)
        kept = keras.random.dropout(ones, self.dropout, seed=self.seed_generator)
        ids = keras.ops.cast(inputs, "int32")
        return vectors * keras.ops.take(kept, ids, axis=0)

    def compute_output_spec(self, inputs: Tensor, training: bool = False) -> Any:
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout}
