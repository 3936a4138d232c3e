"""Logits from the transposed matrix of an embedding."""

from __future__ import annotations

from typing import Any

import keras

from zoo.layers.keras_internals import set_untracked
from zoo.layers.types import Shape, Tensor
from zoo.layers.word_embedding import WordEmbedding


class TiedLogits(keras.layers.Layer):
    """Scores each word of an embedding with its vector.

        logits = h E^T + b              E: the embedding's, b: one number a word

    `E` is a weight of the embedding only, and both uses train it; `b` belongs to this
    layer. Words that the embedding drops are not dropped here.

    Args:
        embedding: A `WordEmbedding`, which comes before this layer in the model.
        **kwargs: `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, time, output_dim of the embedding)`.

    Returns:
        Logits `(batch, time, input_dim of the embedding)`.

    Raises:
        TypeError: If `embedding` is not a `WordEmbedding`.
        ValueError: If the inputs do not have the width of the word vectors.

    Example:
        from zoo.layers import TiedLogits, WordEmbedding

        embedding = WordEmbedding(100, 8)
        vectors = embedding(np.array([[3, 7]]))
        logits = TiedLogits(embedding)(vectors)
        np.testing.assert_allclose(
            logits, vectors @ tf.transpose(embedding.embeddings), rtol=1e-4, atol=1e-6
        )

    Source: Inan, Khosravi & Socher (2017); Press & Wolf (2017).
    """

    def __init__(self, embedding: WordEmbedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(embedding, WordEmbedding):
            raise TypeError(
                "`embedding` must be a WordEmbedding. Received: "
                f"embedding={embedding!r}"
            )
        # The embedding is not a sublayer of this one.
        set_untracked(self, "embedding", embedding)

    def build(self, inputs_shape: Shape) -> None:
        if inputs_shape[-1] != self.embedding.output_dim:
            raise ValueError(
                "The inputs must be as wide as a word's vector, "
                f"{self.embedding.output_dim}. Received: inputs of shape "
                f"{tuple(inputs_shape)}"
            )
        self.bias = self.add_weight(
            shape=(self.embedding.input_dim,), initializer="zeros", name="bias"
        )

    def call(self, inputs: Tensor) -> Tensor:
        matrix = keras.ops.cast(self.embedding.embeddings, self.compute_dtype)
        return keras.ops.matmul(inputs, keras.ops.transpose(matrix)) + self.bias

    def get_config(self) -> dict[str, Any]:
        # Without the embedding, which belongs to the model: `zoo.models.config`
        # restores it.
        return super().get_config()

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return (*inputs_shape[:-1], self.embedding.input_dim)
