"""Makes the arguments of a command from the fields of a dataclass.

A field is annotated with its type and, through `typing.Annotated`, with a `Positional`
or a `Keyword`. The argument takes its name, type and default from the field. Fields
without such an annotation are not arguments.

    @dataclasses.dataclass(frozen=True)
    class Options:
        preset: Annotated[str, Positional("the preset", "PRESET")]
        length: Annotated[int | None, Keyword("what is added", "N")] = None
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from zoo.cli.parser import Parser
from zoo.plain.annotations import Annotation, annotations_of
from zoo.system.errors import UserError


@dataclasses.dataclass(frozen=True)
class Positional:
    """A positional argument. A list takes several values.

    Args:
        words: Its help text, as a format string of `argparse`.
        metavar: Its name in the help; `zoo.cli.completion` knows some of them.
        least: Minimum length of a list, 0 or 1.
    """

    words: str | None
    metavar: str | None = None
    least: int = 0


@dataclasses.dataclass(frozen=True)
class Keyword:
    """An option. It is a flag if its type is `bool`, and is repeated for a list.

    Args:
        words: Its help text, as a format string of `argparse`.
        metavar: Name of its value in the help; `zoo.cli.completion` knows some of them.
        flag: Its name on the command line; None: that of the field, with dashes.
        group: Heading of its group in the help.
        either: Options with the same word here exclude each other.
        known: Some of the words that it takes, for completion.
        empty: Whether "" is a valid value.
    """

    words: str
    metavar: str | None = None
    flag: str | None = None
    group: str | None = None
    either: str | None = None
    known: Sequence[str] = ()
    empty: bool = False


def flag_of(name: str) -> str:
    """The option of a field."""
    return f"--{name.replace('_', '-')}"


def add_options(parser: Parser, options: type) -> None:
    """Adds the arguments of a dataclass to a parser."""
    either: dict[str, Any] = {}
    for field, annotation in _arguments(options):
        note = annotation.note
        if isinstance(note, Positional):
            _add_positional(parser, field, annotation)
            continue
        group: Any = parser if note.group is None else parser.group(note.group)
        if note.either is not None:
            if note.either not in either:
                either[note.either] = group.add_mutually_exclusive_group()
            group = either[note.either]
        default = None if field.default is dataclasses.MISSING else field.default
        add_option(
            group,
            note.flag or flag_of(field.name),
            annotation.kind,
            note.words,
            name=field.name,
            default=default,
            required=_is_required(field),
            metavar=note.metavar,
            choices=annotation.choices or None,
            known=note.known,
        )


def add_option(
    group: Any,
    flag: str,
    kind: type,
    words: str,
    *,
    name: str,
    metavar: str | None = None,
    choices: Sequence[str] | None = None,
    known: Sequence[str] = (),
    default: Any = None,
    required: bool = False,
) -> None:
    """Adds one option; see `Keyword`."""
    if kind is bool:
        group.add_argument(flag, dest=name, action="store_true", help=words)
        return
    action = group.add_argument(
        flag,
        dest=name,
        action="append" if kind is list else "store",
        type=str if kind is list else kind,
        choices=choices,
        default=default,
        required=required,
        metavar=metavar,
        help=words,
    )
    action.known = list(known)


Options = TypeVar("Options")


def read(options: type[Options], namespace: argparse.Namespace, **more: Any) -> Options:
    """Makes the dataclass from what was parsed.

    Args:
        options: The dataclass.
        namespace: What the parser returned.
        **more: Fields that are not arguments.

    Raises:
        UserError: If a name or a path is "", as from an unset variable in a script.
    """
    values = {}
    for field, annotation in _arguments(options):
        value = getattr(namespace, field.name, None)
        flag = getattr(annotation.note, "flag", None) or field.name
        if not getattr(annotation.note, "empty", False):
            refuse_empty(flag, value)
        if value is not None:
            values[field.name] = value
    return options(**values, **more)


def refuse_empty(name: str, value: Any) -> None:
    """Raises `UserError` if the value of an option is "", or a list with ""."""
    if "" in (value if isinstance(value, list) else [value]):
        shown = name.lstrip("-").replace("_", "-")
        raise UserError(f"`{shown}` must not be empty.")


def _add_positional(
    parser: Parser, field: dataclasses.Field, annotation: Annotation
) -> None:
    note = annotation.note
    many = "+" if note.least else "*"
    parser.add_argument(
        field.name,
        nargs=many if annotation.kind is list else None,
        metavar=note.metavar,
        choices=annotation.choices or None,
        help=note.words,
    )


def _arguments(options: type) -> Iterator[tuple[dataclasses.Field, Annotation]]:
    annotations = annotations_of(options)
    for field in dataclasses.fields(options):
        annotation = annotations[field.name]
        if isinstance(annotation.note, Positional | Keyword):
            yield field, annotation


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING
