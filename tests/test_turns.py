"""Several threads: states are not mixed, or the call is refused."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

ROWS, STEPS, WINDOW = 2, 120, 10


def model_of():
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.layers.Input((None, 3)),
            bk.layers.LSTM(5, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )


def trainer_of(model):
    """Its weights stay as they are: what is left is the state."""
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(keras.optimizers.SGD(0.0), "mse")
    return trainer


def series(seed):
    x = np.random.default_rng(seed).normal(size=(ROWS, STEPS, 3)).astype("float32")
    return x, x[..., :1]


def trained(trainer, seed):
    """The losses of two epochs on a stream, and the state at its end."""
    x, y = series(seed)
    batches = [
        (
            {"inputs": x[:, at : at + 20], "reset": np.full(ROWS, at == 0)},
            y[:, at : at + 20],
        )
        for at in range(0, STEPS, 20)
    ]
    trainer.reset_metrics()
    losses = [
        float(trainer.train_on_batch(*batch, return_dict=True)["loss"])
        for batch in 2 * batches
    ]
    return losses, trainer.snapshot_state()["state"]


def require_same(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    states = tf.nest.flatten(found[1]), tf.nest.flatten(expected[1])
    for a, b in zip(*states, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def stepped(step, seed):
    """The outputs of a model, step by step."""
    x, _ = series(seed)
    state, outputs = None, []
    for at in range(0, STEPS, 5):
        y, state = step(x[:, at : at + 5], state)
        outputs.append(np.asarray(y))
    return outputs, state


def test_trainers_and_steps_of_one_model_keep_their_states_apart():
    model = model_of()
    trainers = [trainer_of(model) for _ in range(2)]
    step = bk.PureStep(model)
    expected = [trained(t, seed) for seed, t in enumerate(trainers)]
    outputs = [stepped(step, seed) for seed in (2, 3)]
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            trainings = [
                pool.submit(trained, t, seed) for seed, t in enumerate(trainers)
            ]
            passes = [pool.submit(stepped, step, seed) for seed in (2, 3)]
            for found, wanted in zip(trainings, expected, strict=True):
                require_same(found.result(), wanted)
            for found, wanted in zip(passes, outputs, strict=True):
                np.testing.assert_allclose(found.result()[0], wanted[0], atol=1e-6)


class Waits(keras.callbacks.Callback):
    """Keeps a `fit` at its first batch until it may go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def on_train_batch_end(self, batch, logs=None):
        self.begun.set()
        assert self.go_on.wait(60)


CALLS = {
    "fit": lambda t, x, y: t.fit(x, y, verbose=0),
    "evaluate": lambda t, x, y: t.evaluate(x, y, verbose=0),
    "predict": lambda t, x, y: t.predict(x, verbose=0),
    "train_on_batch": lambda t, x, y: t.train_on_batch(x, y),
    "test_on_batch": lambda t, x, y: t.test_on_batch(x, y),
    "predict_on_batch": lambda t, x, y: t.predict_on_batch(x),
}


def test_a_trainer_that_trains_is_not_for_other_threads():
    trainer, (x, y), waits = trainer_of(model_of()), series(0), Waits()
    alone = trainer.fit(x, y, verbose=0).history["loss"]
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(trainer.fit, x, y, verbose=0, callbacks=[waits])
        assert waits.begun.wait(60)
        try:
            for name, call in CALLS.items():
                message = f"busy with `fit` in another thread.*Received: `{name}`"
                with pytest.raises(RuntimeError, match=message):
                    call(trainer, x, y)
        finally:
            waits.go_on.set()
        assert fit.result().history["loss"] == pytest.approx(alone)
    # And now it is free.
    trainer.evaluate(x, y, verbose=0)


def test_predictions_of_several_threads_take_turns():
    trainer = trainer_of(model_of())
    expected = [trainer.predict(series(seed)[0], verbose=0) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda s: trainer.predict(series(s)[0], verbose=0), range(4))
        )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_callback_may_use_the_trainer_within_its_fit():
    trainer, (x, y) = trainer_of(model_of()), series(0)
    seen = []

    def predict(epoch, logs):
        seen.append(trainer.predict(x, verbose=0))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=predict)
    trainer.fit(x, y, verbose=0, callbacks=[callback])
    assert len(seen) == 1


def test_a_call_that_fails_gives_its_turn_back():
    trainer, (x, y) = trainer_of(model_of()), series(0)
    with pytest.raises(ValueError):
        trainer.fit(x[:, :, 0, None, None], y, verbose=0)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(trainer.evaluate, x, y, verbose=0).result()


def test_turns_are_not_copied():
    turns = bk.TruncatedBPTT(model_of(), window=5)._turns
    turns.begin("fit")
    other = copy.deepcopy(turns)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(other.begin, "fit").result()
