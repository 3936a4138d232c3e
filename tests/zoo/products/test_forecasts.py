import dataclasses

import numpy as np
import pytest

import zoo
from zoo.forecasting import running
from zoo.forecasting.stored import ridge_of
from zoo.products import forecasts
from zoo.runs.evaluation import evaluate, stored_of
from zoo.system.errors import UserError
from zoo.tasks import TASKS


@pytest.mark.parametrize("base", ["season", "last"])
def test_it_is_the_model_over_the_prefix_added_to_the_naive_forecast(forecaster, base):
    preset, data = forecaster(base)
    known = data.values[:45]
    mean, deviation = data.values[:40].mean(axis=0), data.values[:40].std(axis=0)
    x = ((known - mean) / deviation).astype("float32")
    corrections = np.array(preset.model(x[None]))[0, -1].reshape(4, 2)
    found = zoo.forecast(preset, known)
    assert found.shape == (4, 2)
    for k in range(4):
        for j, column in enumerate((2, 0)):
            place = 44 if base == "last" else 45 + k - 6
            expected = known[place, column] + deviation[column] * corrections[k, j]
            assert found[k, j] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["together", "apart"])
@pytest.mark.parametrize("inputs", ["values", "changes"])
@pytest.mark.parametrize("base", ["season", "last", "ridge"])
def test_its_errors_are_those_of_the_evaluation(forecaster, base, inputs, columns):
    preset, data = forecaster(base, horizon=8, inputs=inputs, columns=columns)
    deviation = data.scaling()[1][[2, 0]]
    errors = []
    # All timesteps whose next eight lie in the test part.
    for t in (49, 50, 51):
        ahead = data.values[t + 1 : t + 9][:, [2, 0]]
        errors.append((zoo.forecast(preset, data.values[: t + 1]) - ahead) / deviation)
    measured = evaluate(preset, data, "test")
    assert np.mean(np.square(errors)) == pytest.approx(measured, rel=1e-5)


@pytest.mark.parametrize(
    ("base", "horizon", "places"),
    [
        ("last", 3, [59, 59, 59]),
        ("season", 3, [54, 55, 56]),
        ("season", 8, [54, 55, 56, 57, 58, 59, 54, 55]),
    ],
)
def test_a_model_without_corrections_gives_the_naive_forecast(
    forecaster, base, horizon, places
):
    preset, data = forecaster(base, horizon=horizon)
    for weight in preset.model.layers[-1].weights:
        weight.assign(np.zeros(weight.shape))
    expected = data.values[places][:, [2, 0]]
    np.testing.assert_array_equal(zoo.forecast(preset, data.values), expected)
    np.testing.assert_array_equal(forecasts.naive(preset, data.values), expected)


def test_it_corrects_a_regression_that_the_preset_holds(forecaster):
    preset, data = forecaster("ridge")
    found = zoo.forecast(preset, data.values)
    base = forecasts.base(preset, data.values)
    ridge = ridge_of(stored_of(preset))
    mean, deviation = (v[[2, 0]] for v in data.scaling())
    known = data.scaled()[:, [2, 0]]
    expected = mean + deviation * ridge.forecast(known, np.array([59]))[0]
    np.testing.assert_allclose(base, expected, rtol=1e-6)
    assert np.abs(found - base).min() > 0
    for weight in preset.model.layers[-1].weights:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(zoo.forecast(preset, data.values), base)


@pytest.mark.parametrize("ridge", [None, {}, {"lags": 3}])
def test_a_regression_that_is_missing_or_damaged_is_refused(forecaster, ridge):
    preset, data = forecaster("ridge")
    broken = zoo.Preset(
        preset.model, preset.processing | {"ridge": ridge}, preset.metadata
    )
    with pytest.raises(UserError, match="The preset is damaged: no ridge regression"):
        zoo.forecast(broken, data.values)


def test_weights_that_are_nan_are_refused(forecaster):
    preset, data = forecaster()
    bias = preset.model.layers[-1].bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(UserError, match="its forecast is no number"):
        zoo.forecast(preset, data.values)


def test_without_a_gain_the_network_leaves_the_regression_unchanged(forecaster):
    preset, data = forecaster("ridge")
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    data = dataclasses.replace(data, table="one's own")
    assert task.tempered(preset.model, data, recipe) is data
    base = forecasts.base(preset, data.values)
    np.testing.assert_array_equal(zoo.forecast(preset, data.values), base)


def test_a_mixture_is_that_of_both_forecasts(forecaster):
    preset, data = forecaster("last")
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    alone = zoo.forecast(preset, data.values)
    mixed = dataclasses.replace(data, own_ridge=data.ridge(recipe), share=0.25)
    preset.processing.update(task.processing(mixed, recipe))
    for weight in preset.model.layers[-1].weights:
        weight.assign(0.25 * weight)
    mean, deviation = (v[[2, 0]] for v in data.scaling())
    known = data.scaled()[:, [2, 0]]
    ridge = data.ridge(recipe).forecast(known, np.array([59]))[0]
    expected = 0.25 * alone + 0.75 * (mean + deviation * ridge)
    np.testing.assert_allclose(zoo.forecast(preset, data.values), expected, rtol=1e-4)
    # And what is evaluated is what is forecast.
    error = zoo.forecast(preset, data.values[:56]) - data.values[56:60][:, [2, 0]]
    measured = evaluate(preset, dataclasses.replace(data, ends=(40, 55, 60)), "test")
    first = zoo.forecast(preset, data.values[:55]) - data.values[55:59][:, [2, 0]]
    errors = np.square([error / deviation, first / deviation])
    assert errors.mean() == pytest.approx(measured, rel=1e-4)


def test_a_trained_model_gets_the_share_that_validation_gives_it(forecaster):
    preset, data = forecaster("last")
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    assert task.tempered(preset.model, data, recipe) is None
    own = dataclasses.replace(data, table="one's own")
    mixed = task.tempered(preset.model, own, recipe)
    # Random weights are worth nothing.
    assert mixed.share == 0 and not preset.model.layers[-1].kernel.numpy().any()


@pytest.mark.parametrize("damage", [{"share": 2}, {"share": "x"}, {"share": 0.5}])
def test_an_invalid_share_is_refused(forecaster, damage):
    preset, data = forecaster("last")
    preset.processing.update(damage)
    with pytest.raises(UserError, match="The preset is damaged"):
        zoo.forecast(preset, data.values)


def test_intervals_are_those_of_the_validation_errors(forecaster):
    preset, data = forecaster()
    task = TASKS["forecasting"]
    recipe = task.recipe_from(preset.metadata["recipe"])
    found = task.finished(preset.model, data, recipe)
    preset.processing.update(found)
    known, errors = data.values[:, [2, 0]], []
    for t in range(39, 46):
        error = zoo.forecast(preset, data.values[: t + 1]) - known[t + 1 : t + 5]
        changes = np.diff(known[t - 8 : t + 1], axis=0)
        errors.append(error / np.sqrt((changes**2).mean(axis=0)))
    assert found["intervals"]["forecasts"] == len(errors) == 7
    # Of seven errors, nine tenths are all.
    expected = np.abs(errors).max(axis=0)
    np.testing.assert_allclose(found["intervals"]["half_widths"], expected, rtol=1e-3)
    lately = np.sqrt((np.diff(known[51:], axis=0) ** 2).mean(axis=0))
    widths = forecasts.half_widths(preset, data.values)
    np.testing.assert_allclose(widths, expected * lately, rtol=1e-3)
    for damage in ({}, {"half_widths": [[1.0]]}, {"half_widths": "x"}):
        preset.processing["intervals"] = damage
        with pytest.raises(UserError, match="prediction intervals do not fit"):
            forecasts.half_widths(preset, data.values)


def test_units_are_kept(forecaster):
    preset, data = forecaster()
    found = zoo.forecast(preset, data.values)
    for name in ("mean", "deviation"):
        preset.processing[name] = [1000 * v for v in preset.processing[name]]
    again = zoo.forecast(preset, 1000 * data.values)
    np.testing.assert_allclose(again, 1000 * found, rtol=1e-6)


def test_long_series_in_pieces_give_the_same(forecaster, monkeypatch):
    preset, data = forecaster()
    whole = zoo.forecast(preset, data.values)
    monkeypatch.setattr(running, "CHUNK", 13)
    # The order of sums differs.
    np.testing.assert_allclose(zoo.forecast(preset, data.values), whole, rtol=1e-5)


def test_one_season_is_enough_and_less_is_refused(forecaster):
    preset, data = forecaster()
    assert np.isfinite(zoo.forecast(preset, data.values[:6])).all()
    with pytest.raises(UserError, match="at least 6 timesteps, .* Received: 5"):
        zoo.forecast(preset, data.values[:5])
    preset, _ = forecaster("last")
    assert zoo.forecast(preset, data.values[:1]).shape == (4, 2)
    with pytest.raises(UserError, match="at least 1 timesteps"):
        zoo.forecast(preset, data.values[:0])


def test_gaps_and_other_shapes_and_presets_are_refused(forecaster, untrained):
    preset, data = forecaster()
    values = data.values.copy()
    values[7, 1] = np.nan
    with pytest.raises(UserError, match="no gaps. Timestep 7 of column b is nan"):
        zoo.forecast(preset, values)
    with pytest.raises(UserError, match=r"\(timesteps, 3\), with the columns a, b, c"):
        zoo.forecast(preset, values[:, :2])
    with pytest.raises(UserError, match="of the task forecasting"):
        zoo.forecast(untrained, values)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": None},
        {"columns": ["a", "b"]},
        {"columns": ["a", "b", "b"]},
        {"forecast": ["x"]},
        {"forecast": []},
        {"mean": [0.0, "1", 0.0]},
        {"deviation": [1.0, float("inf"), 1.0]},
    ],
)
def test_invalid_processing_is_refused(forecaster, change):
    preset, data = forecaster()
    broken = zoo.Preset(preset.model, preset.processing | change, preset.metadata)
    with pytest.raises(UserError, match="The preset is damaged"):
        zoo.forecast(broken, data.values)


@pytest.mark.parametrize("change", [{"horizon": 10_000}, {"columns": "apart"}])
def test_an_unsuitable_recipe_is_refused(forecaster, change):
    preset, data = forecaster()
    recipe = preset.metadata["recipe"] | change
    metadata = preset.metadata | {"recipe": recipe}
    broken = zoo.Preset(preset.model, preset.processing, metadata)
    with pytest.raises(UserError, match="The preset is damaged"):
        zoo.forecast(broken, data.values)


def test_columns_are_found_by_name(forecaster):
    preset, data = forecaster()
    mixed = forecasts.arranged(
        preset, ["c", "x", "a", "b"], data.values[:, [2, 1, 0, 1]]
    )
    np.testing.assert_array_equal(mixed, data.values)
    for columns in (["a", "b"], ["a", "b", "c", "c"], ["A", "b", "c"]):
        message = f"trained on: a, b, c. It has: {', '.join(columns)}"
        with pytest.raises(UserError, match=message):
            forecasts.arranged(preset, columns, data.values)


def test_scaling_is_computed_once_for_a_set_of_pairs(forecaster, monkeypatch):
    _, data = forecaster()
    task, calls = TASKS["forecasting"], []
    scaled = type(data).scaled
    monkeypatch.setattr(
        type(data), "scaled", lambda self: calls.append(1) or scaled(self)
    )
    task.held_out(data, task.recipe_from({"window": 7, "horizon": 4}), "test")
    assert len(calls) == 1
