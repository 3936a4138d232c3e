"""Bad input is refused before training, in words that say what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import model_of, series
from tests.training.test_fit import Batches
from tests.training.test_trainer import trainer_of


def language_model(vocabulary=7):
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary, 4),
            bk.layers.LSTM(5, return_sequences=True),
            keras.layers.Dense(vocabulary),
        ]
    )


def language_trainer(**options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return trainer_of(language_model(), 4, **{"loss": loss} | options)


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_below_one_is_refused(window):
    with pytest.raises(ValueError, match="`window` must be at least 1 timestep"):
        bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=window)


@pytest.mark.parametrize("window", [2.0, "8", True])
def test_a_window_that_is_no_integer_is_refused(window):
    with pytest.raises(TypeError, match="`window` must be an integer"):
        bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=window)


def test_what_is_no_keras_model_is_refused():
    with pytest.raises(TypeError, match="must be a `keras.Model`"):
        bk.TruncatedBPTT(bk.layers.LSTM(3), window=4)


def bad_data():
    x, y = series(4, 9)
    nan = x.copy()
    nan[2, 3, 1] = np.nan
    flags = np.zeros(3, bool)
    return {
        "y of another length": (x, y[:, :8], "one target for each of the 9 timesteps"),
        "y of other rows": (x, y[:3], "same number of rows"),
        "y without time": (x, y[:, 0, 0], "one target for each of the 9 timesteps"),
        "y of another width": (x, y.repeat(2, -1), "must fit the model's output"),
        "x without time": (x[:, 0, 0], y, "`bptt_keras.data.streams`"),
        "NaN in x": (nan, y, "`x` must be finite"),
        "infinity in y": (x, np.where(y > 1, np.inf, y), "`y` must be finite"),
        "reset of another shape": (
            {"inputs": x, "reset": flags},
            y,
            "`reset` must have the shape",
        ),
        "reset of other steps": (
            {"inputs": x, "reset": np.zeros((4, 8), bool)},
            y,
            "`reset` must have the shape",
        ),
        "reset without inputs": ({"x": x, "reset": flags}, y, "must hold the model's"),
        "no targets": (x, None, "needs targets"),
    }


@pytest.mark.parametrize("case", bad_data())
def test_bad_data_is_refused_and_nothing_is_lost(case):
    x, y, message = bad_data()[case]
    model = model_of(bk.layers.LSTM)
    before = model.get_weights()
    trainer = trainer_of(model, 4)
    with pytest.raises(ValueError, match=message):
        trainer.fit(x, y, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("bad", "jit_compile"),
    [
        (7, False),
        pytest.param(-1, True, marks=pytest.mark.slow),
        pytest.param(-1, False, marks=pytest.mark.slow),
        pytest.param(7, True, marks=pytest.mark.slow),
        pytest.param(100, True, marks=pytest.mark.slow),
        pytest.param(100, False, marks=pytest.mark.slow),
    ],
)
def test_ids_outside_the_vocabulary_are_refused(bad, jit_compile):
    ids = np.zeros((2, 9), "int32")
    wrong = ids.copy()
    wrong[1, 8] = bad
    trainer = language_trainer(jit_compile=jit_compile)
    with pytest.raises(ValueError, match="vocabulary of layer 'embedding"):
        trainer.fit(wrong, ids, verbose=0)
    dataset = tf.data.Dataset.from_tensors((wrong, ids))
    with pytest.raises(ValueError, match="vocabulary of layer `embedding"):
        trainer.fit(dataset, verbose=0)
    with pytest.raises(ValueError, match="vocabulary of layer `embedding"):
        trainer.predict(wrong, verbose=0)
    with pytest.raises(ValueError, match="class labels from 0"):
        trainer.fit(ids, wrong, verbose=0)


def test_an_ignored_class_is_no_label_outside():
    ids = np.zeros((2, 8), "int32")
    labels = ids.copy()
    labels[:, 4:] = -1
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    trainer = language_trainer(loss=loss)
    trainer.fit(ids, labels, verbose=0)
    assert int(trainer.optimizer.iterations) == 1


def test_nan_in_a_dataset_is_refused_before_its_batch_changes_weights():
    x, y = series(2, 8)
    x[1, 6, 0] = np.nan
    model = model_of(bk.layers.LSTM)
    before = model.get_weights()
    dataset = tf.data.Dataset.from_tensors((x, y))
    with pytest.raises(ValueError, match="`x` must be finite"):
        trainer_of(model, 4).fit(dataset, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_trainer_that_is_not_compiled_is_refused():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=4)
    for call in (trainer.fit, trainer.evaluate):
        with pytest.raises(ValueError, match="compile"):
            call(*series(2, 8), verbose=0)


def test_a_model_that_is_not_built_is_built_by_its_first_batch():
    trainer = language_trainer()
    assert not trainer.model.built
    trainer.fit(np.zeros((2, 9), "int32"), np.zeros((2, 9), "int32"), verbose=0)
    assert trainer.model.built


def test_a_step_of_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="must be built"):
        bk.PureStep(language_model())


def test_shuffled_streams_are_refused():
    dataset = bk.data.streams(np.zeros(100, "int32"), batch_size=2, window=4)
    trainer = language_trainer()
    with pytest.raises(ValueError, match="shuffled"):
        trainer.fit(dataset.shuffle(4), verbose=0)
    with pytest.raises(ValueError, match="shuffled"):
        trainer.fit(dataset.shuffle(4).prefetch(1), verbose=0)
    with pytest.raises(ValueError, match="shuffle=True"):
        trainer.fit(dataset, shuffle=True, verbose=0)
    with pytest.raises(ValueError, match="must come in their order"):
        trainer.fit(dataset.take(1).concatenate(dataset.skip(2)), verbose=0)


def test_rows_that_continue_one_another_are_not_shuffled():
    x, y = series(6, 8)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    flagged = {"inputs": x, "reset": np.zeros(6, bool)}
    with pytest.raises(ValueError, match="order must be kept"):
        trainer.fit(flagged, y, shuffle=True, verbose=0)
    batches = Batches([({"inputs": x, "reset": np.zeros(6, bool)}, y)] * 3)
    with pytest.raises(ValueError, match="order must be kept"):
        trainer.fit(batches, shuffle=True, verbose=0)
    trainer.fit(flagged, y, batch_size=3, verbose=0)
    trainer.fit(batches, verbose=0)


def test_arrays_whose_rows_continue_are_not_cut_short_by_steps_per_epoch():
    x, y = series(6, 8)
    flagged = {"inputs": x, "reset": np.zeros(6, bool)}
    with pytest.raises(ValueError, match="`steps_per_epoch`"):
        trainer_of(model_of(bk.layers.LSTM), 4).fit(
            flagged, y, steps_per_epoch=2, verbose=0
        )


def test_a_batch_cannot_continue_one_of_other_rows():
    x, y = series(5, 4)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    flagged = {"inputs": x, "reset": np.zeros(5, bool)}
    with pytest.raises(ValueError, match="numbers of rows differ"):
        trainer.fit(flagged, y, batch_size=3, verbose=0)
    flagged["reset"][3:] = True
    trainer.fit(flagged, y, batch_size=3, verbose=0)


@pytest.mark.parametrize("reduction", ["sum", "none", None])
def test_losses_that_are_not_averaged_are_refused(reduction):
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    with pytest.raises(ValueError, match="averaged over valid timesteps"):
        trainer_of(model_of(bk.layers.LSTM), 4, loss=loss)


def test_losses_without_a_value_for_each_timestep_are_refused():
    trainer = trainer_of(
        model_of(bk.layers.LSTM), 4, loss=lambda t, p: tf.reduce_mean((t - p) ** 2)
    )
    with pytest.raises(ValueError, match="one value for each timestep"):
        trainer.fit(*series(2, 8), verbose=0)


def test_class_weights_on_timesteps_are_refused():
    ids = np.zeros((2, 8), "int32")
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        language_trainer().fit(ids, ids, class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize("shape", [(4, 5), (3,), (4, 9, 1)])
def test_sample_weights_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError):
        trainer_of(model_of(bk.layers.LSTM), 4).fit(
            *series(4, 9), sample_weight=np.ones(shape), verbose=0
        )


def test_contradictory_ways_to_run_are_refused():
    with pytest.raises(ValueError, match="run_eagerly"):
        trainer_of(model_of(bk.layers.LSTM), 4, jit_compile=True, run_eagerly=True)
    with pytest.raises(ValueError, match="`jit_compile` must be"):
        trainer_of(model_of(bk.layers.LSTM), 4, jit_compile="yes")


def test_an_input_of_fixed_length_is_refused_unless_windows_have_it():
    def fixed(steps):
        return trainer_of(
            keras.Sequential(
                [
                    keras.Input((steps, 3)),
                    bk.layers.LSTM(5, return_sequences=True),
                    keras.layers.Dense(2),
                ]
            ),
            4,
        )

    fixed(4).fit(*series(2, 8), verbose=0)
    with pytest.raises(ValueError, match="fixed number of timesteps, 8"):
        fixed(8).fit(*series(2, 8), verbose=0)
    with pytest.raises(ValueError, match="fixed number of timesteps, 4"):
        fixed(4).fit(*series(2, 9), verbose=0)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError):
        trainer_of(model_of(bk.layers.LSTM), 4).fit(*series(0, 8), verbose=0)
    with pytest.raises(ValueError, match="at least 1 timestep"):
        trainer_of(model_of(bk.layers.LSTM), 4).fit(*series(2, 0), verbose=0)
