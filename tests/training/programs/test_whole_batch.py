"""Small models run all windows of a batch in one program, with the same result."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.backend import has_gpu
from bptt_keras.training.programs import shards
from bptt_keras.training.programs.whole_batch import SEVERAL
from tests.training.references import assert_same_weights, series

pytestmark = pytest.mark.skipif(has_gpu(), reason="a GPU runs window by window")

IDS = 7
OPTIONS = {
    "resets inside": {"reset": "inside"},
    "update after a sequence": {"update": "sequence"},
    "lengths and weights": {"lengths": True, "weights": True},
    "update": {"update": 2},
    "burn_in": {"burn_in": 2},
    "recompute": {"recompute": "sqrt"},
    "window": {"window": None},
    "skipping": {"optimizer": "skipping"},
    "loss scale": {"optimizer": "loss scale"},
    "learned initial state": {"learn_initial_state": True, "reset": "inside"},
    "two outputs": {"outputs": 2, "update": 2},
    "normalised": {"normalised": True},
}
QUICK = ("resets inside", "update after a sequence")


def fill_no_cores(patch):
    """Lets the size of a model alone decide, as if there were no native kernel."""
    patch.setattr("bptt_keras.training.modes.fills_cores", lambda layers, *, xla: False)


@pytest.fixture
def window_by_window(monkeypatch):
    """Within a call: no model runs in one program."""

    def run(function):
        with monkeypatch.context() as patch:
            fill_no_cores(patch)
            patch.setattr(shards, "_SMALL", dict.fromkeys(shards._SMALL, 0))
            return function()

    return run


def trainer_of(metrics=("accuracy",), window=4, **options):
    keras.utils.set_random_seed(0)
    learns = options.pop("learn_initial_state", False)
    layer = bk.layers.LSTM(5, return_sequences=True, learn_initial_state=learns)
    inputs = keras.Input((None,))
    hidden = layer(keras.layers.Embedding(IDS, 3)(inputs))
    if options.pop("normalised", False):
        hidden = keras.layers.BatchNormalization()(hidden)
    count = options.pop("outputs", 1)
    # The history's keys are the outputs' names, and two trainers are compared.
    outputs = [keras.layers.Dense(IDS, name=f"out_{i}")(hidden) for i in range(count)]
    model = keras.Model(inputs, outputs if count > 1 else outputs[0])
    optimizer = keras.optimizers.SGD(0.5)
    kind = options.pop("optimizer", None)
    if kind == "skipping":
        optimizer = bk.clipping.ClippedOptimizer(optimizer)
    elif kind == "loss scale":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    trainer = bk.TruncatedBPTT(model, window=window, shards=1, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metrics = list(metrics)
    trainer.compile(
        optimizer,
        loss if count == 1 else [loss] * count,
        weighted_metrics=metrics if count == 1 else [metrics] * count,
    )
    return trainer


def ids(rows=3, steps=11):
    """Inputs and the ids that follow; 11 steps are two windows of 4 and one of 3."""
    drawn = np.random.default_rng(0).integers(0, IDS, (rows, steps + 1))
    return drawn[:, :-1].copy(), drawn[:, 1:].copy()


def runs_in_one(trainer, mode="fit"):
    in_one = trainer._engine.setup.modes[mode].windows.in_one
    return in_one is not None and in_one.on


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("plain", {}, marks=pytest.mark.slow),
        *(
            row if row[0] in QUICK else pytest.param(*row, marks=pytest.mark.slow)
            for row in OPTIONS.items()
        ),
    ],
)
@pytest.mark.quick(1)
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
    targets = [y] * options["outputs"] if "outputs" in options else y

    def train():
        trainer = trainer_of(**options)
        history = trainer.fit(
            inputs,
            targets,
            sample_weight=weights,
            validation_data=(x, targets),
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
    for a, b in zip(*map(tf.nest.flatten, (apart[2], in_one[2])), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_its_state_is_carried_from_batch_to_batch(window_by_window):
    x, y = ids(steps=16)

    def train():
        trainer = trainer_of()
        for start, reset in [(0, True), (8, False)]:
            part = {"inputs": x[:, start : start + 8], "reset": np.full(3, reset)}
            trainer.train_on_batch(part, y[:, start : start + 8])
        return trainer

    apart, in_one = window_by_window(train), train()
    assert runs_in_one(in_one)
    assert not runs_in_one(apart)
    assert_same_weights(apart, in_one)
    for a, b in zip(
        tf.nest.flatten(apart.snapshot_state()),
        tf.nest.flatten(in_one.snapshot_state()),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "message", "in_one"),
    [
        ("x", "Ids must lie in the vocab", True),
        ("y", "class labels", True),
        ("x", "Ids must lie in the vocab", False),
        pytest.param("y", "class labels", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_a_bad_window_changes_nothing_nor_does_any_after_it(
    part, message, in_one, window_by_window
):
    def check():
        x, y = ids()
        trainer, expected = trainer_of(), trainer_of()
        expected.train_on_batch(x[:, :4], y[:, :4])
        {"x": x, "y": y}[part][1, 5] = IDS
        with pytest.raises(ValueError, match=message):
            trainer.train_on_batch(x, y)
        assert runs_in_one(trainer) is in_one
        assert_same_weights(trainer, expected)
        assert int(trainer.optimizer.iterations) == 1

    check() if in_one else window_by_window(check)


@pytest.mark.parametrize("in_one", [True, False])
@pytest.mark.quick(1)
def test_a_refused_batch_leaves_state_and_position_unchanged(in_one, window_by_window):
    def check():
        x, y = ids(steps=16)
        trainer = trainer_of(update="sequence")

        def train(start, reset):
            cut = slice(start, start + 8)
            flags = {"reset": np.full(3, reset), "position": np.full(3, start)}
            trainer.train_on_batch({"inputs": x[:, cut], **flags}, y[:, cut])

        train(0, True)
        weights, state = trainer.get_weights(), trainer.snapshot_state()
        y[1, 13] = IDS
        with pytest.raises(ValueError, match="class labels"):
            train(8, False)
        assert runs_in_one(trainer) is in_one
        for a, b in zip(weights, trainer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        tf.nest.map_structure(
            np.testing.assert_array_equal, state, trainer.snapshot_state()
        )
        y[1, 13] = 0
        train(8, False)

    check() if in_one else window_by_window(check)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
@pytest.mark.quick(1)
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
        targets = tf.size(y_true)
        counted = tf.numpy_function(np.float32, [targets], tf.float32)
        self.total.assign_add(tf.reshape(counted, []))

    def result(self):
        return self.total


def test_a_metric_that_does_not_compile_runs_outside():
    x, y = ids()
    trainer = trainer_of(metrics=[Counted()])
    history = trainer.fit(x, y, verbose=0).history
    assert not runs_in_one(trainer)
    assert trainer._engine.setup.modes["fit"].programs.xla
    assert history["counted"] == [y.size]


class Asserting(keras.metrics.MeanMetricWrapper):
    """A metric that stops the training by an assertion, which XLA leaves out."""

    def __init__(self):
        super().__init__(self._value, name="asserting")

    @staticmethod
    def _value(y_true, y_pred):
        tf.debugging.assert_less(tf.reduce_max(y_true), tf.cast(IDS - 1, y_true.dtype))
        return tf.cast(y_true, tf.float32)


@pytest.mark.slow
def test_assertions_of_a_metric_are_kept():
    x, y = ids()
    trainer = trainer_of(metrics=[Asserting()])
    trainer.fit(x, y % 3, verbose=0)
    assert not runs_in_one(trainer)
    y[0, 0] = IDS - 1
    with pytest.raises(tf.errors.InvalidArgumentError):
        trainer.fit(x, y, verbose=0)


@pytest.mark.slow
def test_a_metric_that_picks_timesteps_is_the_same(window_by_window):
    class Picking(keras.metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            picked = tf.boolean_mask(y_true, y_true > 2)
            return super().update_state(tf.cast(picked, tf.float32))

    def train():
        trainer = trainer_of(metrics=[Picking(name="picking")])
        return trainer.fit(*ids(), verbose=0).history["picking"]

    np.testing.assert_allclose(train(), window_by_window(train))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"update": "sequence"}, {}, {"learn_initial_state": True}],
    ids=str,
)
def test_batches_of_unknown_length_run_several_windows_in_one_program(
    options, window_by_window
):
    """One trace serves every length, so one trainer does."""

    def batches(*arrays):
        data = tf.data.Dataset.from_tensors(arrays if len(arrays) > 1 else arrays[0])
        spec = tf.nest.map_structure(
            lambda s: tf.TensorSpec((3, None), s.dtype), data.element_spec
        )
        return tf.data.Dataset.from_generator(lambda: data, output_signature=spec)

    def results(trainer, x, y):
        data = batches(x, y)
        trainer.fit(data, epochs=2, verbose=0)
        return trainer.evaluate(data, verbose=0), trainer.predict(batches(x), verbose=0)

    apart, in_one = trainer_of(**options), trainer_of(**options)
    for steps in (3, 4, 7, 4 * SEVERAL, 4 * SEVERAL + 9):
        x, y = ids(steps=steps)
        expected = window_by_window(functools.partial(results, apart, x, y))
        evaluated, predicted = results(in_one, x, y)
        assert_same_weights(apart, in_one)
        np.testing.assert_allclose(expected[0], evaluated, rtol=1e-5)
        assert predicted.shape == (3, steps, IDS)
        np.testing.assert_allclose(expected[1], predicted, atol=1e-5)
    for use in ("fit", "evaluate", "predict"):
        assert runs_in_one(in_one, use)
        assert not runs_in_one(apart, use)


@pytest.mark.slow
def test_a_bad_window_in_a_batch_of_unknown_length_is_refused():
    x, y = ids(steps=4 * SEVERAL + 9)
    data = tf.data.Dataset.from_generator(
        lambda: iter([(x, y)]),
        output_signature=(tf.TensorSpec((3, None), tf.int64),) * 2,
    )
    for place in (5, 4 * SEVERAL + 5):
        trainer = trainer_of(update="sequence")
        weights = trainer.get_weights()
        y[0, place] = IDS
        with pytest.raises(ValueError, match="class labels"):
            trainer.fit(data, verbose=0)
        assert runs_in_one(trainer)
        for a, b in zip(weights, trainer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        y[0, place] = 0


@pytest.mark.slow
def test_the_summary_says_what_runs(monkeypatch):
    fill_no_cores(monkeypatch)
    monkeypatch.setattr("bptt_keras.training.programs.shards.cores", lambda: 2)
    x, y = series(4, 8)
    words = []
    for units, options in [(4, {}), (4, {"stride": 2}), (600, {})]:
        trainer = bk.TruncatedBPTT(network(units), window=4, **options)
        trainer.compile("sgd", "mse")
        trainer.fit(x, y, verbose=0)
        lines = []
        trainer.summary(print_fn=lines.append)
        words.append("\n".join(lines))
    small, overlapping, large = words
    assert "1: a timestep is little work, one program runs many windows" in small
    for text in (overlapping, large):
        assert "shards  2\n" in text


class Native(bk.layers.LSTM):
    """A layer that says that its kernel uses all cores."""

    def kernel_of(self, *, xla):
        return "native"


@pytest.mark.parametrize("shards_asked", ["auto", 2])
@pytest.mark.quick(1)
def test_layers_that_use_all_cores_run_in_one_program_of_any_size(
    monkeypatch, shards_asked
):
    monkeypatch.setattr("bptt_keras.training.programs.shards.cores", lambda: 2)
    monkeypatch.setattr(shards, "_SMALL", {"fit": 0})
    model = keras.Sequential([Native(4, return_sequences=True), keras.layers.Dense(1)])
    trainer = bk.TruncatedBPTT(model, window=4, shards=shards_asked)
    trainer.compile("sgd", "mse")
    x = np.zeros((4, 8, 1), "float32")
    trainer.fit(x, x, verbose=0)
    mode = trainer._engine.setup.modes["fit"]
    alone = shards_asked == "auto"
    assert mode.programs.shards == (1 if alone else 2)
    assert mode.windows.in_one.on == alone
    reason = "the native kernel uses all cores" if alone else None
    assert mode.why_one_shard == reason


def test_cores_are_filled_only_if_all_recurrent_layers_fill_them():
    native, other = Native(4), keras.layers.LSTM(4)
    assert shards.fills_cores([native, native], xla=True)
    assert not shards.fills_cores([native, other], xla=True)
    assert not shards.fills_cores([], xla=True)


@pytest.mark.parametrize(
    ("rows", "use", "small"),
    [
        (1, "fit", True),
        (9000, "fit", False),
        (3000, "predict", False),
        (None, "fit", 0),
    ],
)
def test_rows_and_weights_say_whether_a_model_is_small(rows, use, small):
    model = trainer_of().model
    # 3 * 20 and 5 * 20 of the LSTM, 5 * 7 of the Dense layer; none of the embedding.
    assert shards._multiplied(model) == 195
    assert shards.is_small(model, rows, use) == small


def test_a_convolution_is_not_small():
    model = keras.Sequential(
        [
            keras.Input((None, 32, 32, 1)),
            keras.layers.ConvLSTM2D(2, 3, return_sequences=True),
        ]
    )
    assert not shards.is_small(model, 1, "fit")


@pytest.mark.parametrize(("size", "in_one"), [(1024, False), (64, True)])
@pytest.mark.quick(1)
def test_the_batch_size_replaces_rows_unknown_to_the_trace(size, in_one, monkeypatch):
    fill_no_cores(monkeypatch)
    x, y = series(2048, 1)
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
