"""Recipes from JSON, each value of the type that its field has.

Import this where a recipe is read, inside the function: it imports pydantic.
"""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from zoo.plain.annotations import annotations_of
from zoo.recipes.recipe import Training
from zoo.recipes.stored import RecipeT
from zoo.system.validation import Open, hold


class RecipeFile(Open):
    """A file of `bptt-zoo tune`: the recipe, and what else it says of the trial."""

    task: str
    recipe: dict[str, Any]


def read_recipe(kind: type[RecipeT], values: Any) -> RecipeT:
    """The recipe that JSON tells of; what is no field of it is passed over.

    Args:
        kind: Class of the recipe.
        values: `{field: value}`, as JSON has it.

    Raises:
        TypeError: If a value is of another type.
        ValueError: If one is out of its range.

    Example:
        from zoo.recipes.reading import read_recipe
        from zoo.recipes.recipe import Recipe

        assert read_recipe(Recipe, {"units": 3}) == Recipe(units=3)
    """
    model = _model_of(kind)
    try:
        given = hold(model, values, wrong="{field} is not {meant}")
    except ValueError as error:
        raise TypeError(str(error)) from None
    # As they were written: 1 stays 1 where any number may be.
    return kind(**{name: values[name] for name in given.model_fields_set})


def _model_of(kind: type[Training]) -> type[BaseModel]:
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {
        name: (hints[name], Field(None, description=str(annotation)))
        for name, annotation in annotations_of(kind).items()
    }
    config = ConfigDict(strict=True, extra="ignore")
    return create_model(kind.__name__, __config__=config, **fields)
