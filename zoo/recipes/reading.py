"""Reads recipes from JSON and checks each value against the type of its field.

Import this inside the function that reads a recipe: it imports pydantic.
"""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from zoo.plain.annotations import annotations_of
from zoo.recipes.recipe import Training
from zoo.recipes.stored import RecipeT
from zoo.system.validation import Open, validate


class RecipeFile(Open):
    """A file of `bptt-zoo tune`: the recipe and other facts about the trial."""

    task: str
    recipe: dict[str, Any]


def read_recipe(kind: type[RecipeT], values: Any) -> RecipeT:
    """The recipe from JSON values; unknown fields are ignored.

    Args:
        kind: Class of the recipe.
        values: `{field: value}`, as read from JSON.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value is out of range.

    Example:
        from zoo.recipes.reading import read_recipe
        from zoo.recipes.recipe import Recipe

        assert read_recipe(Recipe, {"units": 3}) == Recipe(units=3)
    """
    model = _model_of(kind)
    try:
        given = validate(model, values, wrong="{field} is not {meant}")
    except ValueError as error:
        raise TypeError(str(error)) from None
    # The values as written: 1 stays 1 where any number is allowed.
    return kind(**{name: values[name] for name in given.model_fields_set})


def _model_of(kind: type[Training]) -> type[BaseModel]:
    hints = typing.get_type_hints(kind)
    fields: dict[str, Any] = {
        name: (hints[name], Field(None, description=str(annotation)))
        for name, annotation in annotations_of(kind).items()
    }
    config = ConfigDict(strict=True, extra="ignore")
    return create_model(kind.__name__, __config__=config, **fields)
