import keras
import keras_tuner
import numpy as np
import pytest

import bptt_keras as bk
import bptt_keras.tuning as tuning
from bptt_keras.tuning import Range, TruncatedHyperModel

MSE = {"loss": "mse"}
X = np.random.default_rng(0).normal(size=(4, 12, 2)).astype("float32")
Y = X.sum(2, keepdims=True).cumsum(1)


def build(hp):
    layers = [bk.layers.SimpleRNN(2, return_sequences=True), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((None, 2)), *layers])


def compiled(optimizer="sgd", **options):
    def made(hp):
        model = build(hp)
        model.compile(optimizer, **{"loss": "mse", **options})
        return model

    return made


def trainer(hypermodel, **values):
    hp = keras_tuner.HyperParameters()
    hp.values.update(values)
    return hypermodel.build(hp)


def rule_of(trainer):
    """The one rule of a trainer's optimizer."""
    assert isinstance(trainer.optimizer, bk.clipping.ClippedOptimizer)
    (rule,) = trainer.optimizer.clipping
    return rule


def space(hypermodel):
    """The hyperparameters that a tuner finds before any trial."""
    made = keras_tuner.RandomSearch(
        hypermodel, "loss", directory="runs", project_name="none", overwrite=False
    )
    return {entry.name: entry for entry in made.oracle.get_space().space}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# --- Arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"window": 0}, ValueError, "`window` must be at least 1"),
        ({"window": [4, 0.5]}, TypeError, "`window` must be integers"),
        ({"window": Range(1.0, 2.0)}, TypeError, "`window` must be integers"),
        ({"window": 4, "burn_in": -1}, ValueError, "`burn_in` must be at least 0"),
        ({"window": 4, "rows": 0}, ValueError, "`rows` must be at least 1"),
        ({"window": 4, "rows": [2, 2]}, ValueError, "`rows` must be a list of diff"),
        ({"window": 4, "learning_rate": 0}, ValueError, "`learning_rate` must be ab"),
        ({"window": 4, "learning_rate": "a"}, TypeError, "`learning_rate` must be n"),
        ({"window": 4, "stride": 5}, ValueError, "`stride` must not exceed"),
        ({"window": [4, 8], "stride": [2, 6]}, ValueError, "up to 6, window from 4"),
        ({"window": 4, "stride": 0}, ValueError, "`stride` must be at least 1"),
        (
            {"window": 4, "stride": 1.5},
            ValueError,
            "`stride` must be fractions of the window",
        ),
        ({"window": 4, "stride": [0.5, 2]}, ValueError, "in \\(0, 1\\]"),
        ({"stride": 0.5}, ValueError, "`window` must be given"),
        ({"window": 4, "clipping": "norm"}, ValueError, "`clipping` must be of none"),
        ({"window": 4, "clipping": []}, ValueError, "`clipping` must be of none"),
        ({"window": 4, "clipping": 5}, TypeError, "`clipping` must be a kind"),
        ({"window": 4, "clipping": {"value": 0}}, ValueError, "must be above 0"),
        ({"window": 4, "clipping": {"value": "a"}}, TypeError, "must be numbers"),
        ({"window": 4, "clipping": {"none": 1.0}}, ValueError, "has no threshold"),
        ({"window": 4, "data": X}, TypeError, "`data` must be a function"),
        ({"window": 4, "windows": 3}, TypeError, "has no argument 'windows'"),
    ],
)
def test_a_wrong_argument_is_refused_immediately(options, error, words):
    with pytest.raises(error, match=words):
        TruncatedHyperModel(build, **options)


def test_the_model_must_be_a_function():
    for given in (build(None), 7, None):
        with pytest.raises(TypeError, match="`build` must be a function"):
            TruncatedHyperModel(given, window=4)


def test_what_the_function_returns_must_be_a_model():
    made = TruncatedHyperModel(lambda hp: 7, window=4, compile=MSE)
    with pytest.raises(keras_tuner.errors.FatalTypeError, match="a keras.Model"):
        trainer(made)


def test_a_model_that_is_not_compiled_is_refused():
    with pytest.raises(keras_tuner.errors.FatalValueError, match="not compiled"):
        trainer(TruncatedHyperModel(build, window=4))


# --- The space -----------------------------------------------------------------------


def test_only_what_varies_is_part_of_the_space():
    made = TruncatedHyperModel(
        build,
        window=[4, 6],
        burn_in=0,
        rows=2,
        learning_rate=Range(1e-3, 1e-1, log=True),
        compile=MSE,
    )
    assert set(space(made)) == {"window", "learning_rate"}


@pytest.mark.parametrize("kinds", [["none", "value", "agc"], ["agc", "none", "value"]])
def test_all_thresholds_are_known_before_the_first_trial(kinds):
    found = space(TruncatedHyperModel(build, window=4, clipping=kinds, compile=MSE))
    assert set(found) == {"clipping", "clip_value", "clip_agc"}
    (condition,) = found["clip_agc"].conditions
    assert (condition.name, condition.values) == ("clipping", ["agc"])


def test_one_kind_of_clipping_needs_no_choice():
    made = TruncatedHyperModel(build, window=4, clipping="value", compile=MSE)
    assert set(space(made)) == {"clip_value"}


def test_a_fixed_threshold_is_not_a_hyperparameter():
    kinds = {"value": 0.5, "global_norm": [1.0, 2.0], "none": None}
    made = TruncatedHyperModel(build, window=4, clipping=kinds, compile=MSE)
    found = space(made)
    assert set(found) == {"clipping", "clip_global_norm"}
    assert list(found["clip_global_norm"].values) == [1.0, 2.0]
    assert rule_of(trainer(made, clipping="value")).bound == 0.5


def test_fixed_values_can_be_queried_too():
    seen = {}

    def asks(hp):
        seen.update(window=hp.get("window"), rows=hp.get("rows"))
        return build(hp)

    trainer(TruncatedHyperModel(asks, window=4, rows=3, compile=MSE))
    assert seen == {"window": 4, "rows": 3}


# --- What it builds ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "rule", "name"),
    [
        ("global_norm", bk.clipping.GlobalNorm, "max_norm"),
        ("variable_norm", bk.clipping.VariableNorm, "max_norm"),
        ("value", bk.clipping.Value, "bound"),
        ("agc", bk.clipping.AGC, "clip_factor"),
        ("autoclip", bk.clipping.AutoClip, "percentile"),
        ("zclip", bk.clipping.ZClip, "threshold"),
    ],
)
def test_each_kind_of_clipping_is_its_rule(kind, rule, name):
    made = TruncatedHyperModel(build, window=4, clipping="all", compile=MSE)
    found = rule_of(trainer(made, clipping=kind, **{f"clip_{kind}": 2.0}))
    assert type(found) is rule
    assert getattr(found, name) == 2.0


def test_without_clipping_there_is_no_rule():
    made = TruncatedHyperModel(build, window=4, clipping="all", compile=MSE)
    found = trainer(made, clipping="none").optimizer
    assert not isinstance(found, bk.clipping.ClippedOptimizer)


def test_the_learning_rate_is_that_of_the_inner_optimizer():
    made = TruncatedHyperModel(
        build,
        window=4,
        learning_rate=[0.5, 0.25],
        clipping=["value", "none"],
        compile={"loss": "mse", "optimizer": keras.optimizers.SGD(9.0, momentum=0.5)},
    )
    for kind in ("value", "none"):
        found = trainer(made, learning_rate=0.25, clipping=kind).optimizer
        assert float(found.learning_rate) == 0.25
    inner = trainer(made, clipping="value").optimizer.inner_optimizer
    assert inner.momentum == 0.5


def test_each_trial_has_its_own_optimizer():
    given = keras.optimizers.SGD(9.0)
    made = TruncatedHyperModel(
        build, window=4, compile={"loss": "mse", "optimizer": given}
    )
    one, two = trainer(made).optimizer, trainer(made).optimizer
    assert one is not two and one is not given


@pytest.mark.parametrize(
    ("stride", "window", "expected"),
    [(0.5, 6, 3), (1.0, 6, 6), (0.1, 6, 1), (0.5, 5, 2), (3, 6, 3), (None, 6, 6)],
)
def test_a_stride_may_be_a_fraction_of_the_window(stride, window, expected):
    made = TruncatedHyperModel(build, window=window, stride=stride, compile=MSE)
    found = trainer(made)
    assert (found.window, found.stride or found.window) == (window, expected)


def test_fractions_work_with_every_window():
    made = TruncatedHyperModel(build, window=[4, 6], stride=[1, 0.5], compile=MSE)
    assert trainer(made, window=6, stride=0.5).stride == 3
    assert trainer(made, window=4, stride=1.0).stride == 4


def test_options_reach_the_trainer():
    made = TruncatedHyperModel(
        build, window=4, burn_in=[0, 2], update="sequence", compile=MSE
    )
    found = trainer(made, burn_in=2)
    assert (found.update, found.burn_in) == ("sequence", 2)


def test_arguments_of_compile_may_depend_on_the_trial():
    def arguments(hp):
        return {"loss": hp.Choice("loss", ["mse", "mae"])}

    made = TruncatedHyperModel(build, window=4, compile=arguments)
    assert trainer(made, loss="mae").loss == "mae"


def off(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


def test_a_compiled_model_is_used_as_it_is():
    model = compiled(keras.optimizers.SGD(0.5), loss=off, metrics=[off, "mae"])
    made = TruncatedHyperModel(model, window=4, clipping={"value": 0.5})
    found = trainer(made)
    assert found.loss is off
    assert isinstance(found.optimizer.inner_optimizer, keras.optimizers.SGD)
    assert float(found.optimizer.learning_rate) == 0.5


def test_a_trainer_is_used_as_it_is():
    def model(hp):
        made = bk.TruncatedBPTT(build(hp), window=6, stride=5, update="sequence")
        made.compile("sgd", "mse")
        return made

    found = trainer(TruncatedHyperModel(model))
    assert (found.window, found.stride, found.update) == (6, 5, "sequence")
    for window, stride in ((4, 2), (12, 10)):
        made = TruncatedHyperModel(
            model, window=window, stride=stride, learning_rate=0.5, clipping="value"
        )
        found = trainer(made)
        assert (found.window, found.stride) == (window, stride)
        assert isinstance(found.optimizer, bk.clipping.ClippedOptimizer)
        assert float(found.optimizer.learning_rate) == 0.5


def test_a_schedule_cannot_have_its_rate_tuned():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    arguments = {"loss": "mse", "optimizer": keras.optimizers.SGD(schedule)}
    made = TruncatedHyperModel(build, window=4, learning_rate=0.1, compile=arguments)
    with pytest.raises(keras_tuner.errors.FatalValueError, match="over a schedule"):
        trainer(made)


@pytest.mark.parametrize("name", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_an_optimizer_that_clips_by_itself_is_refused(name):
    optimizer = keras.optimizers.SGD(0.1, **{name: 1.0})
    made = TruncatedHyperModel(
        build,
        window=4,
        clipping="value",
        compile={"loss": "mse", "optimizer": optimizer},
    )
    with pytest.raises(keras_tuner.errors.FatalValueError, match=name):
        trainer(made)


# --- Data ----------------------------------------------------------------------------


def test_rows_are_the_batch_size():
    class Model:
        def fit(self, *args, **kwargs):
            return kwargs

    made = TruncatedHyperModel(build, window=4, rows=[2, 4], compile=MSE)
    hp = keras_tuner.HyperParameters()
    hp.values["rows"] = 4
    made.build(hp)
    assert made.fit(hp, Model(), X, Y, epochs=1) == {"epochs": 1, "batch_size": 4}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((X, Y), {"batch_size": 2}), ((iter([]),), {}), ((), {"x": iter([])})],
)
def test_rows_need_data_that_are_not_batched(args, kwargs):
    made = TruncatedHyperModel(build, window=4, rows=[2, 4], compile=MSE)
    with pytest.raises(ValueError, match="`rows` cannot be tuned"):
        made.check_search(None, args, kwargs)
    made.check_search(None, (X, Y), {})
    made.check_search(None, (), {"x": {"a": X}})


def test_data_are_made_or_given_but_not_both():
    made = TruncatedHyperModel(
        build, window=4, compile=MSE, data=lambda hp: {"x": X, "y": Y}
    )
    with pytest.raises(ValueError, match="`search` was given some"):
        made.check_search(None, (X,), {})
    made.check_search(None, (), {})


@pytest.mark.slow
def test_each_trial_has_streams_of_its_rows_and_window(tmp_path):
    series = np.arange(80, dtype="float32")[:, None] % 5
    seen = []

    def model(hp):
        cells = bk.layers.SimpleRNN(2, return_sequences=True)
        return keras.Sequential([cells, keras.layers.Dense(1)])

    def data(hp):
        seen.append((hp.get("rows"), hp.get("window")))
        options = {"batch_size": hp.get("rows"), "window": hp.get("window")}
        made = bk.data.streams(series, **options)
        return {"x": made, "validation_data": made}

    made = TruncatedHyperModel(
        model,
        window=[4, 8],
        rows=[2, 4],
        compile={"loss": "mse", "jit_compile": False},
        data=data,
        shards=1,
    )
    tuner = tuning.GridSearch(
        made, "val_loss", max_trials=2, directory=tmp_path, project_name="streams"
    )
    tuner.search(epochs=1, verbose=0)
    rows = tuner.results.rows()
    assert [row["status"] for row in rows] == ["completed"] * 2
    values = [(row["values"]["rows"], row["values"]["window"]) for row in rows]
    assert seen[-2:] == values and len(set(values)) == 2


def test_streams_without_validation_are_refused_before_any_trial(tmp_path):
    made = TruncatedHyperModel(
        build, window=4, compile=MSE, data=lambda hp: {"x": X, "y": Y}
    )
    tuner = tuning.RandomSearch(
        made, "val_loss", max_trials=1, directory=tmp_path, project_name="job"
    )
    with pytest.raises(ValueError, match="no validation data"):
        tuner.search(epochs=1, verbose=0)


# --- Whole searches ------------------------------------------------------------------


def tuned():
    return TruncatedHyperModel(
        build,
        window=[4, 6],
        learning_rate=[0.01, 0.02],
        compile={"loss": "mse", "jit_compile": False},
        shards=1,
        live_metrics=False,
    )


def searched(kind, folder, **options):
    made = kind(
        tuned(),
        "val_loss",
        directory=folder,
        project_name="job",
        overwrite=True,
        **options,
    )
    made.search(X, Y, validation_data=(X, Y), epochs=1, verbose=0)
    return made


OPTIONS = {
    "RandomSearch": {"max_trials": 1, "seed": 1},
    "GridSearch": {"max_trials": 1},
    "BayesianOptimization": {"max_trials": 1, "seed": 1},
    "Hyperband": {"max_epochs": 1, "hyperband_iterations": 1, "seed": 1},
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(name, marks=() if name == "GridSearch" else pytest.mark.slow)
        for name in OPTIONS
    ],
)
@pytest.mark.parametrize(
    "library", [pytest.param(keras_tuner, marks=pytest.mark.slow), tuning]
)
def test_every_tuner_accepts_it_and_returns_its_best_model(tmp_path, library, kind):
    made = searched(getattr(library, kind), tmp_path, **OPTIONS[kind])
    found = made.get_best_models()[0]
    assert isinstance(found, bk.TruncatedBPTT)
    best = made.oracle.get_best_trials(1)[0]
    assert found.window == best.hyperparameters.get("window")
    value = found.evaluate(X, Y, verbose=0, return_dict=True)["loss"]
    assert value == pytest.approx(best.score, rel=1e-6)


@pytest.mark.slow
def test_a_killed_search_ends_like_one_without_kills(tmp_path):
    from tests.tuning.trained import Kill, Killer, assert_same

    def search(folder, callbacks=()):
        made = tuning.RandomSearch(
            tuned(), "val_loss", max_trials=2, directory=tmp_path, project_name=folder
        )
        made.search(
            *(X, Y),
            validation_data=(X, Y),
            epochs=2,
            verbose=0,
            callbacks=[*callbacks],
        )
        return made

    whole = search("whole")
    for epochs in (1, 2):
        with pytest.raises(Kill):
            search(f"cut{epochs}", [Killer(epochs)])
        assert_same(search(f"cut{epochs}"), whole)
