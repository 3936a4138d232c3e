"""Methods of Keras models that would never be called, were they overridden."""

from __future__ import annotations

import keras

# What Keras calls of a model that it trains, and `TruncatedBPTT` has of its own.
_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


def check_overrides(trainer: keras.Model, model: keras.Model) -> None:
    """Raises if a method that was overridden would never be called.

    Args:
        trainer: A `TruncatedBPTT`.
        model: The inner model.

    Raises:
        ValueError: Names the methods.
    """
    own = [
        name
        for name in _STEPS
        if getattr(type(model), name) is not getattr(keras.Model, name)
    ]
    if own:
        raise ValueError(
            f"The trainer's windows take the place of the model's own steps, so what "
            f"model {model.name!r} ({type(model).__name__}) overrides would not run. "
            f"Received: a model with {', '.join(f'`{name}`' for name in own)} of its "
            f"own. Leave that out: give `compile` losses and metrics, let layers call "
            f"`add_loss`, or override `train_step` and the like in a subclass of "
            f"`TruncatedBPTT`."
        )
    if type(trainer).compute_loss is not keras.Model.compute_loss:
        raise ValueError(
            f"`TruncatedBPTT` averages losses over windows by itself, so "
            f"`compute_loss` of {type(trainer).__name__} would not run. Leave it out: "
            f"give `compile` a loss, or let layers call `add_loss`."
        )
