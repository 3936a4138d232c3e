"""Chrono initialisation."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.initializers import Chrono


def test_forget_biases_are_logs_of_a_uniform_draw():
    i, f, c, o = np.split(Chrono(50, seed=1)((4 * 20_000,), "float64").numpy(), 4)
    u = np.exp(f)
    assert u.min() >= 1 and u.max() <= 49
    # The mean of U[1, 49] is 25; a draw of 20,000 has a standard error of 0.1.
    assert abs(u.mean() - 25) < 0.4
    np.testing.assert_array_equal(i, -f)
    assert not c.any() and not o.any()


@pytest.mark.parametrize("shape", [(3 * 8,), (2, 3 * 8)])
def test_a_gru_keeps_the_past_by_its_update_gate(shape):
    bias = Chrono(50, cell="gru", seed=1)(shape).numpy().reshape(-1, 24)
    z, r, h = np.split(bias[0], 3)
    assert (z >= 0).all() and z.any() and not r.any() and not h.any()
    assert not bias[1:].any()


def test_a_seed_repeats_the_draws_and_none_does_not():
    one, other = (Chrono(9, seed=3)((8,)).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (Chrono(9)((8,)).numpy() != Chrono(9)((8,)).numpy()).any()


def test_layers_accept_it():
    layer = bk.layers.LSTM(4, bias_initializer=Chrono(20), unit_forget_bias=False)
    layer.build((None, None, 3))
    assert (np.split(layer.cell.bias.numpy(), 4)[1] >= 0).all()
    again = bk.layers.LSTM.from_config(layer.get_config())
    assert again.bias_initializer.get_config() == Chrono(20).get_config()
    gru = keras.layers.GRU(4, bias_initializer=Chrono(20, cell="gru"))
    gru.build((None, None, 3))
    assert gru.cell.bias.numpy()[0, :4].any()


@pytest.mark.parametrize("layer", [bk.layers.LSTM, bk.layers.LayerNormLSTM])
def test_a_unit_forget_bias_beside_it_is_refused(layer):
    with pytest.raises(ValueError, match="unit_forget_bias=False"):
        layer(4, bias_initializer=Chrono(20))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((2,), ValueError), (("9",), TypeError), ((True,), TypeError)],
)
def test_a_wrong_longest_is_refused(arguments, error):
    with pytest.raises(error, match="`longest`"):
        Chrono(*arguments)


def test_a_wrong_cell_or_shape_is_refused():
    with pytest.raises(ValueError, match="`cell` must be one of"):
        Chrono(9, cell="rnn")
    for shape in ((7,), (2, 8), (3, 4)):
        with pytest.raises(ValueError, match="makes the bias of a cell"):
            Chrono(9)(shape)
