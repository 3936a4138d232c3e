"""The data that tasks make and read, against their definitions."""

import dataclasses
import json

import numpy as np
import pytest

import zoo
from zoo.forecasting.inputs import pairs
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.series import Series
from zoo.music.own_rolls import read_rolls
from zoo.runs.evaluation import adapted
from zoo.system.errors import UserError
from zoo.tables.own_table import read_table
from zoo.tasks import TASKS
from zoo.tasks.adding import AddingRecipe
from zoo.tasks.copy_memory import CopyRecipe
from zoo.tasks.delayed_echo import EchoRecipe


def rng():
    return np.random.default_rng(1)


def test_adding_marks_two_numbers_and_asks_for_their_sum():
    x, y = TASKS["adding"].draw(AddingRecipe(steps=30), rng(), 500)
    assert x.shape == (500, 30, 2) and y.shape == (500, 1)
    assert set(np.unique(x[..., 1])) == {0, 1}
    assert (x[..., 1].sum(axis=1) == 2).all()
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(axis=1), y[:, 0], rtol=1e-6)
    # Marks stand anywhere; the sum varies as two uniform numbers do.
    assert x[..., 1].sum(axis=0).min() > 0
    assert np.var(y) == pytest.approx(1 / 6, rel=0.2)


def test_copying_asks_for_the_symbols_after_the_blank():
    x, y = TASKS["copy-memory"].draw(CopyRecipe(steps=7), rng(), 50)
    assert x.shape == y.shape == (50, 27)
    np.testing.assert_array_equal(y[:, -10:], x[:, :10])
    assert (y[:, :-10] == 0).all() and (x[:, 10:17] == 0).all()
    assert (x[:, -10:] == 9).all() and set(np.unique(x[:, :10])) == set(range(1, 9))


def test_the_level_of_copying_is_that_of_guessing_at_the_right_time():
    task = TASKS["copy-memory"]
    data = task.load("copy-100", None, CopyRecipe(steps=100))
    assert task.levels(data, data.recipe, "test")["no memory"] == pytest.approx(
        0.1733, abs=5e-5
    )


def test_the_echo_is_the_bit_some_timesteps_ago():
    task, recipe = (
        TASKS["delayed-echo"],
        EchoRecipe(delay=3, window=10, length=40, batch_size=2),
    )
    data = task.load("echo-8", None, recipe)
    batches = list(task.training(data, recipe))
    x = np.concatenate([b[0]["inputs"] for b in batches], axis=1)
    y = np.concatenate([b[1] for b in batches], axis=1)
    np.testing.assert_array_equal(y[:, 3:], x[:, :-3])
    assert x.shape == (2, 40, 1)
    # Of ten answers the first three lie in the window before.
    assert task.levels(data, recipe, "test")["without carried state"] == pytest.approx(
        0.85
    )


def test_recipes_that_cannot_work_are_refused():
    for name, change, message in (
        ("adding", {"window": 10}, "must reach all 200"),
        ("copy-memory", {"window": 10}, "must reach all 120"),
        ("delayed-echo", {"window": 5}, "never sees a bit and its echo"),
    ):
        task = TASKS[name]
        recipe = task.recipe_from({**vars(task.recipe_for(task.DATASETS[0])), **change})
        with pytest.raises(UserError, match=message):
            task.check(task.load(task.DATASETS[0], None, recipe), recipe)


def series(steps=200, columns=2):
    values = rng().normal(size=(steps, columns)).cumsum(axis=0)
    names = tuple("abc"[:columns])
    return Series("x", names, values, (140, 160, steps), (1,), "made")


@pytest.mark.parametrize("base", ["season", "last"])
def test_the_targets_are_differences_from_the_naive_forecast(base):
    data = series()
    recipe = ForecastRecipe(horizon=4, season=6, base=base, window=10, batch_size=1)
    scaled = data.scaled()
    (x,), (y,) = pairs(data, recipe, 0, 140)
    assert x.shape == (136, 2) and y.shape == (136, 4)
    for t in (0, 50, 135):
        np.testing.assert_allclose(x[t], scaled[t], rtol=1e-5)
        if base == "last":
            naive = scaled[t, 1]
        else:
            naive = scaled[np.maximum(np.arange(t - 5, t - 1), 0), 1]
        expected = scaled[t + 1 : t + 5, 1] - naive
        np.testing.assert_allclose(y[t], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scaled[:140].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled[:140].std(axis=0), 1, rtol=1e-9)


@pytest.mark.parametrize("columns", ["together", "apart"])
def test_changes_are_from_a_season_before_and_from_the_last_value(columns):
    task, data = TASKS["forecasting"], series(columns=3)
    data = dataclasses.replace(data, targets=(2, 0))
    recipe = ForecastRecipe(horizon=4, season=6, inputs="changes", columns=columns)
    scaled = data.scaled()
    x, y = pairs(data, recipe, 0, 140)
    together = columns == "together"
    assert x.shape == ((1, 136, 6) if together else (2, 136, 2))
    assert y.shape == ((1, 136, 8) if together else (2, 136, 4))
    for t in (0, 3, 50, 135):
        season, last = (scaled[t] - scaled[max(t - k, 0)] for k in (6, 1))
        ahead = scaled[t + 1 : t + 5] - scaled[np.maximum(np.arange(t - 5, t - 1), 0)]
        if together:
            expected = np.concatenate([season, last])
            np.testing.assert_allclose(x[0, t], expected, atol=1e-5)
            np.testing.assert_allclose(y[0, t], ahead[:, [2, 0]].ravel(), atol=1e-5)
        else:
            for row, place in enumerate((2, 0)):
                expected = [season[place], last[place]]
                np.testing.assert_allclose(x[row, t], expected, atol=1e-5)
                np.testing.assert_allclose(y[row, t], ahead[:, place], atol=1e-5)
    shape = task.build_model(data, recipe).output_shape
    assert shape == (None, None, y.shape[-1])


def test_a_preset_reads_other_data_by_its_own_scaling():
    task, known = TASKS["forecasting"], series()
    recipe = ForecastRecipe(units=1)
    metadata = {"task": "forecasting", "recipe": dataclasses.asdict(recipe)}
    model = task.build_model(known, recipe)
    preset = zoo.Preset(model, task.processing(known, recipe), metadata)
    other = dataclasses.replace(
        known, columns=("b", "a"), values=5 + 3 * known.values[:, ::-1], targets=(0, 1)
    )
    read = adapted(other, preset)
    assert read.columns == ("a", "b") and read.targets == (1,)
    mean, deviation = known.scaling()
    expected = (5 + 3 * known.values - mean) / deviation
    np.testing.assert_allclose(read.scaled(), expected, rtol=1e-9)
    with pytest.raises(UserError, match="It has: c, a"):
        adapted(dataclasses.replace(other, columns=("c", "a")), preset)


def test_naive_forecasts_repeat_the_season_and_the_last_value():
    task, data = TASKS["forecasting"], series()
    recipe = ForecastRecipe(horizon=5, season=3, window=10, batch_size=1)
    known = data.scaled()[:, 1]
    errors = {"seasonal naive": [], "last value": []}
    for t in range(159, 195):  # whose forecasts lie in the test part, 160 to 199
        for k in range(1, 6):
            place = t + k
            while place > t:
                place -= 3
            errors["seasonal naive"].append((known[place] - known[t + k]) ** 2)
            errors["last value"].append((known[t] - known[t + k]) ** 2)
    levels = task.levels(data, recipe, "test")
    for name, squares in errors.items():
        assert levels[name] == pytest.approx(np.mean(squares), rel=1e-5)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_set_is_scored_from_its_first_value_after_a_warm_up(part):
    task, data = TASKS["forecasting"], series()
    recipe = ForecastRecipe(horizon=4, base="last", window=10, batch_size=1)
    batches = task.held_out(data, recipe, part)
    weights = np.concatenate([batches[i][2] for i in range(len(batches))], axis=1)[0]
    first, end = data.span(part)
    # One forecast from each timestep whose next four all lie in the part.
    assert weights.sum() == end - first - 3
    assert len(weights) % 10 == 0
    scored = np.concatenate([batches[i][1] for i in range(len(batches))], axis=1)[0]
    expected = data.scaled()[first : first + 4, 1] - data.scaled()[first - 1, 1]
    np.testing.assert_allclose(scored[weights > 0][0], expected, rtol=1e-4)


def test_a_column_can_be_chosen_and_must_exist(tmp_path):
    rows = "".join(f"x,{i % 7},{i % 5}\n" for i in range(100))
    (tmp_path / "t.csv").write_text("day,a,b\n" + rows)
    task = TASKS["forecasting"]
    data = task.from_file(tmp_path / "t.csv", ForecastRecipe(target="b"))
    assert data.describe()["forecast"] == ["b"]
    assert data.ends == (60, 80, 100)
    with pytest.raises(UserError, match="names no column of t.csv: 'c'"):
        task.from_file(tmp_path / "t.csv", ForecastRecipe(target="c"))


def test_too_short_a_series_is_refused():
    task = TASKS["forecasting"]
    with pytest.raises(UserError, match="less than one window of 96"):
        task.check(series(), ForecastRecipe(window=96))
    recipe = ForecastRecipe(horizon=25, window=5, batch_size=1)
    with pytest.raises(UserError, match="Lower --horizon"):
        task.check(series(), recipe)


def test_a_table_with_a_gap_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a\n1\nx\n2\n")
    with pytest.raises(UserError, match="'x' in line 3, column 'a'"):
        read_table(tmp_path / "t.csv")


CASES = "@data\n" + "".join(f"{i},2,3:{i},5,6:{'ab'[i % 2]}\n" for i in range(20))


def test_every_fifth_case_of_a_class_validates(tmp_path):
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"mine_{part}.ts").write_text(CASES)
    task = TASKS["classification"]
    recipe = task.recipe_for(None)
    data = task.from_file(tmp_path / "mine_TRAIN.ts", recipe)
    assert data.classes == ("a", "b")
    assert np.bincount(data.validation[1]).tolist() == [2, 2]
    assert np.bincount(data.train[1]).tolist() == [8, 8]
    json.dumps(task.processing(data, recipe))


def test_own_rolls_are_one_per_file(tmp_path):
    for i in range(20):
        piece = np.zeros((i + 2, 88), np.uint8)
        np.savez(tmp_path / f"{i:02}.npz", roll=piece)
    name, train, validation, test = read_rolls(tmp_path)
    assert name == tmp_path.name
    assert [len(p) for p in validation] == [10, 20]
    assert [len(p) for p in test] == [11, 21]
    assert len(train) == 16


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((3, 87))}, "is no piano roll: a piece must be"),
        ({"a": np.zeros(88)}, "must hold one array"),
        ({"a": np.zeros((3, 88)), "b": np.zeros((3, 88))}, "must hold one array"),
        ({"a": np.array([None])}, "is no piano roll"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message):
        read_rolls(tmp_path)


def test_a_file_of_three_parts_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_rolls(tmp_path / "nowhere.mat")
