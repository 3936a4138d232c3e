"""What must be the same when a training is resumed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from bptt_keras.resume.position import facts
from bptt_keras.training.steps import Fit

# Arguments of `fit` that determine the course of the training.
_ARGUMENTS = (
    "batch_size",
    "shuffle",
    "steps_per_epoch",
    "initial_epoch",
    "class_weight",
    "validation_split",
    "validation_freq",
)
_NUMBERED = re.compile(r"_\d+$")


def configuration(fit: Fit, callbacks: list[Any]) -> dict[str, Any]:
    """What a training is, for JSON: model, trainer, arguments, data and callbacks."""
    trainer, arguments = fit.trainer, fit.arguments
    known = {
        "trainer": _config(trainer),
        "compile": _compiled(trainer),
        "fit": {name: arguments.get(name) for name in _ARGUMENTS},
        "data": facts(fit.x, arguments.get("y"), arguments.get("sample_weight")),
        "callbacks": [
            getattr(callback, "stands_for", type(callback).__name__)
            for callback in callbacks
        ],
    }
    return json.loads(json.dumps(_unnumbered(known), default=str, sort_keys=True))


class Difference(NamedTuple):
    """A value that is another one now.

    Fields:
        path: Where it is, such as `compile.optimizer.config.learning_rate`.
        before: The value of before, from JSON.
        now: That of now.
    """

    path: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.path}: {_short(self.before)} before, {_short(self.now)} now"

    def is_within(self, paths: Sequence[str]) -> bool:
        """Whether one of the paths leads to it, or to what contains it."""
        return any(
            self.path == path or self.path.startswith((f"{path}.", f"{path}["))
            for path in paths
        )


def differences(before: Any, now: Any, path: str = "") -> Iterator[Difference]:
    """All values from JSON that differ, in an order that does not change."""
    if isinstance(before, dict) and isinstance(now, dict):
        # The sizes first, for they say more than a digest.
        for key in sorted({*before, *now}, key=lambda k: (k == "digest", k)):
            place = f"{path}.{key}" if path else key
            yield from differences(before.get(key), now.get(key), place)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif before != now and repr(before) != repr(now):  # NaN
        yield Difference(path, before, now)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else text[:200] + "..."


def _config(trainer: Any) -> Any:
    try:
        known = keras.saving.serialize_keras_object(trainer)
        return {k: v for k, v in known.items() if k != "compile_config"}
    except Exception:  # A model of the user's that cannot be saved.
        variables = trainer.model.variables
        return {
            "class_name": type(trainer.model).__name__,
            "variables": [[v.path, *v.shape] for v in variables],
        }


def _compiled(trainer: Any) -> Any:
    known = {"steps_per_execution": trainer.steps_per_execution}
    try:
        return {**(trainer.get_compile_config() or {}), **known}
    except Exception:  # A loss of the user's that cannot be saved.
        return {"optimizer": trainer.optimizer.get_config(), **known}


def _unnumbered(value: Any) -> Any:
    """Without the numbers that Keras gives to names: `lstm_1` in a second notebook."""
    if isinstance(value, dict):
        return {
            str(key): _unnumbered(part)
            for key, part in value.items()
            if key not in ("build_config", "registered_name", "module")
        }
    if isinstance(value, list | tuple):
        return [_unnumbered(part) for part in value]
    return _NUMBERED.sub("", value) if isinstance(value, str) else value
