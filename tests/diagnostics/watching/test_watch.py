"""`TrainingWatch` in `fit`: what it finds, when, and how it says so."""

import json
import math

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.diagnostics import (
    Activity,
    GradientFlow,
    Look,
    TruncationBias,
    read_looks,
)
from bptt_keras.diagnostics.watching.looks import write_looks
from tests.diagnostics.test_gradient_flow import data, two_outputs, untimed
from tests.training.influence import OPTIMUM, trainer_of


def trainer_for(layer=None, window=10, optimizer=None, **options):
    keras.utils.set_random_seed(0)
    layer = layer or bk.layers.GRU(3, return_sequences=True, name="memory")
    model = keras.Sequential(
        [keras.layers.Input((None, 2)), layer, keras.layers.Dense(1)]
    )
    trainer = bk.TruncatedBPTT(model, window=window, **options)
    optimizer = optimizer or keras.optimizers.SGD(1e-3)
    trainer.compile(optimizer, "mse", jit_compile=False)
    return trainer


def watched(trainer, *, epochs=1, sample=None, outputs=1, **options):
    """What a watch said in a `fit`, and the watch."""
    said = []
    x, y = data()
    watch = bk.callbacks.TrainingWatch(
        (x, y) if sample is None else sample, print_fn=said.append, **options
    )
    targets = y if outputs == 1 else [y] * outputs
    trainer.fit(x, targets, epochs=epochs, verbose=0, callbacks=[watch])
    return "".join(said), watch


def kinds(look):
    return [finding.kind for finding in look.findings]


def test_influence_balancing_is_flagged_before_the_loss_blows_up():
    trainer, said = trainer_of(10, 1e-3), []
    sample = np.zeros((1, 400, 1), "float32")
    watch = bk.callbacks.TrainingWatch(
        (sample, np.ones_like(sample)), print_fn=said.append
    )
    x = np.zeros((1, 40_000, 1), "float32")
    history = trainer.fit(
        x, np.ones_like(x), epochs=2, verbose=0, callbacks=[watch]
    ).history
    assert "at the start, warning (wrong way): Windows up to 10" in "".join(said)
    assert "raises the loss" in "".join(said)
    # And so it is: theta leaves for good, and the loss follows.
    assert not abs(float(trainer.model.trainable_variables[0]) - OPTIMUM) < 1
    assert not history["loss"][-1] < 1e3


@pytest.mark.slow
def test_a_window_that_is_long_enough_is_not_flagged():
    trainer = trainer_of(200, 1e-3)
    sample = np.zeros((1, 400, 1), "float32")
    watch = bk.callbacks.TrainingWatch(
        (sample, np.ones_like(sample)), print_fn=lambda words: None
    )
    x = np.zeros((1, 400, 1), "float32")
    trainer.fit(x, np.ones_like(x), verbose=0, callbacks=[watch])
    assert all("wrong way" not in kinds(look) for look in watch.looks)


def exploding():
    return bk.layers.SimpleRNN(
        4,
        activation="linear",
        recurrent_initializer=keras.initializers.Identity(1.4),
        return_sequences=True,
    )


def test_exploding_gradients_are_reported_before_training():
    said, _ = watched(trainer_for(exploding(), optimizer=keras.optimizers.SGD(1e-12)))
    assert "\nat the start, warning (exploding): Gradients explode" in said


def test_saturated_gates_and_dead_states_are_reported():
    stuck = bk.layers.LSTM(
        3, return_sequences=True, bias_initializer=keras.initializers.Constant(-9)
    )
    said, watch = watched(trainer_for(stuck))
    assert "warning (saturated): Saturated in half of the units or more: i of" in said
    assert "warning (dead)" in said and "of the state never changes" in said


@pytest.mark.slow
def test_clipping_that_always_or_never_happens_is_reported():
    often = keras.optimizers.SGD(1e-3, global_clipnorm=1e-6)
    seldom = bk.clipping.ClippedOptimizer(
        keras.optimizers.SGD(1e-3), bk.clipping.GlobalNorm(1e6)
    )
    for optimizer, kind in ((often, "clips always"), (seldom, "clips never")):
        said, watch = watched(trainer_for(optimizer=optimizer))
        assert kind in kinds(watch.looks[1])
        assert f"after epoch 1, note ({kind})" in said


@pytest.mark.slow
def test_a_window_far_beyond_the_horizon_is_reported():
    short = bk.layers.SimpleRNN(
        3,
        recurrent_initializer=keras.initializers.Identity(0.1),
        return_sequences=True,
    )
    said, watch = watched(trainer_for(short, window=30))
    words = "after epoch 1, note (window too long): The window of 30 timesteps is far"
    assert words in said
    # What a shorter one is worth was measured beside it.
    shorter, *others = watch.looks[1].bias.windows
    assert shorter < 15 and others == [30, 40]
    assert f"One of {shorter} is off by 0." in said
    assert "after epoch 1, note (vanishing): Gradients vanish" in said
    assert watch.looks[0].findings == []


@pytest.mark.slow
def test_nothing_is_said_about_windows_before_training():
    _, watch = watched(trainer_for(window=2))
    assert watch.looks[0].findings == [] and watch.looks[0].bias is not None
    assert {"vanishing", "window too short"} <= set(kinds(watch.looks[1]))


@pytest.mark.slow
def test_a_fit_that_resumes_may_report_on_windows_immediately():
    x, y = data()
    said = []
    watch = bk.callbacks.TrainingWatch((x, y), print_fn=said.append)
    trainer_for(window=2).fit(
        x, y, initial_epoch=3, epochs=4, verbose=0, callbacks=[watch]
    )
    assert watch.looks[0].epoch == 3
    assert "\nafter epoch 3, note (window too short): The window of 2" in said[1]
    assert "at the start" not in "".join(said)


def test_an_inaccurate_window_is_reported_with_its_bias(monkeypatch):
    bias = TruncationBias([10, 40], [0.9, 1], [0.9, 1])
    monkeypatch.setattr(bk.callbacks.TrainingWatch, "_bias", lambda *args: bias)
    said, watch = watched(trainer_for())
    assert "\nafter epoch 1, note (biased): A window of 10 is off by 44 %" in said
    assert "biased" not in kinds(watch.looks[0])


def test_a_finding_that_no_longer_holds_is_retracted(monkeypatch):
    flows = iter([[1.0] * 40, [1.0] * 40, [0.5**k for k in range(40)]])

    def prepared(*args, **kwargs):
        def measure():
            return GradientFlow(next(flows))

        measure.ends = False
        return measure

    monkeypatch.setattr("bptt_keras.diagnostics.watching.watch.prepare_flow", prepared)
    monkeypatch.setattr(bk.callbacks.TrainingWatch, "_bias", lambda *args: None)
    said, _ = watched(trainer_for(), epochs=2)
    assert "after epoch 1, note (window too short): The window of 10" in said
    assert "\nafter epoch 2, no longer (window too short): Gradients vanish" in said


@pytest.mark.slow
def test_it_looks_before_training_and_every_few_epochs():
    _, watch = watched(trainer_for(), epochs=5, every=2)
    # The last epoch is looked at in any case.
    assert [look.epoch for look in watch.looks] == [0, 2, 4, 5]
    assert watch.looks[0].logs == {}
    assert watch.looks[1].logs["loss"] > 0
    flows = [look.flow.norms for look in watch.looks]
    assert all(len(norms) == 39 for norms in flows)
    assert not np.allclose(flows[0], flows[2])
    assert [look.bias.windows.tolist() for look in watch.looks] == [[10, 40]] * 4


@pytest.mark.slow
def test_its_looks_equal_what_the_functions_measure():
    trainer = trainer_for()
    _, watch = watched(trainer, longest=12)
    x, y = data()
    look = watch.looks[-1]
    flow = bk.diagnostics.gradient_flow(trainer, (x, y), longest=12)
    np.testing.assert_allclose(look.flow.norms, flow.norms, rtol=1e-5)
    bias = bk.diagnostics.truncation_bias(trainer, (x, y), [10], cost=False)
    np.testing.assert_allclose(look.bias.cosine, bias.cosine, rtol=1e-5)


@pytest.mark.slow
def test_a_kind_is_reported_once_while_it_lasts():
    said, watch = watched(trainer_for(window=40), epochs=3)
    assert all("vanishing" in kinds(look) for look in watch.looks[1:])
    assert said.count("(vanishing)") == 1


def test_a_kind_that_comes_back_is_reported_again(monkeypatch):
    flows = iter([[1.0] * 40, [0.5**k for k in range(40)], [1.0] * 40] * 2)

    def prepared(*args, **kwargs):
        def measure():
            return GradientFlow(next(flows))

        measure.ends = False
        return measure

    monkeypatch.setattr("bptt_keras.diagnostics.watching.watch.prepare_flow", prepared)
    said, _ = watched(trainer_for(window=60), epochs=4)
    assert said.count("note (vanishing)") == 2


@pytest.mark.slow
def test_a_model_without_weights_is_looked_at_after_its_first_batch():
    model = keras.Sequential(
        [bk.layers.GRU(3, return_sequences=True), keras.layers.Dense(1)]
    )
    trainer = bk.TruncatedBPTT(model, window=10)
    trainer.compile("sgd", "mse")
    _, watch = watched(trainer)
    assert [look.epoch for look in watch.looks] == [0, 1]


def test_training_is_the_same_with_a_watch():
    x, y = data()
    weights = []
    for with_watch in (False, True):
        trainer = trainer_for()
        watch = bk.callbacks.TrainingWatch((x, y), print_fn=lambda words: None)
        trainer.fit(x, y, epochs=2, verbose=0, callbacks=[watch] if with_watch else [])
        weights.append(trainer.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_full_backpropagation_and_long_windows_have_no_bias_to_measure():
    for window in (None, 100):
        _, watch = watched(trainer_for(window=window))
        assert all(look.bias is None for look in watch.looks)


@pytest.mark.slow
def test_overlapping_windows_have_no_bias_to_measure():
    trainer = trainer_of(60, 1e-3, stride=1)
    x = np.zeros((1, 400, 1), "float32")
    watch = bk.callbacks.TrainingWatch((x, np.ones_like(x)), print_fn=lambda w: None)
    trainer.fit(x[:, :80], np.ones((1, 80, 1)), verbose=0, callbacks=[watch])
    assert all("wrong way" not in kinds(look) for look in watch.looks)


@pytest.mark.slow
def test_an_adaptive_window_is_judged_as_it_is_now():
    schedule = bk.truncation.AdaptiveWindow(20, longest=30, tolerance=0.5, multiple=1)
    _, watch = watched(trainer_for(window=schedule), epochs=2)
    assert watch.looks[0].bias.windows[0] == 20
    assert schedule.window != 20
    assert watch.looks[-1].bias.windows[0] == schedule.window


@pytest.mark.slow
def test_a_stream_is_joined_until_the_window_can_be_judged():
    series = np.random.default_rng(0).normal(size=(2 * 600, 2)).astype("float32")
    stream = bk.data.streams(series, batch_size=2, window=128, targets=series[:, :1])
    trainer = trainer_for(window=128)
    watch = bk.callbacks.TrainingWatch(stream, print_fn=lambda words: None)
    trainer.fit(stream, verbose=0, callbacks=[watch])
    assert watch.looks[0].bias.windows.tolist() == [128, 384]


def test_data_no_longer_than_the_window_is_reported():
    said, watch = watched(trainer_for(window=40))
    assert "(not judged): The data are 40 timesteps long and the window is 40" in said


@pytest.mark.slow
def test_a_training_run_that_resumes_keeps_its_looks():
    x, y = data()
    trainer = trainer_for()
    watch = bk.callbacks.TrainingWatch((x, y), print_fn=lambda words: None)
    trainer.fit(x, y, epochs=2, verbose=0, callbacks=[watch])
    trainer.fit(x, y, initial_epoch=2, epochs=3, verbose=0, callbacks=[watch])
    assert [look.epoch for look in watch.looks] == [0, 1, 2, 3]
    trainer.fit(x, y, verbose=0, callbacks=[watch])
    assert [look.epoch for look in watch.looks] == [0, 1]


@pytest.mark.slow
def test_metrics_of_several_numbers_are_left_out():
    trainer = trainer_for()
    trainer.compile("sgd", "mse", metrics=[keras.metrics.F1Score()], jit_compile=False)
    _, watch = watched(trainer)
    assert "f1_score" not in watch.looks[-1].logs


def test_a_plain_keras_model_is_watched_too():
    x, y = data()
    model = trainer_for().model
    model.compile("sgd", "mse")
    watch = bk.callbacks.TrainingWatch((x, y), print_fn=lambda words: None)
    model.fit(x, y, verbose=0, callbacks=[watch])
    assert [look.epoch for look in watch.looks] == [0, 1]


def test_looks_are_kept_in_a_file_and_read_again(tmp_path):
    path = tmp_path / "new" / "looks.json"
    stuck = bk.layers.LSTM(
        3, return_sequences=True, bias_initializer=keras.initializers.Constant(-9)
    )
    _, watch = watched(trainer_for(stuck), epochs=2, path=path)
    json.loads(path.read_text(), parse_constant=pytest.fail)
    assert [p.name for p in path.parent.iterdir()] == ["looks.json"]
    for read, seen in zip(read_looks(path), watch.looks, strict=True):
        assert read.epoch == seen.epoch and read.findings == seen.findings
        assert read.logs.keys() == seen.logs.keys()
        for name, value in seen.logs.items():
            finite = math.isfinite(value)
            assert read.logs[name] == pytest.approx(value, rel=1e-5) or not finite
        finite = np.isfinite(seen.flow.norms)
        np.testing.assert_allclose(
            read.flow.norms[finite], seen.flow.norms[finite], rtol=1e-5
        )
        assert read.activity.verdict() == seen.activity.verdict()


def test_overflow_is_null_in_the_file(tmp_path):
    flow = GradientFlow([1.0, math.inf, math.nan])
    look = Look(1, flow, None, Activity({}), {"loss": math.nan}, [])
    write_looks(tmp_path / "looks.json", [look])
    text = (tmp_path / "looks.json").read_text()
    json.loads(text, parse_constant=pytest.fail)
    (read,) = read_looks(tmp_path / "looks.json")
    assert math.isnan(read.logs["loss"]) and read.flow.kind() == "not finite"


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"epoch": 1}]', "[" * 100_000, "[[[[]]]]"]
)
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    if text == "{}":
        assert read_looks(path) == []
        return
    with pytest.raises(ValueError, match="no file that `TrainingWatch"):
        read_looks(path)


@pytest.mark.parametrize(
    ("model", "sample", "message"),
    [
        (untimed, None, "no state"),
        (two_outputs, None, "one output|takes one loss"),
        (None, (data()[0][:, :2], data()[1][:, :2]), "at least 2"),
    ],
)
def test_what_cannot_be_diagnosed_is_refused_before_training(model, sample, message):
    trainer = trainer_for()
    if model is not None:
        trainer = bk.TruncatedBPTT(model(), window=10)
        trainer.compile("sgd", ["mse", "mse"] if model is two_outputs else "mse")
    with pytest.raises(ValueError, match=message):
        watched(trainer, sample=sample, outputs=2 if model is two_outputs else 1)


def test_every_must_be_a_number_of_epochs():
    with pytest.raises(ValueError, match="at least 1 epochs"):
        bk.callbacks.TrainingWatch(data(), every=0)


@pytest.mark.slow
def test_a_training_with_dropout_ends_as_without_a_watch():
    x = np.random.default_rng(0).normal(size=(4, 40, 2)).astype("float32")
    weights = []
    for callbacks in (
        [],
        [bk.callbacks.TrainingWatch((x, x), print_fn=lambda text: None)],
    ):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.layers.Input((None, 2)),
                bk.layers.GRU(3, return_sequences=True, dropout=0.5),
                keras.layers.Dense(2),
            ]
        )
        trainer = bk.TruncatedBPTT(model, window=10)
        trainer.compile("adam", "mse")
        trainer.fit(x, x, epochs=2, verbose=0, callbacks=callbacks)
        weights.append([v.numpy() for v in trainer.weights])
    for without, watched in zip(*weights, strict=True):
        np.testing.assert_array_equal(watched, without)
