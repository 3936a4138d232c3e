import dataclasses
from typing import Annotated, Literal

import pytest

from zoo.plain.annotations import Annotation, annotations_of
from zoo.tasks import TASKS


@dataclasses.dataclass
class Parent:
    whole: Annotated[int, "A whole number."] = 1
    maybe: Annotated[float | None, "Perhaps a number."] = None
    one: Annotated[Literal["a", "b"], "One of two."] = "a"
    many: Annotated[list[str], "Some."] = dataclasses.field(default_factory=list)
    plain: bool = False


@dataclasses.dataclass
class Child(Parent):
    whole: int = 2
    maybe: Annotated[float | None, "Another number."] = 1.0


def test_types_and_notes_are_read():
    assert annotations_of(Parent) == {
        "whole": Annotation(int, note="A whole number."),
        "maybe": Annotation(float, True, note="Perhaps a number."),
        "one": Annotation(str, choices=("a", "b"), note="One of two."),
        "many": Annotation(list, note="Some."),
        "plain": Annotation(bool),
    }


def test_a_note_is_inherited_until_there_is_another():
    found = annotations_of(Child)
    assert found["whole"].note == "A whole number."
    assert found["maybe"].note == "Another number."


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.NAME)
def test_every_field_of_a_recipe_says_what_it_is(task):
    for name, annotation in annotations_of(type(task.recipe_for(None))).items():
        assert annotation.kind in (int, float, str), name
        assert annotation.note[0].isupper() or annotation.note[0] == "`", name
        assert annotation.note.endswith("."), name
