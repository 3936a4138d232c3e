import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers import TiedLogits, WordEmbedding
from zoo.models.config import from_config, to_config

IDS = np.array([[1, 4, 2], [0, 0, 3]])


def model_of(size=5, width=3):
    embedding = WordEmbedding(size, width, dropout=0.2)
    model = keras.Sequential([embedding, TiedLogits(embedding)])
    model.build((None, None))
    return model


def test_logits_are_products_with_the_embedding_and_a_bias():
    model = model_of()
    matrix, bias = (weight.numpy() for weight in model.trainable_weights)
    model.layers[1].bias.assign(bias + np.arange(5))
    np.testing.assert_allclose(
        model(IDS), matrix[IDS] @ matrix.T + np.arange(5), rtol=1e-5
    )


def test_the_matrix_is_one_weight_and_both_uses_train_it():
    model = model_of()
    assert [w.shape for w in model.trainable_weights] == [(5, 3), (5,)]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(IDS[:, :1]) * np.arange(5.0))
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.trainable_weights[0]))
    matrix = model.trainable_weights[0].numpy()
    # As output: every row n gets n times the sum of the inputs; as input: rows 0, 1.
    expected = np.outer(np.arange(5), matrix[0] + matrix[1])
    expected[[0, 1]] += np.arange(5) @ matrix
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_it_stays_tied_in_a_preset(tmp_path):
    model = model_of()
    model.save_weights(tmp_path / "a.weights.h5")
    again = from_config(to_config(model))
    again.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(again(IDS), model(IDS))
    again.layers[0].embeddings.assign(np.ones((5, 3)))
    np.testing.assert_array_equal(again(IDS), np.full((2, 3, 5), 3.0))


@pytest.mark.parametrize("place", [0, 1])
def test_a_config_in_which_it_has_no_embedding_is_refused(place):
    config = to_config(model_of())
    config["layers"] = [config["layers"][1]] * (1 + place)
    config["features"] = 3
    with pytest.raises(ValueError, match="TiedLogits is at the wrong place"):
        from_config(config)


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match="as wide as a word's vector, 3"):
        TiedLogits(WordEmbedding(5, 3)).build((None, None, 4))
    with pytest.raises(TypeError, match="`embedding` must be a WordEmbedding"):
        TiedLogits(keras.layers.Embedding(5, 3))
