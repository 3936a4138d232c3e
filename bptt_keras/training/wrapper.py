"""A Keras model around another one: everything but training."""

from __future__ import annotations

from typing import Any, NoReturn

import keras

from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.building import output_names
from bptt_keras.types import Structure

# Methods that Keras calls in training and that `TruncatedBPTT` implements itself.
_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


class ModelWrapper(keras.Model):
    """A Keras model that is called and built like its `model` and shares its weights.

    Attributes:
        model: The inner model.
    """

    model: keras.Model

    @property
    def output_names(self) -> list[str] | None:
        """Names of the model's outputs, if they have names, as in Keras."""
        return output_names(self.model)

    def build(self, input_shape: Any = None) -> None:
        """Creates nothing: the weights are those of the inner model.

        Args:
            input_shape: Not used.
        """
        self.built = True

    def get_build_config(self) -> dict[str, Any] | None:
        """How the inner model is built; for one without an `Input`, after building."""
        return self.model.get_build_config()

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds the inner model.

        Args:
            config: What `get_build_config` returned.
        """
        if config and not self.model.built:
            self.model.build_from_config(config)
        self.built = True

    def call(self, inputs: Structure, training: bool = False) -> Structure:
        """Runs the inner model once over all timesteps.

        Args:
            inputs: The inner model's inputs, or `{"inputs": ..., "reset": ...}`.
            training: Passed to the inner model.

        Returns:
            The outputs of the inner model.
        """
        return self.model(split_inputs(inputs).inputs, training=training)

    def export(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses: export the inner model instead, with `trainer.model.export`.

        Args:
            *args: As for `keras.Model.export`.
            **kwargs: As for `keras.Model.export`.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "A trainer cannot be exported: it trains and has no weights of its own. "
            "Export its model: `trainer.model.export(...)`. That one starts each call "
            "from the initial state, since no state is carried from call to call."
        )


def check_overrides(trainer: keras.Model, model: keras.Model) -> None:
    """Raises if an overridden method would never be called.

    Args:
        trainer: A `TruncatedBPTT`.
        model: The inner model.

    Raises:
        ValueError: If so; names the methods.
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
