"""Values of JSON held against types by pydantic, and what is wrong with them in words.

Import this where JSON is read, inside the function: pydantic takes 0.1 s to import, and
`bptt-zoo --help` does without it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from zoo.system.reading import require_plain

# A finite number that a float can hold; true and false are none.
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


def _plain(text: str) -> str:
    require_plain(text)
    return text


# What a terminal can show.
Text = Annotated[str, AfterValidator(_plain)]
# By pydantic's name of an error; any other one is told in the words of the caller.
_WORDS = {
    "missing": "{field!r} is missing",
    "extra_forbidden": "{field!r:.100} is not known here",
    "literal_error": "{field} {value}, not {expected}",
    "too_long": "{actual_length:,} {field}, above {max_length}",
}


class Open(BaseModel):
    """A JSON object that may have more than is asked for here."""

    model_config = ConfigDict(strict=True, extra="allow")


class Closed(BaseModel):
    """A JSON object that has what is named here and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid")


Model = TypeVar("Model", bound=BaseModel)


def hold(
    model: type[Model],
    value: Any,
    *,
    wrong: str = "{where} is not what it must be",
) -> Model:
    """Holds a value of JSON against a model.

    Args:
        model: What it must be.
        value: What was read, by `zoo.system.reading`.
        wrong: The error for a value of another kind, with `{field}`, its name;
            `{where}`, its name behind that of the object it is in; `{meant}`, its
            description; `{kind}`, the type that came; and `{value}`.

    Raises:
        ValueError: Says in one sentence what is wrong first.

    Example:
        from zoo.system.validation import Count, Open, hold

        class Piece(Open):
            frames: Count

        assert hold(Piece, {"frames": 3, "name": "x"}).frames == 3
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    if first["type"] == "value_error":  # one of the zoo's own
        raise ValueError(str(first["ctx"]["error"]))
    names, meant = _names(model, first["loc"])
    raise ValueError(
        _WORDS.get(first["type"], wrong).format(
            field=names[-1],
            where=": ".join(names),
            meant=meant,
            kind=type(first["input"]).__name__,
            value=f"{first['input']!r:.100}",
            **first.get("ctx", {}),
        )
    )


def _names(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[list, str]:
    """The names of fields that lead to a place, and the description of the last one.

    What comes after them are keys of the file's own, which may be anything.
    """
    names, inside, meant = [], model, "an object"
    for name in place:
        names.append(str(name))
        field = inside.model_fields.get(str(name))
        if field is None:
            break
        meant = field.description or ""
        if not isinstance(field.annotation, type):
            break
        if not issubclass(field.annotation, BaseModel):
            break
        inside = field.annotation
    return names or ["it"], meant
