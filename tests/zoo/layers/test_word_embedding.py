import numpy as np
import pytest

from zoo.layers import WordEmbedding

IDS = np.arange(400).reshape(2, 200) % 100


def test_a_word_is_dropped_wherever_it_occurs_and_the_others_are_scaled():
    layer = WordEmbedding(100, 8, dropout=0.25)
    vectors, dropped = np.array(layer(IDS)), np.array(layer(IDS, training=True))
    kept = np.abs(dropped).sum(axis=-1) > 0
    of_word = {int(w): set(kept[w == IDS]) for w in range(100)}
    assert all(len(draws) == 1 for draws in of_word.values())
    np.testing.assert_allclose(dropped[kept], vectors[kept] / 0.75, rtol=1e-6)
    # 100 draws; three standard deviations are 0.13.
    assert 0.12 < 1 - kept.mean() < 0.38


def test_each_call_draws_anew_and_inference_never():
    layer = WordEmbedding(100, 8, dropout=0.5)
    first, second = (np.array(layer(IDS, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(layer(IDS), layer(IDS, training=False))


def test_config_makes_the_same_layer():
    layer = WordEmbedding(5, 3, dropout=0.5)
    again = WordEmbedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="`dropout` must be from 0 to below 1"):
        WordEmbedding(5, 3, dropout=1.0)
