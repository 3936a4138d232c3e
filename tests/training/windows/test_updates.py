"""Updates over several windows: pending gradients are not lost."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from tests.training.references import (
    assert_same_weights,
    clone,
    model_of,
    series,
    train_by_spans,
)

pytestmark = pytest.mark.both_ways


def trainer_of(model, window, **options):
    trainer = bk.TruncatedBPTT(model, window, shards=1, **options)
    trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=False)
    return trainer


def test_pending_gradients_are_applied_at_the_end_of_an_epoch():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 14)
    spans = [(0, 0, 4), (4, 4, 8), (8, 8, 12), (12, 12, 14)]
    for _ in range(2):
        train_by_spans(model, keras.optimizers.SGD(0.3), x, y, spans, update=3)
    trainer = trainer_of(twin, 4, update=3)
    trainer.fit(x, y, epochs=2, verbose=0, shuffle=False)
    assert_same_weights(model, twin)
    assert int(trainer.optimizer.iterations) == 4


def test_gradients_in_double_precision_are_summed_in_it():
    before = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model = model_of(keras.layers.LSTM)
        twin = clone(model)
        x, y = (a.astype("float64") for a in series(3, 12))
        trainer_of(model, 12).fit(x, y, verbose=0)
        trainer_of(twin, 12, update="sequence").fit(x, y, verbose=0)
        assert all(w.dtype == "float64" for w in twin.weights)
        assert_same_weights(model, twin, atol=1e-12, rtol=1e-12)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(before)


@pytest.mark.slow
def test_validation_uses_the_weights_after_pending_gradients_are_applied():
    x, y = series(3, 8)
    trainer = trainer_of(model_of(bk.layers.GRU), 4, update=100)
    history = trainer.fit(x, y, validation_data=(x, y), verbose=0).history
    np.testing.assert_allclose(
        history["val_loss"][0], trainer.evaluate(x, y, verbose=0), rtol=1e-6
    )
    assert abs(history["val_loss"][0] - history["loss"][0]) > 1e-4


@pytest.mark.slow
def test_windows_are_counted_across_batches():
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(3, 12)
    spans = [(0, 0, 4), (4, 4, 8), (8, 8, 12)]
    train_by_spans(model, keras.optimizers.SGD(0.3), x, y, spans[:2], update=2)
    trainer = trainer_of(twin, 4, update=2)
    for start in (0, 4, 8):
        part = slice(start, start + 4)
        batch = {"inputs": x[:, part], "reset": np.full(3, start == 0)}
        trainer.train_on_batch(batch, y[:, part])
    # The third waits.
    assert_same_weights(model, twin)
    assert int(trainer.optimizer.iterations) == 1


def test_reset_state_discards_pending_gradients():
    x, y = series(3, 4)
    trainer = trainer_of(model_of(bk.layers.GRU), 4, update=2)
    trainer.train_on_batch(x, y)
    before = trainer.model.get_weights()
    trainer.reset_state()
    trainer.train_on_batch(x, y)
    for a, b in zip(before, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_outputs_are_averaged_each_with_its_own_weights():
    inputs = keras.Input((None, 3))
    hidden = keras.layers.LSTM(4, return_sequences=True)(inputs)
    a, b = (keras.layers.Dense(2)(hidden) for _ in range(2))
    model = keras.Model(inputs, [a, b])
    x, y = series(3, 12)
    weights = np.random.default_rng(1).uniform(size=(2, 3, 12)).astype("float32")
    weights[1, :, :5] = 0
    results = []
    for window, update in ((12, "window"), (4, "sequence"), (4, 3)):
        twin = clone(model)
        trainer = bk.TruncatedBPTT(twin, window, update=update, shards=1)
        trainer.compile(
            keras.optimizers.SGD(0.3), ["mse", "mae"], [0.3, 0.7], jit_compile=False
        )
        # No gradient crosses a border: that of the state is all that differs.
        flags = np.zeros((3, 12), bool)
        flags[:, [0, 4, 8]] = True
        trainer.fit(
            {"inputs": x, "reset": flags},
            [y, -y],
            sample_weight=[weights[0], weights[1]],
            verbose=0,
        )
        results.append(twin)
    assert_same_weights(results[0], results[1])
    assert_same_weights(results[0], results[2])
