"""Options that are set after a trainer was created, and methods that are overridden."""

import keras
import numpy as np
import pytest

import bptt_keras as bk

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 12, 2)).astype("float32")
Y = RANDOM.normal(size=(3, 12, 1)).astype("float32")

CHANGES = {
    "window": 4,
    "stride": 2,
    "update": "sequence",
    "burn_in": 6,
    "recompute": "sqrt",
    "state_noise": 0.5,
    "state_dropout": 0.5,
    "shards": 2,
}


def trainer_of(model=None, **options):
    keras.utils.set_random_seed(2)
    model = model or keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.SimpleRNN(3, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, **{"window": 6, **options})
    trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    return trainer


def trained(trainer):
    trainer.fit(X, Y, shuffle=False, verbose=0)
    return trainer.get_weights()


QUICK = {"window", "burn_in"}


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CHANGES],
)
@pytest.mark.quick(1)
def test_an_option_takes_effect_whenever_it_is_set(name):
    """Before anything ran, and after a batch."""
    value = CHANGES[name]
    expected = trained(trainer_of(**{name: value}))
    early = trainer_of()
    setattr(early, name, value)
    assert early.get_config()[name] == value
    late = trainer_of()
    start = late.get_weights()
    unchanged = trained(late)
    late.set_weights(start)
    setattr(late, name, value)
    noisy = name.startswith("state_")
    for received in (trained(early), trained(late)):
        for a, b in zip(received, expected, strict=True):
            if not noisy:
                np.testing.assert_allclose(a, b, atol=1e-6)
        if noisy:
            assert any((a != b).any() for a, b in zip(received, unchanged, strict=True))


@pytest.mark.slow
def test_a_callback_may_change_the_window_between_epochs():
    class Curriculum(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.window = (3, 6)[epoch]

    changed = trainer_of()
    changed.fit(X, Y, epochs=2, shuffle=False, verbose=0, callbacks=[Curriculum()])
    by_hand = trainer_of(window=3)
    trained(by_hand)
    by_hand.window = 6
    trained(by_hand)
    for a, b in zip(changed.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_the_carried_state_survives_a_change():
    resets, goes_on = np.ones(3, bool), np.zeros(3, bool)
    trainer = trainer_of()
    trainer.train_on_batch({"inputs": X, "reset": resets}, Y)
    before = trainer.snapshot_state()["state"]
    trainer.window, trainer.stride = 4, 2
    after = trainer.snapshot_state()["state"]
    for name, states in before.items():
        for key, value in states.items():
            np.testing.assert_array_equal(after[name][key], value)
    trainer.train_on_batch({"inputs": X, "reset": goes_on}, Y)


@pytest.mark.slow
def test_pending_gradients_are_applied_before_a_change():
    trainer = trainer_of(update=5)
    before = trainer.get_weights()
    trainer.train_on_batch(X, Y)
    trainer.update = "window"
    moved = zip(trainer.get_weights(), before, strict=True)
    assert any((a != b).any() for a, b in moved)


@pytest.mark.slow
def test_xla_can_be_switched_after_a_batch():
    trainer = trainer_of()
    trained(trainer)
    assert trainer.jit_compile is False
    trainer.jit_compile = True
    trained(trainer)
    assert trainer._engine.setup.modes["fit"].programs.xla
    with pytest.raises(ValueError, match="jit_compile"):
        trainer.jit_compile = "always"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("window", 0, ValueError),
        ("stride", 7, ValueError),
        ("update", "never", ValueError),
        ("burn_in", -1, ValueError),
        ("recompute", "all", (TypeError, ValueError)),
        ("shards", 0, ValueError),
        ("state_dropout", 1.5, ValueError),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(name, value, error):
    trainer = trainer_of()
    before = getattr(trainer, name)
    with pytest.raises(error, match="count" if name == "recompute" else name):
        setattr(trainer, name, value)
    assert getattr(trainer, name) == before


@pytest.mark.parametrize("name", ["model", "truncation", "live_metrics"])
def test_options_fixed_at_the_start_are_refused(name):
    trainer = trainer_of()
    with pytest.raises(AttributeError, match=name):
        setattr(trainer, name, getattr(trainer, name))


@pytest.mark.slow
def test_another_optimizer_takes_effect():
    trainer = trainer_of()
    trained(trainer)
    before = trainer.get_weights()
    trainer.optimizer = keras.optimizers.SGD(0.0)
    for a, b in zip(trained(trainer), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    ["train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"],
)
def test_a_step_of_the_model_itself_is_refused_by_name(name):
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    setattr(Own, name, lambda self, *args, **kwargs: None)
    with pytest.raises(ValueError, match=f"`{name}`"):
        bk.TruncatedBPTT(Own(), 5)


def test_a_trainer_may_override_its_steps_but_not_the_loss():
    class Doubled(bk.TruncatedBPTT):
        def train_step(self, data):
            return {**super().train_step(data), "mine": 2.0}

    trainer = Doubled(trainer_of().model, 6)
    trainer.compile("sgd", "mse", jit_compile=False)
    assert trainer.fit(X, Y, verbose=0).history["mine"] == [2.0]

    class Own(bk.TruncatedBPTT):
        def compute_loss(self, *args, **kwargs):
            return 0.0

    with pytest.raises(ValueError, match="compute_loss"):
        Own(trainer_of().model, 6)
