"""Checks the state of a job before it is restored: its file may be untrusted."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bptt_keras.tuning.jobs.store import DamagedError

# What a name of a trial may be: its folder has it, too.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_KINDS = {"Fixed", "Float", "Int", "Choice", "Boolean", "Parent"}
_STATUSES = {"RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED"}
_FACTS: dict[str, type | tuple[type, ...]] = {
    "worker": str,
    "begun": bool,
    "attempts": int,
    "deaths": int,
    "cut": bool,
    "seconds": (int, float),
    "cause": str,
    "curve": list,
    "seeds": list,
}


# What KerasTuner raises for values that are not its own.
_NO_STATE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextlib.contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Within: a failure to restore a state is told in one sentence.

    Args:
        path: The file that holds it.

    Raises:
        DamagedError: In place of what was raised.
    """
    try:
        yield
    except _NO_STATE as error:
        words = f"{' '.join(str(error).split()) or type(error).__name__:.300}"
        raise DamagedError(
            f"{path} holds no state of such a job: {words}. Start the job in another "
            f"folder."
        ) from None


def check_state(state: Any) -> None:
    """Checks what may lead out of the folder of a job, or fail only later.

    KerasTuner checks the rest when it restores its trials.

    Args:
        state: What `DurableOracle.get_state` returned, as read from a file.

    Raises:
        ValueError: Names the entry that is wrong.
    """
    definition = _entry(state, "definition", dict)
    _entry(definition, "space", dict)
    names = [_entry(entry, "trial_id", str) for entry in _entry(state, "trials", list)]
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"`trial_id` is {name!r:.60}, which is no name of a trial")
    if len(set(names)) < len(names):
        raise ValueError("`trials` has two trials of one name")
    for entry in state["trials"]:
        if _entry(entry, "status", str) not in _STATUSES:
            raise ValueError(f"`status` is {entry['status']!r:.60}")
    for entry in (state, *state["trials"]):
        _check_values(_entry(entry, "hyperparameters", dict), names)
    for worker, name in _entry(state, "ongoing_trials", dict).items():
        _require_known(name, names, f"ongoing_trials.{worker:.60}")
    for key in ("retry_queue", "start_order", "end_order"):
        for name in _entry(state, key, list):
            _require_known(name, names, key)
    for key in ("seed", "seed_state"):
        _entry(state, key, int)
    for key in ("run_times", "id_to_hash"):
        _entry(state, key, dict)
    spent = _entry(state, "spent", (int, float))
    if not 0 <= spent < math.inf:
        raise ValueError(f"`spent` is {spent}, which is no number of seconds")
    for facts in _entry(state, "facts", dict).values():
        _check_facts(facts)


def _check_values(hyperparameters: dict[str, Any], names: list[str]) -> None:
    """Checks the space and the values of a trial."""
    for kind in _kinds(_entry(hyperparameters, "space", list)):
        if kind not in _KINDS:
            raise ValueError(f"`space` has a {kind!r:.60}, which KerasTuner has not")
    for name, value in _entry(hyperparameters, "values", dict).items():
        if value is not None and not isinstance(value, bool | int | float | str):
            raise ValueError(f"the value of {name!r:.60} is neither number nor text")
    # Hyperband's: the trial whose weights this one begins with.
    earlier = hyperparameters["values"].get("tuner/trial_id")
    if earlier is not None:
        _require_known(earlier, names, "tuner/trial_id")


def _kinds(value: Any) -> Iterator[Any]:
    """The names of all classes that are to be made."""
    if isinstance(value, list):
        for item in value:
            yield from _kinds(item)
    elif isinstance(value, dict):
        # Keras would import what the other keys name.
        if "class_name" in value:
            yield value["class_name"] if isinstance(value["class_name"], str) else None
        if {"module", "registered_name"} & set(value):
            yield value.get("module", "module")
        yield from _kinds(list(value.values()))


def _check_facts(facts: Any) -> None:
    for key, kind in _FACTS.items():
        if isinstance(facts, dict) and key not in facts:
            continue
        value = _entry(facts, key, kind)
        if isinstance(value, list) and not all(map(_is_number, value)):
            raise ValueError(f"`{key}` is no list of numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require_known(name: Any, names: list[str], where: str) -> None:
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"`{where}` is {name!r:.60}, which is none of the trials")


def _entry(owner: Any, key: str, kind: type | tuple[type, ...]) -> Any:
    """An entry of an object, if it has the type.

    Raises:
        ValueError: If the object is none, has no such entry, or one of another type.
    """
    if not isinstance(owner, Mapping):
        raise ValueError(f"what has `{key}` is a {type(owner).__name__}, no object")
    if key not in owner:
        raise ValueError(f"`{key}` is missing")
    value = owner[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"`{key}` is a {type(value).__name__}")
    return value
