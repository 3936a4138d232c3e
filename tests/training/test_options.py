"""Every option of the trainer changes the result or what runs, or raises an error."""

import inspect

import keras
import numpy as np
import pytest

import bptt_keras as bk
from tests.training.references import assert_same_weights, model_of, series

# Options that change what is learnt, each with a value of its own.
CHANGES = {
    "window": {"window": 5},
    "window, no cut": {"window": None},
    "window, random": {"window": bk.truncation.VariableWindow(4, seed=1)},
    "window, randomised": {"window": bk.truncation.ARTBP(3, seed=1)},
    "window, adaptive": {"window": bk.truncation.AdaptiveWindow(5)},
    "stride": {"stride": 1},
    "update": {"update": "sequence"},
    "update, number": {"update": 2},
    "burn_in": {"burn_in": 3},
    "state_noise": {"state_noise": 0.5},
    "state_dropout": {"state_dropout": 0.5},
}
# Options that change how it is computed and not what; and what the summary then says.
SAME_RESULT = {
    "recompute": ({"recompute": "sqrt"}, "states are computed once more (sqrt)"),
    "recompute, number": ({"recompute": 3}, "states are computed once more (3)"),
    "recompute, revolve": (
        {"recompute": bk.truncation.Revolve(2)},
        "states are computed once more (Revolve",
    ),
    "shards": ({"shards": 2}, "shards  2"),
    "live_metrics": ({"live_metrics": False}, "losses and metrics alone"),
    "skip_nonfinite": (
        {"skip_nonfinite": False},
        "updates that are not finite are applied",
    ),
    "jit_compile": ({"jit_compile": True}, "XLA     on"),
}
KERAS = {"model", "kwargs"}
X, Y = series(4, 12)


def trained(seed=1, **options):
    keras.utils.set_random_seed(seed)
    model = model_of(bk.layers.LSTM)
    options = {"window": 4, "shards": 1, "jit_compile": False} | options
    jit_compile = options.pop("jit_compile")
    trainer = bk.TruncatedBPTT(model, **options)
    trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=jit_compile)
    trainer.train_on_batch(X, Y)
    return trainer


@pytest.fixture(scope="module")
def plain():
    return trained()


def test_each_option_has_a_row_here():
    options = set(inspect.signature(bk.TruncatedBPTT.__init__).parameters) - {"self"}
    rows = {name.split(",")[0] for name in [*CHANGES, *SAME_RESULT]} - {"jit_compile"}
    assert rows == options - KERAS


def cases(names, *quick):
    """Names of options, those that are not quick marked as slow."""
    slow = pytest.mark.slow
    return [n if n in quick else pytest.param(n, marks=slow) for n in names]


@pytest.mark.parametrize(
    "name",
    cases(
        CHANGES,
        *("update", "burn_in", "state_noise", "state_dropout"),
    ),
)
def test_it_changes_the_result(name, plain):
    other = trained(**CHANGES[name])
    changes = [
        np.abs(a - b).max()
        for a, b in zip(
            plain.model.get_weights(), other.model.get_weights(), strict=True
        )
    ]
    assert max(changes) > 1e-4


@pytest.mark.parametrize(
    "name",
    cases(SAME_RESULT, "recompute, revolve", "shards", "live_metrics", "jit_compile"),
)
def test_it_changes_what_runs_and_not_the_result(name, plain):
    options, line = SAME_RESULT[name]
    other = trained(**options)
    # Sums in another order.
    assert_same_weights(plain.model, other.model, atol=3e-6)
    assert line in summary(other) and line not in summary(plain)


def summary(trainer):
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)


@pytest.mark.parametrize(
    "name",
    cases(
        [*CHANGES, "recompute, revolve"],
        *("stride", "window, random", "update, number", "recompute, revolve"),
    ),
)
@pytest.mark.quick(1)
def test_it_survives_saving(name, tmp_path):
    options = CHANGES.get(name) or SAME_RESULT[name][0]
    trainer = trained(**options)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.models.load_model(tmp_path / "trainer.keras")
    ours = set(inspect.signature(bk.TruncatedBPTT.__init__).parameters)
    ours -= {"self", *KERAS}
    saved, read = trainer.get_config(), loaded.get_config()
    assert {key: read[key] for key in ours} == {key: saved[key] for key in ours}
    assert type(loaded.truncation) is type(trainer.truncation)


REFUSED = {
    "a stride beside a schedule": (
        {"window": bk.truncation.ARTBP(3), "stride": 2},
        "`stride`",
    ),
    "a stride without a window": ({"window": None, "stride": 2}, "`stride`"),
    "a stride above the window": ({"stride": 5}, "`stride`"),
    "a window of 0": ({"window": 0}, "`window`"),
    "no update": ({"update": 0}, "`update`"),
    "an unknown update": ({"update": "epoch"}, "`update`"),
    "an update of True": ({"update": True}, "`update`"),
    "a negative burn-in": ({"burn_in": -1}, "`burn_in`"),
    "a burn-in of half a step": ({"burn_in": 0.5}, "`burn_in`"),
    "an unknown recomputation": ({"recompute": "log"}, "`count`"),
    "no segments": ({"recompute": 0}, "`count`"),
    "recomputed random windows": (
        {"recompute": 2, "window": bk.truncation.VariableWindow(9)},
        "`recompute`",
    ),
    "negative noise": ({"state_noise": -1.0}, "`state_noise`"),
    "dropping all of the state": ({"state_dropout": 1.0}, "`state_dropout`"),
    "no shards": ({"shards": 0}, "`shards`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_options_are_refused_by_name_at_construction(name):
    options, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message):
        bk.TruncatedBPTT(model_of(bk.layers.LSTM), **{"window": 4} | options)


def many_to_one():
    return keras.Sequential([keras.Input((None, 3)), bk.layers.LSTM(2)])


def with_layer(layer):
    return lambda: keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.LSTM(2, return_sequences=True),
            layer(),
        ]
    )


def two_outputs():
    x = keras.Input((None, 3))
    h = bk.layers.LSTM(2, return_sequences=True)(x)
    return keras.Model(x, [h, keras.layers.Dense(2)(h)])


REFUSED_LATER = {
    "a stride with one loss at the end": (
        many_to_one,
        {"stride": 2},
        "one loss at the end",
    ),
    "moving averages in segments": (
        with_layer(keras.layers.BatchNormalization),
        {"recompute": "sqrt"},
        "from the whole batch",
    ),
    "noise for a whole window in segments": (
        with_layer(lambda: keras.layers.GaussianNoise(0.1)),
        {"recompute": "sqrt"},
        "GaussianNoise",
    ),
    "a layer's own loss in segments": (
        with_layer(lambda: keras.layers.ActivityRegularization(0.1)),
        {"recompute": "sqrt"},
        "adds a loss of its own",
    ),
    "a layer's own loss step by step": (
        with_layer(lambda: keras.layers.ActivityRegularization(0.1)),
        {"window": bk.truncation.ARTBP(3)},
        "adds a loss of its own",
    ),
    "several averages in segments": (
        two_outputs,
        {"recompute": "sqrt", "update": "sequence"},
        "update='sequence'",
    ),
    "a burn-in as long as the batch": (
        with_layer(lambda: keras.layers.Dense(2)),
        {"burn_in": 12},
        "longer than `burn_in`",
    ),
}


@pytest.mark.parametrize("name", REFUSED_LATER)
def test_options_that_contradict_the_model_or_data_are_refused_at_the_first_batch(name):
    make, options, message = REFUSED_LATER[name]
    trainer = bk.TruncatedBPTT(make(), **{"window": 4} | options)
    trainer.compile("sgd", "mse", jit_compile=False)
    y = Y[:, 0] if make is many_to_one else Y
    before = trainer.model.get_weights()
    with pytest.raises(ValueError, match=message):
        trainer.train_on_batch(X, [y, y] if make is two_outputs else y)
    for a, b in zip(before, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def batches_of_lengths(*lengths):
    def generate():
        for length in lengths:
            yield X[:, :length], Y[:, :length]

    return generate()


def test_a_burn_in_is_checked_where_lengths_vary():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.LSTM), 4, burn_in=5)
    trainer.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="longer than `burn_in`"):
        trainer.fit(batches_of_lengths(12, 9, 5), verbose=0)


def test_recomputing_whole_batches_needs_their_length():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.LSTM), None, recompute="sqrt")
    trainer.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="Pad them to one length"):
        trainer.fit(batches_of_lengths(12, 9, 5), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_recomputed_windows_may_end_anywhere(jit_compile):
    models = []
    for recompute in (None, 3):
        keras.utils.set_random_seed(1)
        models.append(model_of(bk.layers.LSTM))
        trainer = bk.TruncatedBPTT(models[-1], 5, recompute=recompute, shards=1)
        trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=jit_compile)
        trainer.fit(batches_of_lengths(12, 9, 5, 3), verbose=0)
    assert_same_weights(*models, atol=3e-6)
