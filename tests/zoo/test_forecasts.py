import numpy as np
import pytest

import zoo
from zoo import forecasts
from zoo.errors import UserError
from zoo.evaluation import evaluate
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
@pytest.mark.parametrize("base", ["season", "last"])
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


def test_units_go_through(forecaster):
    preset, data = forecaster()
    found = zoo.forecast(preset, data.values)
    for name in ("mean", "deviation"):
        preset.processing[name] = [1000 * v for v in preset.processing[name]]
    again = zoo.forecast(preset, 1000 * data.values)
    np.testing.assert_allclose(again, 1000 * found, rtol=1e-6)


def test_long_series_in_pieces_give_the_same(forecaster, monkeypatch):
    preset, data = forecaster()
    whole = zoo.forecast(preset, data.values)
    monkeypatch.setattr(forecasts, "CHUNK", 13)
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
def test_processing_that_does_not_fit_is_refused(forecaster, change):
    preset, data = forecaster()
    broken = zoo.Preset(preset.model, preset.processing | change, preset.metadata)
    with pytest.raises(UserError, match="The preset is damaged"):
        zoo.forecast(broken, data.values)


@pytest.mark.parametrize("change", [{"horizon": 10_000}, {"columns": "apart"}])
def test_a_recipe_that_does_not_fit_is_refused(forecaster, change):
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
