"""Checks the objective of a search, which its trials must log."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
from keras_tuner.errors import FatalValueError

from bptt_keras.keras_internals import COMPILED_METRICS, given_metrics
from bptt_keras.training.trainer import TruncatedBPTT


def check_search(tuner: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Refuses an objective that no trial could log, before the first trial.

    Args:
        tuner: `TrialTuner`.
        args: Arguments of `search` by position.
        kwargs: Arguments of `search` by name.

    Raises:
        ValueError: If `fit` could not log the objective.
    """
    checked = getattr(tuner.hypermodel, "check_search", None)
    if checked is not None:
        checked(tuner.own_oracle.get_space(), args, kwargs)
    taken = getattr(tuner.hypermodel, "validates", None)
    validates = taken(args, kwargs) if taken else asks_to_validate(kwargs)
    for name in names_of(tuner.own_oracle.objective):
        if name.startswith("val_") and not validates:
            raise ValueError(
                f"The objective is {name}, but there are no validation data. Pass "
                "`validation_data` to `search`, or choose another objective."
            )
    if not tuner.has_own_fit and not kwargs.get("callbacks"):
        _check_measured(tuner)


def _check_measured(tuner: Any) -> None:
    """Refuses an objective that the model is not compiled with.

    If a model does not say what it logs, the first epoch will show it.
    """
    names = names_of(tuner.own_oracle.objective)
    if all(name.removeprefix("val_").endswith("loss") for name in names):
        return
    try:
        model = tuner.checked_model(tuner.own_oracle.get_space())
    except Exception:
        # The trial with these values will say why.
        return
    known = _measured(model)
    if known is None:
        return
    for name in names:
        own = name.removeprefix("val_")
        if own.endswith("loss"):
            continue
        # With several outputs, names start with that of the output.
        if not any(own == one or own.endswith(f"_{one}") for one in known):
            raise ValueError(
                f"The objective is {name}, which the model does not measure: its "
                f"logs have {', '.join(['loss', *sorted(known)])}. Compile it with "
                "such a metric, or choose another objective."
            )


def asks_to_validate(arguments: dict[str, Any]) -> bool:
    """Whether `fit` with these arguments validates."""
    return bool(
        arguments.get("validation_data") is not None
        or arguments.get("validation_split")
    )


def refuse_unlogged(objective: keras_tuner.Objective, logs: dict[str, Any]) -> None:
    """Refuses an objective that no epoch of any trial will log.

    Args:
        objective: `keras_tuner.Objective`.
        logs: Logs of an epoch.

    Raises:
        FatalValueError: If the objective is missing, unless it is a validation metric
            and this epoch had no validation. It names the objective and the logs.
    """
    validated = any(name.startswith("val_") for name in logs)
    missing = [
        name
        for name in names_of(objective)
        if name not in logs
        and (validated or not (name[:4] == "val_" and name[4:] in logs))
    ]
    if missing:
        raise FatalValueError(
            f"The objective {' and '.join(missing)} is not in the logs. They have "
            f"{', '.join(logs)}. Choose one of these, or compile the model with such a "
            "metric."
        )


def names_of(objective: keras_tuner.Objective) -> list[str]:
    """The names of an objective, or of several, in the logs."""
    known = getattr(objective, "name_to_direction", None)
    return list(known) if known else [objective.name]


def _measured(model: keras.Model) -> set[str] | None:
    """Names of the metrics that a model logs; `None` if it does not say."""
    kind = type(model)
    plain = (kind.fit, kind.train_step) == (keras.Model.fit, keras.Model.train_step)
    if not (plain or isinstance(model, TruncatedBPTT)) or not model.compiled:
        return None
    # Keras knows their names only once it has seen targets.
    known = {metric.name for metric in model.metrics}
    for metric in given_metrics(model):
        if metric is None:
            continue
        name = metric if isinstance(metric, str) else getattr(metric, "name", None)
        name = name or getattr(metric, "__name__", None)
        if name is None:
            return None
        known.add(name)
    return known - {"loss", COMPILED_METRICS}
