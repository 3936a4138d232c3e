"""The search space of a job: the fields of a recipe that vary, and their ranges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from zoo.plain.annotations import annotations_of
from zoo.recipes.clipping import KINDS
from zoo.recipes.ranges import NONE, Choices, Range
from zoo.recipes.recipe import Training
from zoo.system.errors import UserError


@dataclasses.dataclass(frozen=True)
class Space:
    """The ranges of the fields that vary, and a recipe for the other fields.

    Args:
        recipe: The recipe.
        ranges: `{field: Range or Choices}`. The clipping thresholds are named
            `clip_global_norm` and so on, one for each kind in `clipping`.
    """

    recipe: Training
    ranges: dict[str, Range | Choices]

    def recipe_of(self, values: dict[str, Any], **changes: Any) -> Training:
        """The recipe with the values of a trial.

        Args:
            values: `{name: value}`, for names in `ranges`.
            **changes: Values of other fields.

        Raises:
            ValueError: If a value is out of range.
        """
        given = {k: v for k, v in values.items() if not k.startswith("clip")}
        kind = values.get("clipping", self.recipe.clipping)
        threshold = threshold_of(kind)
        if kind == NONE:
            given |= {"clip": None}
        elif "clipping" in values or threshold in values:
            given |= {"clipping": kind}
            if threshold in values:
                given["clip"] = values[threshold]
        given = {k: None if v == NONE else v for k, v in given.items()}
        return dataclasses.replace(self.recipe, **{**given, **changes})

    def declare(self, hp: Any) -> None:
        """Declares all ranges to a `keras_tuner.HyperParameters`."""
        thresholds = {threshold_of(kind): kind for kind in KINDS}
        for name, allowed in self.ranges.items():
            kind = thresholds.get(name)
            if kind is not None and "clipping" in self.ranges:
                with hp.conditional_scope("clipping", [kind]):
                    _declare(hp, name, allowed, self._default(name, kind))
            else:
                _declare(hp, name, allowed, self._default(name, kind))

    def describe(self) -> dict[str, dict]:
        """For JSON and reports."""
        return {name: allowed.describe() for name, allowed in self.ranges.items()}

    def fitting(self, refuse: Callable[[Training], None], own: Sequence[str]) -> Space:
        """The space without the choices that the data rule out.

        Args:
            refuse: Raises `UserError` for a recipe that does not suit the data.
            own: Fields whose ranges the user gave: unsuitable choices of these raise an
                error instead.

        Raises:
            UserError: As `refuse`, for what the user asked for, or if only a single
                value remains in the whole space.
        """
        ranges = {}
        for name, allowed in self.ranges.items():
            kept: Range | Choices = allowed
            if isinstance(allowed, Choices) and name != "clipping":
                values = []
                for value in allowed.values:
                    try:
                        refuse(self.recipe_of({name: value}))
                        values.append(value)
                    except UserError as error:
                        if name in own:
                            raise
                        print(f"Not tried: {name} {value}. {error}")
                kept = Choices(tuple(values))
            if kept == allowed or (isinstance(kept, Choices) and len(kept.values) > 1):
                ranges[name] = kept
        if not ranges:
            raise UserError("No value is left to vary: give a field a range.")
        return dataclasses.replace(self, ranges=ranges)

    def _default(self, name, kind):
        """The recipe's own value, moved into the range."""
        allowed = self.ranges[name]
        if name == "clipping":
            value = NONE if self.recipe.clip is None else self.recipe.clipping
        elif kind is not None:
            own = kind == self.recipe.clipping and self.recipe.clip is not None
            value = self.recipe.clip if own else None
        else:
            value = getattr(self.recipe, name)
            value = NONE if value is None else value
        if isinstance(allowed, Choices):
            return value if value in allowed.values else allowed.values[0]
        if value is None or value == NONE:
            return allowed.middle
        return min(max(value, allowed.low), allowed.high)


def _declare(hp: Any, name: str, allowed: Range | Choices, default: Any) -> None:
    if isinstance(allowed, Choices):
        hp.Choice(name, list(allowed.values), default=default, ordered=False)
        return
    make = hp.Int if allowed.whole else hp.Float
    sampling = "log" if allowed.log else "linear"
    make(name, allowed.low, allowed.high, sampling=sampling, default=default)


def threshold_of(kind: str) -> str:
    """The name of the threshold of a kind of clipping in a space."""
    return f"clip_{kind.replace('-', '_')}"


def space_of(
    task: Any,
    recipe: Training,
    options: dict[str, str],
    vary: Sequence[str] | None = None,
) -> Space:
    """The space of a job: what the task declares, changed by the options.

    Args:
        task: A `Task`.
        recipe: The recipe to vary.
        options: `{field: text}`: one value, which is then fixed; `LOW:HIGH`, or
            `LOW:HIGH:log`; or values separated by commas.
        vary: Which of the fields that the task declares to vary; None: all.

    Raises:
        UserError: If a field is unknown, or a text is not a value or range of it.
    """
    types = {name: str(kind) for name, kind in annotations_of(type(recipe)).items()}
    ranges = dict(task.tuned(recipe))
    for name in vary or ():
        if name not in ranges:
            raise UserError(
                f"`--vary` must be of: {', '.join(ranges)}. Received: {name}. Other "
                f"fields are varied by a range: --{name.replace('_', '-')} LOW:HIGH"
            )
    if vary is not None:
        ranges = {name: ranges[name] for name in ranges if name in vary}
    fixed: dict[str, Any] = {}
    for name, text in options.items():
        if name not in types:
            known = ", ".join(sorted(types))
            raise UserError(f"A recipe of {task.NAME} has no {name}. It has: {known}.")
        if name == "clip":
            # Its kind is only known together with `clipping`.
            continue
        allowed = _parsed(name, text, types[name])
        if isinstance(allowed, Range | Choices):
            ranges[name] = allowed
        else:
            ranges.pop(name, None)
            fixed[name] = allowed
    kind = fixed.pop("clipping", None)
    if kind is not None:
        # With one kind, vary only its threshold.
        ranges = {k: v for k, v in ranges.items() if not k.startswith("clip_")}
        ranges.pop("clipping", None)
        if kind == NONE:
            fixed["clip"] = None
        else:
            known_kind(kind)
            fixed["clipping"] = kind
            ranges[threshold_of(kind)] = tried = Range(*KINDS[kind][1])
            if recipe.clipping != kind or recipe.clip is None:
                fixed["clip"] = tried.middle
    elif "clipping" in ranges:
        for one in ranges["clipping"].values:
            if one != NONE:
                known_kind(one)
                ranges.setdefault(threshold_of(one), Range(*KINDS[one][1]))
        kept = {threshold_of(one) for one in ranges["clipping"].values}
        ranges = {
            k: v for k, v in ranges.items() if not k.startswith("clip_") or k in kept
        }
    if "clip" in options:
        kinds = [k for k in KINDS if threshold_of(k) in ranges]
        if len(kinds) != 1:
            raise UserError(
                "`--clip` needs one kind of clipping to be the threshold of. Name it, "
                f"such as --clipping {next(iter(KINDS))}."
            )
        allowed = _parsed("clip", options["clip"], types["clip"])
        if isinstance(allowed, Range | Choices):
            ranges[threshold_of(kinds[0])] = allowed
        else:
            del ranges[threshold_of(kinds[0])]
            fixed["clip"] = allowed
    try:
        recipe = dataclasses.replace(recipe, **fixed)
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
    if not ranges:
        raise UserError("Every value is fixed: there is nothing to search.")
    space = Space(recipe, ranges)
    _check_ends(space)
    return space


def known_kind(kind: str) -> None:
    """Raises `UserError` unless there is such a kind of clipping."""
    if kind not in KINDS:
        known = ", ".join([NONE, *KINDS])
        raise UserError(f"`--clipping` must be of: {known}. Received: {kind}")


def _check_ends(space: Space) -> None:
    """Refuses ranges with an end that the recipe does not allow."""
    for name, allowed in space.ranges.items():
        ends = (
            allowed.values
            if isinstance(allowed, Choices)
            else (allowed.low, allowed.high)
        )
        for value in ends:
            values = {name: value}
            if name.startswith("clip_"):
                kind = next(k for k in KINDS if threshold_of(k) == name)
                values["clipping"] = kind
            try:
                space.recipe_of(values)
            except (TypeError, ValueError) as error:
                raise UserError(f"In the range of {name}: {error}") from None


def _parsed(name: str, text: str, annotation: str) -> Any:
    """A value, a `Range` or `Choices`."""
    option = f"--{name.replace('_', '-')}"
    kind = annotation.split(" ")[0]
    if ":" in text and kind != "str":
        parts = text.split(":")
        log = len(parts) == 3 and parts[2] == "log"
        if len(parts) != 2 + log:
            raise UserError(
                f"`{option}` must be VALUE, LOW:HIGH, LOW:HIGH:log or A,B,C. Received: "
                f"{text}"
            )
        low, high = (_value(option, part, kind, None) for part in parts[:2])
        if low is None or high is None or not low < high:
            raise UserError(f"`{option}` is an empty range: {text}")
        if log and not low > 0:
            raise UserError(f"`{option}` must be above 0 for a log range: {text}")
        return Range(low, high, log, kind == "int")
    values = [_value(option, part, kind, annotation) for part in text.split(",")]
    if len(values) == 1:
        return None if values[0] == NONE and kind != "str" else values[0]
    if len(set(values)) < len(values):
        raise UserError(f"`{option}` has a value twice: {text}")
    return Choices(tuple(values))


def _value(option: str, text: str, kind: str, annotation: str | None) -> Any:
    text = text.strip()
    if annotation is not None and text == NONE and "None" in annotation:
        return NONE
    if kind == "str":
        return text
    try:
        return {"int": int, "float": float}[kind](text)
    except ValueError:
        words = {"int": "an integer", "float": "a number"}[kind]
        raise UserError(f"`{option}` must be {words}. Received: {text!r}") from None
