"""Small models: all windows of a batch in one program, with the same result."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training import shards
from tests.training.references import assert_same_weights, series

IDS = 7
OPTIONS = {
    "resets inside": {"reset": "inside"},
    "lengths and weights": {"lengths": True, "weights": True},
    "update": {"update": 2},
    "recompute": {"recompute": "sqrt"},
    "skipping": {"optimizer": "skipping"},
}


@pytest.fixture
def window_by_window(monkeypatch):
    """Within a call: no model counts as small."""

    def run(function):
        with monkeypatch.context() as patch:
            patch.setattr(shards, "_SMALL", dict.fromkeys(shards._SMALL, 0))
            return function()

    return run


def trainer_of(metrics=("accuracy",), window=4, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None,)),
            keras.layers.Embedding(IDS, 3),
            bk.layers.LSTM(5, return_sequences=True),
            keras.layers.Dense(IDS),
        ]
    )
    optimizer = keras.optimizers.SGD(0.5)
    if options.pop("optimizer", None) == "skipping":
        optimizer = bk.clipping.ClippedOptimizer(optimizer)
    trainer = bk.TruncatedBPTT(model, window=window, shards=1, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(optimizer, loss, weighted_metrics=list(metrics))
    return trainer


def ids(rows=3, steps=11):
    """Inputs and the ids that follow; 11 steps are two windows of 4 and one of 3."""
    drawn = np.random.default_rng(0).integers(0, IDS, (rows, steps + 1))
    return drawn[:, :-1].copy(), drawn[:, 1:].copy()


def runs_in_one(trainer, use="fit"):
    return trainer._engine.uses[use].in_one is not None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain", {}),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in OPTIONS.items()),
    ],
)
def test_it_trains_as_window_by_window(name, options, window_by_window):
    options = dict(options)
    parts = {key: options.pop(key, None) for key in ("reset", "lengths", "weights")}
    x, y = ids()
    inputs = {"inputs": x}
    if parts["reset"]:
        inputs["reset"] = np.random.default_rng(1).random(x.shape) > 0.8
    if parts["lengths"]:
        inputs["lengths"] = np.array([11, 6, 2])
    weights = np.random.default_rng(2).random(x.shape) if parts["weights"] else None

    def train():
        trainer = trainer_of(**options)
        history = trainer.fit(
            inputs,
            y,
            sample_weight=weights,
            validation_data=(x, y),
            batch_size=3,
            epochs=2,
            shuffle=False,
            verbose=0,
        ).history
        return trainer, history, trainer.predict(x, verbose=0)

    apart, in_one = window_by_window(train), train()
    for use in ("fit", "evaluate", "predict"):
        assert runs_in_one(in_one[0], use)
        assert not runs_in_one(apart[0], use)
    assert_same_weights(apart[0], in_one[0])
    for logged in set(in_one[1]) - {"timesteps_per_second"}:
        np.testing.assert_allclose(
            apart[1][logged], in_one[1][logged], rtol=1e-5, err_msg=logged
        )
    np.testing.assert_allclose(apart[2], in_one[2], atol=1e-5)


def test_its_state_goes_from_batch_to_batch(window_by_window):
    x, y = ids(steps=16)

    def train():
        trainer = trainer_of()
        for start, reset in [(0, True), (8, False)]:
            part = {"inputs": x[:, start : start + 8], "reset": np.full(3, reset)}
            trainer.train_on_batch(part, y[:, start : start + 8])
        return trainer

    apart, in_one = window_by_window(train), train()
    assert_same_weights(apart, in_one)
    for a, b in zip(
        tf.nest.flatten(apart.snapshot_state()),
        tf.nest.flatten(in_one.snapshot_state()),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "message"), [("x", "Ids must lie in the vocab"), ("y", "class labels")]
)
def test_a_bad_window_changes_nothing_nor_does_any_after_it(part, message):
    x, y = ids()
    trainer, expected = trainer_of(), trainer_of()
    expected.train_on_batch(x[:, :4], y[:, :4])
    {"x": x, "y": y}[part][1, 5] = IDS
    with pytest.raises(ValueError, match=message):
        trainer.train_on_batch(x, y)
    assert runs_in_one(trainer)
    assert_same_weights(trainer, expected)
    assert int(trainer.optimizer.iterations) == 1
    # The next batch starts as if that one had not been.
    {"x": x, "y": y}[part][1, 5] = 0
    trainer.train_on_batch(x[:, :4], y[:, :4])
    expected.train_on_batch(x[:, :4], y[:, :4])
    assert_same_weights(trainer, expected)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_bad_ids_are_refused_in_evaluation_and_prediction(method):
    x, y = ids()
    x[1, 5] = IDS
    trainer = trainer_of()
    data = (x, y) if method == "evaluate" else (x,)
    with pytest.raises(ValueError, match="Ids must lie in the vocabulary"):
        getattr(trainer, method)(*data, verbose=0)
    assert runs_in_one(trainer, method)


class Counted(keras.metrics.Metric):
    """A metric that XLA does not compile: it asks Python."""

    def __init__(self):
        super().__init__(name="counted")
        self.total = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        rows = tf.shape(y_true)[0]
        counted = tf.numpy_function(np.float32, [rows], tf.float32)
        self.total.assign_add(tf.reshape(counted, []))

    def result(self):
        return self.total


def test_a_metric_that_does_not_compile_stands_outside():
    x, y = ids()
    trainer = trainer_of(metrics=[Counted()])
    history = trainer.fit(x, y, verbose=0).history
    assert not runs_in_one(trainer)
    assert trainer._engine.uses["fit"].programs.xla
    assert history["counted"] == [y.size]


def test_batches_of_unknown_length_run_window_by_window():
    x, y = ids()
    data = tf.data.Dataset.from_generator(
        lambda: iter([(x, y), (x[:, :6], y[:, :6])]),
        output_signature=(
            tf.TensorSpec((None, None), tf.int64),
            tf.TensorSpec((None, None), tf.int64),
        ),
    )
    trainer, expected = trainer_of(), trainer_of()
    trainer.fit(data, verbose=0)
    assert not runs_in_one(trainer)
    expected.train_on_batch(x, y)
    expected.train_on_batch(x[:, :6], y[:, :6])
    assert_same_weights(trainer, expected)


def test_the_summary_says_what_runs():
    x, y = series(4, 8)
    words = []
    for units in (4, 400):
        model = keras.Sequential(
            [
                keras.Input((None, 3)),
                bk.layers.LSTM(units, return_sequences=True),
                keras.layers.Dense(2),
            ]
        )
        trainer = bk.TruncatedBPTT(model, window=4)
        trainer.compile("sgd", "mse")
        trainer.fit(x, y, verbose=0)
        lines = []
        trainer.summary(print_fn=lines.append)
        words.append("\n".join(lines))
    small, large = words
    assert "1: a timestep is little work, one program runs all windows" in small
    assert "shards  2\n" in large


@pytest.mark.parametrize(
    ("rows", "use", "count"), [(1, "fit", 1), (9000, "fit", 2), (3000, "predict", 2)]
)
def test_rows_and_weights_say_whether_a_model_is_small(rows, use, count, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    trainer = trainer_of()
    trainer.train_on_batch(*ids())
    # 3 * 20 and 5 * 20 of the LSTM, 5 * 7 of the Dense layer; none of the embedding.
    assert shards._multiplied(trainer.model) == 195
    engine = trainer._engine
    chosen = shards.choose_shards("auto", engine.findings, trainer.model, rows, use)
    assert (chosen.count, chosen.in_one) == (count, count == 1)


def test_the_batch_size_stands_for_rows_that_no_trace_knows():
    x, y = series(4096, 1)
    for size, in_one in [(1024, False), (64, True)]:
        trainer = bk.TruncatedBPTT(network(20), window=4)
        trainer.compile("sgd", "mse")
        trainer.fit(x, y, batch_size=size, steps_per_epoch=1, verbose=0)
        assert runs_in_one(trainer) is in_one


def network(units):
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.GRU(units, return_sequences=True),
            keras.layers.Dense(2),
        ]
    )
