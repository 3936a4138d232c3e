import dataclasses

import pytest

import zoo
from zoo.runs.training import Run
from zoo.system.errors import ZooError
from zoo.tasks import TASKS
from zoo.tasks.influence_balancing import OPTIMUM, InfluenceRecipe

TASK = TASKS["influence-balancing"]


def run(folder, **changes):
    recipe = dataclasses.replace(TASK.recipe_for(None), **changes)
    return Run(TASK, TASK.load("influence-23", None, recipe), recipe, folder)


@pytest.mark.slow
def test_windows_that_are_too_short_end_in_a_clear_error(tmp_path, capsys):
    with pytest.raises(ZooError, match="no longer a number in epoch 1"):
        run(tmp_path, window=10).fit()
    assert "point the wrong way" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"window": 256, "mean_window": 16.0}])
def test_long_windows_and_unbiased_ones_find_the_optimum(tmp_path, changes):
    preset = run(tmp_path, **changes).fit()
    theta = float(preset.model.trainable_weights[0])
    assert theta == pytest.approx(OPTIMUM, abs=1e-5)
    assert preset.metadata["metric"]["value"] == pytest.approx(
        abs(theta - OPTIMUM), abs=1e-6
    )
    assert zoo.from_preset(tmp_path).model.count_params() == 1


@pytest.mark.parametrize("mean", [1.0, 151.0])
def test_a_mean_window_must_be_below_the_longest(mean):
    with pytest.raises(ValueError, match="`mean_window` must be above 1, and at most"):
        InfluenceRecipe(mean_window=mean)
