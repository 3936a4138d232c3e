"""Models with several outputs: losses, metrics, targets and weights by name."""

import keras
import numpy as np
import pytest

import bptt_keras as bk

ROWS, STEPS = 4, 12
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, STEPS, 2)).astype("float32")
NEAR = RANDOM.normal(size=(ROWS, STEPS, 1)).astype("float32")
FAR = 5 * RANDOM.normal(size=(ROWS, STEPS, 1)).astype("float32")
BY_NAME = {"near": NEAR, "far": FAR}


def model_of(kind=list):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((None, 2))
    hidden = keras.layers.GRU(3, return_sequences=True)(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(hidden) for name in BY_NAME}
    return keras.Model(inputs, outputs if kind is dict else kind(outputs.values()))


def history_of(trained, y, **compiled):
    trained.compile(keras.optimizers.SGD(0.05), **compiled)
    options = {"batch_size": ROWS, "shuffle": False, "verbose": 0}
    history = trained.fit(X, y, validation_data=(X, y), **options).history
    return {
        name: values
        for name, values in history.items()
        if "loss" in name or "mae" in name
    }


@pytest.mark.parametrize(
    "kind",
    [
        list,
        pytest.param(tuple, marks=pytest.mark.slow),
        pytest.param(dict, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("compiled", "y"),
    [
        ({"loss": "mse"}, BY_NAME),
        ({"loss": {"near": "mse", "far": "mae"}}, BY_NAME),
        ({"loss": {"near": "mse", "far": None}}, BY_NAME),
        (
            {
                "loss": {"near": "mse", "far": "mse"},
                "metrics": {"far": ["mae"]},
                "loss_weights": {"near": 1.0, "far": 0.1},
            },
            BY_NAME,
        ),
    ],
    ids=["one loss", "a loss each", "an output without", "weights and metrics"],
)
@pytest.mark.quick(1)
def test_history_and_weights_are_those_of_keras(kind, compiled, y):
    if kind is not dict and compiled["loss"] == "mse":
        y = list(y.values())
    plain = model_of(kind)
    expected = history_of(plain, y, **compiled)
    model = model_of(kind)
    received = history_of(bk.TruncatedBPTT(model, STEPS), y, **compiled)
    assert set(received) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(received[name], values, rtol=1e-5, err_msg=name)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_targets_may_leave_out_an_output_without_a_loss():
    results = []
    for y in ({"near": NEAR}, BY_NAME):
        trainer = bk.TruncatedBPTT(model_of(dict), 5)
        trainer.compile("sgd", {"near": "mse"})
        results.append(trainer.evaluate(X, y, verbose=0))
        trainer.fit(X, y, verbose=0)
    assert results[0] == pytest.approx(results[1])
    trainer = bk.TruncatedBPTT(model_of(), 5)
    trainer.compile("sgd", {"near": None, "far": "mse"})
    alone = trainer.evaluate(X, [FAR], verbose=0)
    assert alone == pytest.approx(trainer.evaluate(X, BY_NAME, verbose=0))


def test_weights_may_be_for_one_output_only():
    weights = RANDOM.random((ROWS, STEPS)).astype("float32")
    model = model_of()
    trainer = bk.TruncatedBPTT(model, 5)
    trainer.compile("sgd", "mse", weighted_metrics={"far": ["mae"]})
    logs = trainer.evaluate(
        X, BY_NAME, sample_weight={"far": weights}, verbose=0, return_dict=True
    )
    near, far = model.predict(X, verbose=0)
    error = np.abs(far - FAR)[..., 0]
    assert logs["far_mae"] == pytest.approx(np.average(error, weights=weights), 1e-5)
    assert logs["far_loss"] == pytest.approx(
        np.average(error**2, weights=weights), 1e-5
    )
    assert logs["near_loss"] == pytest.approx(np.mean((near - NEAR) ** 2), 1e-5)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ({"near": NEAR}, "targets for each output that has a loss.*'far'"),
        ({"near": NEAR, "other": FAR}, "`y` must have the structure"),
        ([NEAR, FAR, FAR], "`y` must have the structure"),
    ],
    ids=["one is missing", "unknown name", "too many"],
)
@pytest.mark.quick(2)
def test_targets_that_do_not_fit_are_refused_by_name(y, words):
    trainer = bk.TruncatedBPTT(model_of(), 5)
    trainer.compile("sgd", "mse")
    with pytest.raises(ValueError, match=words):
        trainer.fit(X, y, verbose=0)
