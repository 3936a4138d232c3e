"""Validates JSON values with pydantic, and says in words what is wrong with them.

Import this inside the function that reads JSON: pydantic takes 0.1 s to import, and
`bptt-zoo --help` does not need it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from zoo.system.reading import require_plain

# A finite number that a float can hold; true and false are not numbers.
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


def _plain(text: str) -> str:
    require_plain(text)
    return text


# Text that a terminal can show.
Text = Annotated[str, AfterValidator(_plain)]
# pydantic's name of an error -> message. Other errors get the caller's message.
_WORDS = {
    "missing": "{field!r} is missing",
    "extra_forbidden": "{field!r:.100} is not known here",
    "literal_error": "{field} {value}, not {expected}",
    "too_long": "{actual_length:,} {field}, above {max_length}",
}


class Open(BaseModel):
    """A JSON object that may have additional fields."""

    model_config = ConfigDict(strict=True, extra="allow")


class Closed(BaseModel):
    """A JSON object without additional fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


Model = TypeVar("Model", bound=BaseModel)


def validate(
    model: type[Model],
    value: Any,
    *,
    wrong: str = "{where} is not what it must be",
) -> Model:
    """Validates a JSON value against a model.

    Args:
        model: The model.
        value: What `zoo.system.reading` returned.
        wrong: The message for a value of the wrong type, with `{field}`, its name;
            `{where}`, its name after that of its object; `{meant}`, its description;
            `{kind}`, the type received; and `{value}`.

    Raises:
        ValueError: Describes the first problem in one sentence.

    Example:
        from zoo.system.validation import Count, Open, validate

        class Piece(Open):
            frames: Count

        assert validate(Piece, {"frames": 3, "name": "x"}).frames == 3
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
    """The names of the fields that lead to a place, and the last one's description.

    The keys after them are the file's own, and may be anything.
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
