import dataclasses

import pytest

from zoo.plain.annotations import annotations_of
from zoo.recipes.recipe import LAYERS, SQUARES
from zoo.tasks import TASKS


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.NAME)
@pytest.mark.parametrize("size", [10**9 + 1, 10**300])
def test_recipes_refuse_sizes_that_no_machine_has(task, size):
    recipe = task.recipe_for(None)
    kinds = annotations_of(type(recipe))
    names = [n for n, a in kinds.items() if a.kind is int and n != "seed"]
    assert {"units", "steps"} & set(names)
    for name in names:
        values = dataclasses.asdict(recipe) | {name: size}
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            task.recipe_from(values)


def test_generated_data_are_bounded():
    recipe = TASKS["delayed-echo"].recipe_for(None)
    with pytest.raises(ValueError, match="`length` must be at most 500 in 40,000 rows"):
        dataclasses.replace(recipe, batch_size=40_000)
    recipe = TASKS["influence-balancing"].recipe_for(None)
    with pytest.raises(ValueError, match="`steps` must be at most"):
        dataclasses.replace(recipe, steps=10**8)
    for name in ("adding", "copy-memory"):
        with pytest.raises(ValueError, match=r"`steps` must be in \[., 10,000\]"):
            dataclasses.replace(TASKS[name].recipe_for(None), steps=10_001)


def test_the_error_of_a_huge_number_is_short():
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(TASKS["adding"].recipe_for(None), units=10**4000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("layer", LAYERS)
def test_a_model_that_no_preset_holds_is_refused_before_it_is_built(layer):
    recipe = dataclasses.replace(TASKS["char-lm"].recipe_for(None), layer=layer)
    assert dataclasses.replace(recipe, units=4_000).units == 4_000
    if layer in SQUARES:
        with pytest.raises(ValueError, match="`units` must be so small that 4 layers"):
            dataclasses.replace(recipe, units=10_000, layers=4)
