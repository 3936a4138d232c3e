"""Metrics of training in the logs of `fit`: their names and their values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training.measures.live import Throughput

NAMES = {
    "grad_norm",
    "clipped_norm",
    "clipped_fraction",
    "update_ratio",
    "state_norm",
    "timesteps_per_second",
    "skipped_windows",
}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def trainer_of(optimizer, window=5, **options):
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.LSTM(3, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=window, **options)
    trainer.compile(optimizer, loss="mse")
    return trainer


def data(steps=20, rows=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, steps, 2)).astype("float32")
    return x, (3 * x[..., :1]).astype("float32")


def by_hand(x, y, window, rate, clip):
    """The five means, from a plain loop with a tape."""
    trainer = trainer_of(keras.optimizers.SGD(rate))
    model = trainer.model
    lstm, dense = model.layers
    seen = []
    h = c = tf.zeros((len(x), 3))
    for start in range(0, x.shape[1], window):
        part = slice(start, start + window)
        before = [np.asarray(v) for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            out, h_next, c_next = keras.layers.LSTM.call(
                _returning_state(lstm), x[:, part], initial_state=[h, c]
            )
            loss = tf.reduce_mean((dense(out) - y[:, part]) ** 2)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        norm = float(tf.linalg.global_norm(gradients))
        factor = min(1.0, clip / norm)
        steps = [rate * factor * np.asarray(g) for g in gradients]
        for variable, value, step in zip(
            model.trainable_variables, before, steps, strict=True
        ):
            variable.assign(value - step)
        h, c = h_next, c_next
        rows = np.concatenate([h, c], axis=1)
        seen.append(
            {
                "grad_norm": norm,
                "clipped_norm": norm * factor,
                "clipped_fraction": float(factor < 1),
                "update_ratio": _length(steps) / _length(before),
                "state_norm": np.linalg.norm(rows, axis=1).mean(),
            }
        )
    return {name: np.mean([s[name] for s in seen]) for name in seen[0]}


def _returning_state(lstm):
    layer = keras.layers.LSTM(3, return_sequences=True, return_state=True)
    layer.cell = lstm.cell
    layer.built = True
    return layer


def _length(arrays):
    return np.sqrt(sum((a**2).sum() for a in arrays))


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.quick(1)
def test_the_means_are_those_of_a_plain_loop(jit_compile, shards):
    x, y = data()
    expected = by_hand(x, y, window=5, rate=0.1, clip=2.0)
    assert 0 < expected["clipped_fraction"] < 1
    trainer = trainer_of(keras.optimizers.SGD(0.1, global_clipnorm=2.0), shards=shards)
    trainer.jit_compile = jit_compile
    trainer.compile(trainer.optimizer, loss="mse", jit_compile=jit_compile)
    history = trainer.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    for name, value in expected.items():
        np.testing.assert_allclose(history[name][0], value, rtol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "rule"),
    [
        ({"clipnorm": 0.2}, bk.clipping.VariableNorm(0.2)),
        slow({"clipvalue": 0.05}, bk.clipping.Value(0.05)),
        slow({"global_clipnorm": 0.5}, bk.clipping.GlobalNorm(0.5)),
    ],
)
def test_clipping_by_keras_and_by_a_rule_is_logged_alike(own, rule):
    x, y = data()
    histories = [
        trainer_of(optimizer).fit(x, y, shuffle=False, verbose=0).history
        for optimizer in (
            keras.optimizers.SGD(0.1, **own),
            bk.clipping.ClippedOptimizer(keras.optimizers.SGD(0.1), rule),
        )
    ]
    first, second = histories
    assert first["clipped_norm"][0] < 0.9 * first["grad_norm"][0]
    for name in NAMES - {"timesteps_per_second"}:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("update", ["sequence", 3])
@pytest.mark.quick(1)
def test_updates_over_several_windows_are_counted_as_one(update):
    x, y = data()
    trainer = trainer_of(keras.optimizers.SGD(0.1, global_clipnorm=1e-3), update=update)
    history = trainer.fit(x, y, batch_size=2, verbose=0).history
    assert set(history) >= NAMES
    assert history["clipped_fraction"] == [1.0]
    # The weights hardly move, so the states are those of a window at a time.
    window_by_window = trainer_of(keras.optimizers.SGD(0.1, global_clipnorm=1e-3))
    other = window_by_window.fit(x, y, batch_size=2, verbose=0).history
    np.testing.assert_allclose(history["state_norm"], other["state_norm"], rtol=1e-2)
    np.testing.assert_allclose(history["clipped_norm"], [1e-3], rtol=1e-5)


@pytest.mark.slow
def test_a_growing_loss_scale_is_removed_from_the_norm():
    x, y = data()
    norms = [
        trainer_of(optimizer).fit(x, y, shuffle=False, verbose=0).history["grad_norm"]
        for optimizer in (
            keras.optimizers.SGD(0.0),
            keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(0.0), initial_scale=4.0, dynamic_growth_steps=1
            ),
        )
    ]
    np.testing.assert_allclose(norms[0], norms[1], rtol=1e-5)


def test_an_epoch_forgets_the_previous_one():
    x, y = data()
    trainer = trainer_of(keras.optimizers.SGD(0.0))
    history = trainer.fit(x, y, epochs=3, shuffle=False, verbose=0).history
    for name in NAMES - {"timesteps_per_second"}:
        np.testing.assert_allclose(history[name], history[name][0], rtol=1e-6)


@pytest.mark.slow
def test_evaluation_does_not_report_training_metrics(tmp_path):
    x, y = data()
    trainer = trainer_of("sgd")
    history = trainer.fit(
        x,
        y,
        validation_data=(x, y),
        verbose=0,
        callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")],
    ).history
    assert set(history) == NAMES | {"loss", "val_loss"}
    header = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert set(header) == NAMES | {"epoch", "loss", "val_loss"}
    assert set(trainer.evaluate(x, y, verbose=0, return_dict=True)) == {"loss"}


def test_tensorboard_and_the_progress_bar_show_them(tmp_path, capsys):
    x, y = data()
    board = keras.callbacks.TensorBoard(tmp_path, update_freq="epoch")
    trainer_of("sgd").fit(x, y, verbose=2, callbacks=[board])
    printed = capsys.readouterr().out
    events = b"".join(p.read_bytes() for p in tmp_path.rglob("*tfevents*"))
    for name in NAMES:
        assert f"{name}: " in printed
        assert f"epoch_{name}".encode() in events


@pytest.mark.parametrize("optimizer", ["sgd", "clipped"])
@pytest.mark.quick(1)
def test_switched_off_the_logs_have_only_losses_and_metrics(optimizer):
    if optimizer == "clipped":
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.SGD())
    x, y = data()
    trainer = trainer_of(optimizer, live_metrics=False)
    history = trainer.fit(x, y, validation_data=(x, y), verbose=0).history
    assert set(history) == {"loss", "val_loss"}
    again = bk.TruncatedBPTT.from_config(trainer.get_config())
    assert again.live_metrics is False


def test_a_switch_must_be_on_or_off():
    with pytest.raises(TypeError, match="True or False.*live_metrics=1"):
        trainer_of("sgd", live_metrics=1)


def test_throughput_leaves_the_first_batch_out_if_there_are_others():
    metric = Throughput()
    assert float(metric.result()) == 0.0
    now = float(tf.timestamp())
    metric.update_state(1000, now - 100)
    # One batch alone: from its start.
    assert float(metric.result()) == pytest.approx(10, rel=0.01)
    metric._kept.assign([now - 100, now - 2, 1000, 1])
    metric.update_state(500, now - 1)
    assert float(metric.result()) == pytest.approx(250, rel=0.05)
    metric.update_state(500, now)
    assert float(metric.result()) == pytest.approx(500, rel=0.05)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_a_model_without_state_has_a_state_norm_of_zero():
    model = keras.Sequential([keras.layers.Input((None, 2)), keras.layers.Dense(1)])
    trainer = bk.TruncatedBPTT(model, window=5)
    trainer.compile("sgd", loss="mse")
    assert trainer.fit(*data(), verbose=0).history["state_norm"] == [0.0]
