"""What metrics receive: timesteps that count, or whole sequences, or a refusal."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import model_of, series
from tests.training.test_trainer import trainer_of as windowed_trainer

ROWS, STEPS, WINDOW = 4, 12, 5
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, STEPS, 2)).astype("float32")
Y = (RANDOM.random((ROWS, STEPS, 1)) > 0.6).astype("float32")
LENGTHS = np.array([4, 12, 1, 5])
VALID = np.arange(STEPS) < LENGTHS[:, None]
PADDED = {"inputs": X, "lengths": LENGTHS}


class Perplexity(keras.metrics.Metric):
    """exp of the mean cross-entropy, with a Metric's own sums."""

    def __init__(self, name="perplexity"):
        super().__init__(name=name)
        self.total = self.add_variable((), "zeros")
        self.count = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        losses = keras.losses.binary_crossentropy(y_true, y_pred)
        self.total.assign_add(tf.reduce_sum(losses))
        self.count.assign_add(tf.cast(tf.size(losses), tf.float32))

    def result(self):
        return tf.exp(self.total / self.count)


def mean_error(y_true, y_pred):
    """A mean over everything that it sees."""
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


def smoothness(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_pred[:, 1:] - y_pred[:, :-1]))


def last_error(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_pred[:, -1] - y_true[:, -1]))


def all_right(y_true, y_pred):
    right = keras.ops.equal(keras.ops.round(y_pred), y_true)
    return keras.ops.mean(keras.ops.cast(keras.ops.all(right, axis=(1, 2)), "float32"))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.SimpleRNN(4, return_sequences=True),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def trainer_of(model, window=WINDOW, **compiled):
    trainer = bk.TruncatedBPTT(model, window)
    trainer.compile(keras.optimizers.SGD(0.0), "binary_crossentropy", **compiled)
    return trainer


def results(trainer, x=X, y=Y, **options):
    return trainer.evaluate(x, y, verbose=0, return_dict=True, **options)


def stepwise():
    return [
        keras.metrics.BinaryAccuracy(name="accuracy"),
        keras.metrics.TruePositives(name="hits"),
        keras.metrics.Precision(name="precision"),
        keras.metrics.AUC(name="auc", num_thresholds=2000),
        keras.metrics.F1Score(threshold=0.5, name="f1"),
        Perplexity(),
        mean_error,
    ]


def expected(y, p):
    """All of them, of flat targets and outputs."""
    chosen, pairs = p > 0.5, [(a, b) for a in p[y == 1] for b in p[y == 0]]
    hits, recall = np.sum(chosen & (y == 1)), np.mean(chosen[y == 1])
    precision = hits / max(1, chosen.sum())
    return {
        "accuracy": np.mean(chosen == y),
        "hits": hits,
        "precision": precision,
        "auc": np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]),
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "perplexity": np.exp(-np.mean(np.log(np.where(y == 1, p, 1 - p)))),
        "mean_error": np.mean(np.abs(y - p)),
    }


@pytest.mark.parametrize(
    "kind", ["metrics", pytest.param("weighted_metrics", marks=pytest.mark.slow)]
)
def test_every_metric_sees_valid_timesteps_only(model, kind):
    p = model.predict(X, verbose=0)
    wanted = {
        "padded": expected(Y[VALID][:, 0], p[VALID][:, 0]),
        "whole": expected(Y.reshape(-1), p.reshape(-1)),
    }
    metrics = stepwise() if kind == "metrics" else stepwise()[:-1]
    trainer = trainer_of(model, **{kind: metrics})
    for name, x in (("padded", PADDED), ("whole", X), ("padded", PADDED)):
        received = results(trainer, x)
        for metric in metrics:
            key = getattr(metric, "name", "mean_error")
            close = pytest.approx(wanted[name][key], rel=2e-3 if key == "auc" else 1e-5)
            assert np.ravel(received[key])[0] == close, (name, key)


@pytest.mark.slow
def test_fit_reports_them_over_valid_timesteps_too(model):
    p = model.predict(X, verbose=0)[VALID][:, 0]
    wanted = expected(Y[VALID][:, 0], p)
    trainer = trainer_of(model, metrics=stepwise())
    history = trainer.fit(PADDED, Y, batch_size=3, verbose=0).history
    for name, value in wanted.items():
        close = pytest.approx(value, rel=2e-3 if name == "auc" else 1e-5)
        assert np.ravel(history[name][0])[0] == close, name


@pytest.mark.slow
def test_rows_without_a_valid_timestep_count_for_nothing_at_the_end():
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [keras.Input((None, 2)), keras.layers.SimpleRNN(3), keras.layers.Dense(1)]
    )
    trainer = bk.TruncatedBPTT(model, WINDOW)
    trainer.compile("sgd", "mse", metrics=["mae", Counted()])
    x = {"inputs": X, "lengths": np.array([12, 0, 3, 0])}
    p = trainer.predict(x, verbose=0)
    received = results(trainer, x, Y[:, 0])
    kept = np.abs(p - Y[:, 0])[[0, 2]]
    assert float(received["mae"]) == pytest.approx(kept.mean(), rel=1e-5)
    assert received["counted"] == 2


class Counted(keras.metrics.Metric):
    """How many targets it was shown; it knows no weights."""

    def __init__(self):
        super().__init__(name="counted")
        self.count = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(tf.cast(tf.size(y_true), tf.float32))

    def result(self):
        return self.count


@pytest.mark.slow
def test_a_metric_that_looks_along_time_sees_whole_sequences(model):
    p = model.predict(X, verbose=0)
    wanted = {
        "smoothness": np.abs(np.diff(p, axis=1)).mean(),
        "last_error": np.abs(p[:, -1] - Y[:, -1]).mean(),
        "all_right": np.mean((np.round(p) == Y).all((1, 2))),
    }
    metrics = [smoothness, last_error, all_right]
    for window in (WINDOW, STEPS):
        trainer = trainer_of(model, window, metrics=[*metrics, "mae"])
        received = results(trainer)
        history = trainer.fit(X, Y, verbose=0).history
        for name, value in wanted.items():
            assert float(received[name]) == pytest.approx(value, rel=1e-5), name
            assert history[name][0] == pytest.approx(value, rel=1e-5), name
        assert float(received["mae"]) == pytest.approx(np.abs(p - Y).mean(), rel=1e-5)


def test_with_padding_it_is_refused_by_name(model):
    trainer = trainer_of(model, metrics=[smoothness])
    with pytest.raises(ValueError, match="'smoothness' looks along time"):
        results(trainer, PADDED)
    results(trainer)


def test_with_windows_in_pieces_it_is_refused_by_name(model):
    trainer = bk.TruncatedBPTT(model, WINDOW, stride=2)
    trainer.compile("sgd", "mse", metrics=[smoothness])
    with pytest.raises(ValueError, match="smoothness"):
        trainer.fit(X, Y, verbose=0)


@pytest.mark.slow
def test_steps_of_weight_zero_are_in_unweighted_metrics_unless_they_are_missing(model):
    weights = VALID.astype("float32")
    p = model.predict(X, verbose=0)
    trainer = trainer_of(model, metrics=["mae", Counted()])
    received = results(trainer, sample_weight=weights)
    assert float(received["mae"]) == pytest.approx(np.abs(p - Y).mean(), rel=1e-5)
    missing = np.where(VALID[..., None], Y, np.nan)
    data = tf.data.Dataset.from_tensors((X, missing, weights))
    received = trainer.evaluate(data, verbose=0, return_dict=True)
    known = np.abs(p - Y)[VALID].mean()
    assert float(received["mae"]) == pytest.approx(known, rel=1e-5)
    assert received["counted"] == VALID.sum()


def test_padding_after_data_without_any_is_left_out_of_a_custom_metric(model):
    trainer = trainer_of(model, metrics=[Counted()])
    assert results(trainer)["counted"] == Y.size
    assert results(trainer, PADDED)["counted"] == VALID.sum()
    assert results(trainer)["counted"] == Y.size


def test_metrics_that_need_rows_and_classes_get_them():
    x, _ = series(4, 10)
    labels = np.eye(3, dtype="float32")[
        np.random.default_rng(0).integers(0, 3, (4, 10))
    ]
    model = model_of(bk.layers.LSTM, outputs=3)
    model.add(keras.layers.Softmax())
    trainer = windowed_trainer(
        model,
        4,
        optimizer=keras.optimizers.SGD(0.0),
        loss="categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average="macro"), keras.metrics.AUC()],
    )
    results = trainer.evaluate(x, labels, verbose=0, return_dict=True)
    f1 = keras.metrics.F1Score(average="macro")
    f1.update_state(labels.reshape(-1, 3), model(x).numpy().reshape(-1, 3))
    np.testing.assert_allclose(results["f1_score"], f1.result(), rtol=1e-5)
