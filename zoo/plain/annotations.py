"""Reads the annotations of a dataclass: types of its fields, and notes."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The annotation of a field.

    Args:
        kind: `int`, `float`, `str`, `bool` or `list` (of texts); for a `Literal` the
            type of its values.
        optional: Whether None is also a value.
        choices: Values of a `Literal`; empty: any value of the type.
        note: The metadata of an `Annotated`, or None. A field that a subclass declares
            again without a note keeps its note.
    """

    kind: type
    optional: bool = False
    choices: tuple[Any, ...] = ()
    note: Any = None

    def __str__(self):
        return self.kind.__name__ + (" | None" if self.optional else "")


def annotations_of(cls: type) -> dict[str, Annotation]:
    """The annotations of a dataclass's fields, in their order.

    Args:
        cls: The dataclass. Annotations that are strings are evaluated.

    Example:
        import dataclasses
        from typing import Annotated
        from zoo.plain.annotations import annotations_of

        @dataclasses.dataclass
        class Piece:
            frames: Annotated[int | None, "How long it is."] = None

        found = annotations_of(Piece)["frames"]
        assert (str(found), found.note) == ("int | None", "How long it is.")
    """
    notes: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        hints = typing.get_type_hints(base, include_extras=True)
        notes |= {
            name: hint.__metadata__[0] for name, hint in hints.items() if _noted(hint)
        }
    return {
        field.name: _read(hints[field.name], notes.get(field.name))
        for field in dataclasses.fields(cls)
    }


def _noted(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Annotated


def _read(hint: Any, note: Any) -> Annotation:
    if _noted(hint):
        hint = hint.__origin__
    optional = False
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        hint, optional = kinds[0], len(kinds) < len(typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return Annotation(type(choices[0]), optional, choices, note)
    return Annotation(typing.get_origin(hint) or hint, optional, (), note)
