"""Bad input is refused before training, with a message that says what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training.intake import checks
from tests.training.references import assert_same_weights, clone, model_of, series
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
def test_a_noninteger_window_is_refused(window):
    with pytest.raises(TypeError, match="`window` must be an integer"):
        bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=window)


def test_an_object_that_is_not_a_keras_model_is_refused():
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
    with pytest.raises(ValueError, match="vocabulary of layer 'embedding"):
        trainer.predict(wrong, verbose=0)
    with pytest.raises(ValueError, match="class labels from 0"):
        trainer.fit(ids, wrong, verbose=0)


def test_an_ignored_class_is_not_a_label_out_of_range():
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


def weighted_model(return_sequences=True):
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.GRU(4, return_sequences=return_sequences),
            keras.layers.Dense(2),
        ]
    )


def with_nan(array, *place):
    array = array.copy()
    array[place] = np.nan
    return array


def early(trainer, x, y=None, sample_weight=None):
    """What `fit`, `evaluate` and `validation_data` look at before anything runs."""
    checks.check_data(trainer._expected(), x, y, sample_weight)


def harmless():
    x, y = series(3, 6)
    lengths, mask = np.array([6, 2, 4]), np.ones((3, 6), bool)
    mask[1, 3] = False
    weights = np.ones((3, 6))
    weights[1, 3] = 0
    rows = np.array([1, 0, 1])
    nan_x, nan_y = with_nan(x, 1, 3), with_nan(y, 1, 3)
    return {
        "x beyond lengths": ({"inputs": nan_x, "lengths": lengths}, y),
        "x under a mask": ({"inputs": nan_x, "mask": mask}, y),
        "y beyond lengths": ({"inputs": x, "lengths": lengths}, nan_y),
        "y under a mask": ({"inputs": x, "mask": mask}, nan_y),
        "y of weight 0": (x, nan_y, weights),
        "y in a row of weight 0": (x, nan_y, rows),
        "y in a row of weight 0, (rows, 1)": (x, nan_y, rows[:, None]),
        "a weight beyond lengths": (
            {"inputs": x, "lengths": lengths},
            y,
            with_nan(weights, 1, 3),
        ),
    }


@pytest.mark.parametrize("case", harmless())
def test_nan_that_does_not_count_is_accepted(case):
    early(trainer_of(weighted_model(), 4), *harmless()[case])


def harmful():
    x, y = series(3, 6)
    lengths = np.array([6, 4, 4])
    weights = np.ones((3, 6))
    weights[1, 2] = 0
    nan_x, nan_y = with_nan(x, 1, 3), with_nan(y, 1, 3)
    return {
        "x": ({"inputs": nan_x, "lengths": lengths}, y),
        "x of weight 0": (nan_x, y, np.array([1, 0, 1])),
        "y": ({"inputs": x, "lengths": lengths}, nan_y),
        "y beside another weight 0": (x, nan_y, weights),
        "y in another row": (x, nan_y, np.array([0, 1, 0])),
        "sample_weight": (x, y, with_nan(weights, 1, 3)),
    }


@pytest.mark.parametrize("case", harmful())
def test_nan_that_counts_is_refused_everywhere(case):
    x, y, *weights = harmful()[case]
    trainer = trainer_of(weighted_model(), 4)
    name = case.split()[0]
    good = series(3, 6)
    calls = [
        lambda: trainer.fit(x, y, sample_weight=weights[0] if weights else None),
        lambda: trainer.evaluate(x, y, sample_weight=weights[0] if weights else None),
        lambda: trainer.fit(*good, validation_data=(x, y, *weights)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"`{name}` must be finite"):
            call()


def test_nan_in_a_row_of_weight_zero_is_accepted_with_one_target_per_row():
    x, y = series(3, 6)
    trainer = trainer_of(weighted_model(False), 4)
    once = with_nan(y[:, 0], 1)
    early(trainer, x, once, np.array([1, 0, 1]))
    with pytest.raises(ValueError, match="`y` must be finite"):
        early(trainer, x, once, np.array([0, 1, 0]))


def test_nan_in_burn_in_counts_only_in_x():
    x, y = series(3, 6)
    trainer = bk.TruncatedBPTT(weighted_model(), 4, burn_in=2)
    early(trainer, x, with_nan(y, 0, 1))
    with pytest.raises(ValueError, match="`y` must be finite"):
        early(trainer, x, with_nan(y, 0, 2))
    with pytest.raises(ValueError, match="`x` must be finite"):
        early(trainer, with_nan(x, 0, 1), y)


def misfits():
    x, y = series(4, 9)
    weights = np.ones((4, 9))
    lists = [row[:n] for row, n in zip(x, (9, 5, 3, 4), strict=True)]

    def beside(**parts):
        return {"inputs": x, **parts}

    return {
        "other features": (x[..., :2], y, r"\(batch, time, 3\).*\(4, 9, 2\)"),
        "no batch axis": (x[0], y[0], r"becomes a batch of one by `x\[None\]`"),
        "an axis too many": (x[:, :, None], y, r"\(4, 9, 1, 3\)"),
        "no features": (x[..., 0], y, r"\(4, 9\)"),
        "x and y swapped": (y, x, r"\(batch, time, 3\).*\(4, 9, 2\)"),
        "no rows": (x[:0], y[:0], "at least one row"),
        "no timesteps": (x[:, :0], y[:, :0], "at least 1 timestep"),
        "text": (x.astype(str), y, "real numbers.*string"),
        "complex numbers": (x, y.astype("complex64"), "real numbers.*complex64"),
        "a number for x": (3.0, y, "must be an array of numbers"),
        "nothing for x": (None, y, "must hold an array"),
        "lists without features": (
            [row[:, 0] for row in lists],
            y,
            r"takes 1 array.*4, the first two of shapes \(9,\) and \(5,\)",
        ),
        "lists of other features": (
            [row[:, :2] for row in lists],
            [row[:, :2] for row in lists],
            r"\(batch, time, 3\).*\(4, None, 2\)",
        ),
        "an array beside lists": (lists, y, r"\(4, 9, 2\) beside sequences of 3 to 9"),
        "short lengths": (
            beside(lengths=[9, 9, 9]),
            y,
            "`lengths` must have the shape",
        ),
        "long lengths": (beside(lengths=[9, 9, 9, 10]), y, "from 9 to 10"),
        "negative lengths": (beside(lengths=[9, 9, 9, -1]), y, "from -1 to 9"),
        "a short mask": (beside(mask=weights[:, 1:]), y, "`mask` must have the shape"),
        "a mask of rows": (beside(mask=weights[:, 0]), y, "`mask` must have the shape"),
        "few keys": (beside(key=[1, 2, 3]), y, "`key` must have the shape"),
        "few places": (beside(position=[0, 0]), y, "`position` must have the shape"),
    }


@pytest.mark.parametrize("case", misfits())
def test_data_that_do_not_fit_are_refused_by_every_method(case):
    x, y, message = misfits()[case]
    trainer = trainer_of(weighted_model(), 4)
    calls = [trainer.fit, trainer.evaluate, trainer.train_on_batch]
    if case not in ("complex numbers", "an array beside lists"):
        calls += [
            lambda x, y: trainer.predict(x),
            lambda x, y: trainer.test_on_batch(x, y),
        ]
    if "lengths" in case and "short" not in case:
        calls = [trainer.fit, trainer.evaluate]  # The others look at them in the graph.
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=message):
            call(x, y)


@pytest.mark.parametrize("length", [-1, 10])
@pytest.mark.quick(1)
def test_lengths_out_of_range_are_refused_in_datasets(length):
    x, y = series(2, 9)
    dataset = tf.data.Dataset.from_tensors(({"inputs": x, "lengths": [9, length]}, y))
    with pytest.raises(ValueError, match="`lengths` must lie between 0"):
        trainer_of(weighted_model(), 4).fit(dataset, verbose=0)


@pytest.mark.parametrize("kind", ["dataset", "PyDataset", "generator", "validation"])
def test_batches_that_do_not_fit_are_refused_before_training(kind):
    x, y = series(4, 9)
    wrong = x[..., :2]
    data = {
        "dataset": tf.data.Dataset.from_tensors((wrong, y)),
        "PyDataset": Batches([(wrong, y)] * 2),
        "generator": ((wrong, y) for _ in range(2)),
        "validation": tf.data.Dataset.from_tensors((x, y)),
    }[kind]
    validation = (wrong, y) if kind == "validation" else None
    with pytest.raises(ValueError, match=r"must fit the model's input.*, 9, 2\)"):
        trainer_of(weighted_model(), 4).fit(data, validation_data=validation)


def test_a_subclassed_model_refuses_other_features_than_it_was_built_with():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.recurrent = bk.layers.GRU(4, return_sequences=True)
            self.outer = keras.layers.Dense(2)

        def call(self, x):
            return self.outer(self.recurrent(x))

    x, y = series(4, 9)
    model = Own()
    model(x)
    with pytest.raises(ValueError, match=r"\(batch, time, 3\).*\(4, 9, 2\)"):
        trainer_of(model, 4).fit(x[..., :2], y)


def test_each_of_several_inputs_is_checked():
    sequence, speaker = keras.Input((None, 3), name="a"), keras.Input((8,), name="b")
    hidden = bk.layers.GRU(2, return_sequences=True)(sequence)
    added = hidden + keras.layers.Dense(2)(speaker)[:, None]
    trainer = trainer_of(keras.Model([sequence, speaker], added), 4)
    x, y = series(4, 9)
    for wrong, message in {
        "width": ([x, np.ones((4, 7))], r"`x\[1\]` must fit.*\(batch, 8\)"),
        "keys": ({"a": x}, "for each input of the model"),
        "number": (x, "takes 2 arrays"),
        "rows": ([x, np.ones((3, 8))], "same number of rows"),
    }.values():
        with pytest.raises(ValueError, match=message):
            trainer.fit(wrong, y)


def test_weights_of_timesteps_are_refused_where_there_is_one_target():
    x, y = series(4, 9)
    with pytest.raises(
        ValueError, match=r"must have the shape \(batch,\) or \(batch, 1\)"
    ):
        trainer_of(weighted_model(False), 4).fit(
            x, y[:, 0], sample_weight=np.ones((4, 9))
        )


@pytest.mark.parametrize("kind", ["labels", "column", "one-hot", "list", "dataset"])
@pytest.mark.quick(1)
def test_class_weights_equal_the_corresponding_sample_weights(kind):
    x, _ = series(4, 9)
    labels, by_class = np.array([0, 1, 1, 0]), {0: 1.0, 1: 3.0}
    weights = np.array([by_class[label] for label in labels])
    y = {"column": labels[:, None], "one-hot": np.eye(2)[labels], "list": [0, 1, 1, 0]}
    y = y.get(kind, labels)
    name = "categorical" if kind == "one-hot" else "sparse_categorical"
    model = weighted_model(False)
    first, second = (
        trainer_of(m, 9, loss=f"{name}_crossentropy") for m in (model, clone(model))
    )
    if kind == "dataset":
        data = tf.data.Dataset.from_tensors((x, y))
        found = first.fit(data, class_weight=by_class, verbose=0).history["loss"][0]
    else:
        found = first.train_on_batch(x, y, class_weight=by_class)[0]
    expected = second.train_on_batch(x, np.asarray(y), sample_weight=weights)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert_same_weights(first.model, second.model)


def test_class_weights_are_still_refused_after_a_fit_with_sample_weights():
    x, y = series(4, 9)
    trainer = trainer_of(weighted_model(), 4)
    trainer.fit(x, y, sample_weight=np.ones(4), verbose=0)
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.fit(x, y[..., 0], class_weight={0: 2.0}, verbose=0)


@pytest.mark.slow
def test_a_trainer_that_refused_its_first_batch_trains_on_the_next():
    x, y = series(4, 9)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    with pytest.raises(ValueError):
        trainer.fit(x, y[:, :8], verbose=0)
    trainer.fit(x, y, verbose=0)
    unbuilt = keras.Sequential([keras.layers.GRU(2, return_sequences=True)])
    trainer = trainer_of(unbuilt, 4)
    with pytest.raises(ValueError):
        trainer.train_on_batch(x, y[:, :8])
    trainer.train_on_batch(x, y)
    shards = bk.TruncatedBPTT(
        keras.Sequential([keras.Input((None, 3)), keras.layers.BatchNormalization()]),
        window=4,
        shards=2,
    )
    shards.compile("sgd", "mse", jit_compile=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be cut into shards"):
            shards.fit(x, x, verbose=0)


def test_class_weights_over_time_are_refused_everywhere():
    ids = np.zeros((2, 8), "int32")
    model = keras.Sequential(
        [keras.layers.Embedding(9, 4), keras.layers.GRU(9, return_sequences=True)]
    )
    trainer = trainer_of(model, 4, loss="sparse_categorical_crossentropy")
    weights = {label: 1.0 for label in range(9)}
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.train_on_batch(ids, ids, class_weight=weights)
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.fit(Batches([(ids, ids)]), class_weight=weights, verbose=0)
    dataset = tf.data.Dataset.from_tensors((ids, ids))
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.fit(dataset, class_weight=weights, verbose=0)


@pytest.mark.parametrize(("x_steps", "y_steps"), [(12, 14), (12, 10)])
@pytest.mark.quick(1)
def test_lengths_are_compared_where_tracing_does_not_know_them(x_steps, y_steps):
    x, y = series(2, x_steps)[0], series(2, y_steps)[1]
    spec = tuple(tf.TensorSpec((None, None, n), tf.float32) for n in (3, 2))
    dataset = tf.data.Dataset.from_generator(lambda: [(x, y)], output_signature=spec)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    with pytest.raises(ValueError, match="`y` must have the rows and timesteps"):
        trainer.fit(dataset, verbose=0)


def test_a_loss_is_needed():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=4)
    trainer.compile("sgd")
    with pytest.raises(ValueError, match="Give `compile` a `loss`"):
        trainer.fit(*series(2, 8), verbose=0)
