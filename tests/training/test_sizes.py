"""Windows and batches of odd sizes are served by few programs, with the same result."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.padding import Sizes

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(7, 23, 2)).astype("float32")
Y = RANDOM.normal(size=(7, 23, 1)).astype("float32")


def batch_of(rows, steps):
    return Batch([tf.zeros([rows, steps, 2])])


def test_windows_get_whole_quarters_of_a_full_one():
    sizes = Sizes(64, 64, on=True)
    lengths = {n: sizes.wanted(batch_of(4, n))[0] or n for n in range(1, 65)}
    assert set(lengths.values()) == {16, 32, 48, 64}
    assert all(n <= padded for n, padded in lengths.items())
    assert lengths[16] == 16 and lengths[17] == 32 and lengths[49] == 64


def test_fewer_rows_get_a_power_of_two_up_to_the_largest_batch():
    sizes = Sizes(64, 64, on=True)
    found = []

    @tf.function(input_signature=[tf.TensorSpec([None, 64, 2])])
    def wanted(x):
        batch = Batch([x])
        sizes.see(batch)
        return sizes.wanted(batch)[1]

    sizes.rows_vary = True
    for rows in (20, 20, 1, 3, 11, 17, 20, 24):
        found.append(int(wanted(tf.zeros([rows, 64, 2]))))
    assert found == [20, 20, 1, 4, 16, 20, 20, 24]


def test_a_usual_window_keeps_its_length_beside_a_longer_one():
    sizes = Sizes(70, 80, on=True)
    assert [sizes.wanted(batch_of(4, n))[0] or n for n in (70, 69, 80, 3)] == [
        70,
        80,
        80,
        20,
    ]


def test_nothing_is_padded_where_that_is_off():
    assert Sizes(64, 64, on=False).wanted(batch_of(4, 3)) == (None, None)


def model_of(ends=False, mask=False):
    keras.utils.set_random_seed(4)
    layers = [keras.layers.Masking(9.0)] if mask else []
    return keras.Sequential(
        [
            keras.Input((None, 2)),
            *layers,
            bk.layers.GRU(3, return_sequences=not ends),
            keras.layers.Dense(1),
        ]
    )


def trained(jit_compile, window, *, ends=False, mask=False, **options):
    """Weights, losses and outputs after batches of 3, 3 and 1 rows."""
    if window == "random":
        window = bk.truncation.VariableWindow(4, shortest=1, deviation=2, seed=3)
    trainer = bk.TruncatedBPTT(model_of(ends, mask), window, **options)
    trainer.compile(
        keras.optimizers.SGD(0.1), "mse", metrics=["mae"], jit_compile=jit_compile
    )
    y = Y[:, 0] if ends else Y
    x = X.copy()
    if mask:
        x[2, 15:] = 9.0
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    history = trainer.fit(data, verbose=0).history
    short = (x[:2, :9], y[:2] if ends else y[:2, :9])
    losses = [trainer.evaluate(x, y, batch_size=3, verbose=0)]
    losses.append(trainer.evaluate(*short, verbose=0))
    outputs = trainer.predict(x[:, :14], batch_size=3, verbose=0)
    return [history["loss"], history["mae"], *losses, outputs, *trainer.get_weights()]


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "options"),
    [
        ("random", {}),
        pytest.param(5, {"stride": 2}, marks=SLOW),
        pytest.param(5, {"shards": 2}, marks=SLOW),
        pytest.param(5, {"shards": 1, "ends": True}, marks=SLOW),
        pytest.param(5, {"shards": 2, "mask": True}, marks=SLOW),
        pytest.param(5, {"stride": 2, "mask": True}, marks=SLOW),
        pytest.param("random", {"ends": True, "mask": True}, marks=SLOW),
        pytest.param(30, {"shards": 2}, marks=SLOW),
        pytest.param(5, {"burn_in": 3}, marks=SLOW),
        pytest.param(5, {"recompute": 2}, marks=SLOW),
        pytest.param(5, {"update": "sequence"}, marks=SLOW),
    ],
    ids=str,
)
def test_padded_windows_give_what_exact_ones_do(window, options):
    expected = trained(False, window, **options)
    received = trained(True, window, **options)
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
