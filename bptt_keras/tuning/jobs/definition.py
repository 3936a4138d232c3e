"""The definition of a job: if it has changed, an error names the changes."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import keras_tuner
import numpy as np


class ChangedError(ValueError):
    """A folder holds a job with a different space, objective, data or setting.

    Example:
        import keras, keras_tuner, bptt_keras as bk

        class Parabola(keras_tuner.HyperModel):
            def build(self, hp):
                hp.Int("x", -self.most, self.most)
                return keras.Sequential()

            def fit(self, hp, model, **_):
                return float(hp.get("x") ** 2)

        objective = keras_tuner.Objective("square", "min")
        for Parabola.most in (4, 5):
            tuner = bk.tuning.RandomSearch(
                Parabola(), objective, max_trials=1, directory="runs",
                project_name="changed",
            )
            try:
                tuner.search(verbose=0)
            except bk.tuning.ChangedError as error:
                assert "x was -4 to 4, is -5 to 5" in str(error)
    """


def describe_space(hyperparameters: keras_tuner.HyperParameters) -> dict[str, str]:
    """Describes the ranges of a `keras_tuner.HyperParameters`, for JSON.

    Returns:
        `{name: text}`, in the order of the space. A name that occurs more than once,
        under different conditions, has all its ranges.
    """
    described: dict[str, str] = {}
    for entry in hyperparameters.space:
        text = _range(entry.get_config())
        name = entry.name
        described[name] = f"{described[name]}; {text}" if name in described else text
    return described


def _range(config: dict[str, Any]) -> str:
    if "values" in config:
        text = f"one of {config['values']}"
    elif "value" in config:
        text = f"{config['value']}"
    elif "min_value" in config:
        text = f"{config['min_value']} to {config['max_value']}"
        # Integers have a step of 1 by default.
        if config.get("step") not in (None, 1):
            text += f", step {config['step']}"
        if config.get("sampling") not in (None, "linear"):
            text += f", {config['sampling']}"
    else:
        text = "true or false"
    conditions = [
        f"{c['config']['name']} in {c['config']['values']}"
        for c in config.get("conditions", ())
    ]
    return text + (f" if {' and '.join(conditions)}" if conditions else "")


def describe_data(value: Any) -> Any:
    """Describes data or an argument of `fit` in a definition, for JSON.

    Numbers and strings describe themselves; arrays are described by shape, dtype and
    checksum, anything else by its type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): describe_data(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list) and not _is_numbers(value):
        return [describe_data(entry) for entry in value]
    if isinstance(value, np.ndarray | tuple | list) or hasattr(value, "__array__"):
        array = np.ascontiguousarray(value)
        if array.dtype.hasobject:
            # Its bytes are addresses, which differ in every process.
            return describe_data(array.tolist())
        content = hashlib.sha256(array.tobytes()).hexdigest()[:12]
        return f"array {array.shape} {array.dtype} {content}"
    return type(value).__name__


def _is_numbers(value: tuple | list) -> bool:
    return bool(value) and all(isinstance(entry, int | float) for entry in value)


def refuse_changes(
    old: dict[str, Any], new: dict[str, Any], *, extend: bool, folder: str | os.PathLike
) -> None:
    """Refuses a job that differs from the one that its folder was created for.

    Args:
        old: The stored definition: `{"space": {name: range}, ...: value}`.
        new: The definition now.
        extend: Whether the space may differ.
        folder: Folder of the job, for the error.

    Raises:
        ChangedError: If they differ. It names the differences, with old and new values.
    """
    fixed = _differences(_without_space(old), _without_space(new))
    space = _differences(old.get("space", {}), new.get("space", {}))
    if fixed:
        raise ChangedError(
            f"The job in {folder} was begun with something else: {'; '.join(fixed)}. "
            "Its trials cannot be compared with new ones. Take another folder, or go "
            "on as before."
        )
    if space and not extend:
        raise ChangedError(
            f"The job in {folder} was begun with another space: {'; '.join(space)}. "
            "Take another folder, or extend the job on purpose (`extend=True`, "
            "--extend)."
        )


def _without_space(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key != "space"}


def _differences(
    old: dict[str, Any], new: dict[str, Any], prefix: str = ""
) -> list[str]:
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name in old and name in new and old[name] == new[name]:
            continue
        before, after = old.get(name, "not there"), new.get(name, "not there")
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name} was {before}, is {after}")
    return found
