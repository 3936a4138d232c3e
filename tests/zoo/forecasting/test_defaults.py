"""Defaults that follow from a table."""

import numpy as np
import pytest

from zoo.system.errors import UserError
from zoo.tasks import TASKS

TASK = TASKS["forecasting"]


@pytest.fixture
def table(tmp_path):
    """Data of a file with a season of 12 and noise."""

    def make(rows, columns=1):
        rng, steps = np.random.default_rng(0), np.arange(rows)[:, None]
        values = np.sin(steps / 6 * np.pi) + 0.3 * rng.normal(size=(rows, columns))
        names = ",".join(f"c{i}" for i in range(columns))
        lines = [",".join(f"{v:.4f}" for v in row) for row in values]
        (tmp_path / "t.csv").write_text("\n".join([names, *lines]))
        return TASK.from_file(tmp_path / "t.csv", TASK.recipe_for(None))

    return make


def fitted(data, **given):
    import dataclasses

    recipe = dataclasses.replace(TASK.recipe_for(None), **given)
    return TASK.fitted(data, recipe, frozenset(given))


@pytest.mark.parametrize("rows", [20, 36, 60, 144, 309, 999, 1000, 2555, 9000])
@pytest.mark.quick(8)
def test_tables_of_any_length_can_be_trained_on(table, rows):
    data = table(rows)
    recipe = fitted(data)
    TASK.check(data, recipe)
    updates = recipe.epochs * TASK.updates_per_epoch(data, recipe)
    assert 300 <= updates <= 3000
    assert recipe.horizon <= 24 and (rows < 144 or recipe.season == 12)


def test_fewer_rows_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "".join(f"{i % 3}\n" for i in range(19)))
    with pytest.raises(UserError, match="has 19 rows, at least 20"):
        TASK.from_file(tmp_path / "t.csv", TASK.recipe_for(None))


def test_hundreds_of_columns_take_fewer_updates(table):
    few, many = (fitted(table(200, columns=n)) for n in (2, 300))
    assert many.epochs < few.epochs / 4


def test_values_given_by_the_user_are_kept(table):
    given = {"horizon": 5, "season": 3, "base": "last", "window": 9, "batch_size": 2}
    given |= {"epochs": 7, "units": 3, "dropout": 0.0, "columns": "together"}
    recipe = fitted(table(300, columns=2), **given)
    assert {name: getattr(recipe, name) for name in given} == given
    assert recipe.inputs == "changes"


def test_the_base_is_the_best_on_the_validation_set(table, tmp_path):
    assert fitted(table(1000)).base == "ridge"
    # A pattern that repeats exactly, for a regression whose lags do not reach it.
    pattern = np.random.default_rng(0).normal(size=300)
    lines = "\n".join(f"{v:.6f}" for v in np.tile(pattern, 5))
    (tmp_path / "s.csv").write_text("a\n" + lines)
    data = TASK.from_file(tmp_path / "s.csv", TASK.recipe_for(None))
    recipe = fitted(data)
    assert recipe.season == 300
    levels = TASK.levels(data, recipe, "validation")
    assert levels["seasonal naive"] < 1e-9


def test_a_season_as_long_as_the_training_part_is_refused(table):
    data = table(100)
    with pytest.raises(UserError, match="--season must be shorter .*: 60 timesteps"):
        TASK.check(data, fitted(data, season=60))


def test_columns_are_separate_unless_one_of_them_is_the_target(table):
    assert fitted(table(200, columns=3)).columns == "apart"
    assert fitted(table(200, columns=3), target="c1").columns == "together"


def test_models_that_no_preset_would_hold_are_refused(table):
    data = table(40, columns=900)
    recipe = fitted(data, columns="together", units=5000, horizon=6)
    with pytest.raises(UserError, match="Take --columns apart"):
        TASK.check(data, recipe)
    TASK.check(data, fitted(data))


def test_the_last_timesteps_do_not_change_what_is_learned(table):
    import dataclasses

    data = table(400)
    recipe, values = fitted(data), data.values.copy()
    values[data.ends[1] :] += 9
    other = dataclasses.replace(data, values=values)
    assert fitted(other) == recipe
