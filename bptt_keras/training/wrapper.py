"""A Keras model around another one: everything but training."""

from __future__ import annotations

import os
from typing import Any

import keras

from bptt_keras.exporting.export import export
from bptt_keras.sessions.around import ModelAround
from bptt_keras.sessions.session import Session
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.building import output_names
from bptt_keras.types import Structure

# Methods that Keras calls in training and that `TruncatedBPTT` implements itself.
_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


class ModelWrapper(ModelAround):
    """A Keras model that is called and built like its `model` and shares its weights.

    Attributes:
        model: The inner model.
    """

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

    def session(self, rows: int = 1, *, jit_compile: bool | str = "auto") -> Session:
        """A `Session` of the model, which follows its weights while it is trained.

        Args:
            rows: As for `Session`.
            jit_compile: As for `Session`.

        Raises:
            TypeError: As for `Session`.
            ValueError: As for `Session`; also before the first batch, if the model has
                no `keras.Input` and so no weights yet.

        Example:
            import keras, numpy as np, bptt_keras as bk

            model = keras.Sequential(
                [keras.Input((None, 2)), bk.layers.GRU(4, return_sequences=True)]
            )
            trainer = bk.TruncatedBPTT(model, window=5)
            session = trainer.session()
            assert session.step(np.zeros((1, 3, 2))).shape == (1, 3, 4)
        """
        return Session(self.model, rows, jit_compile=jit_compile)

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "saved_model",
        *,
        rows: int | None = 1,
        timesteps: int | None = 1,
        reset: bool = False,
        example: Structure = None,
        preprocessing: Any = None,
    ) -> dict[str, Any]:
        """Exports the model's step with its state: see `bptt_keras.export`.

        `trainer.model.export` is Keras' own, and starts each call from the initial
        state.

        Args:
            filepath: As `path` of `bptt_keras.export`.
            format: `"saved_model"`, which may be called `"tf_saved_model"` as in Keras,
                `"onnx"` or `"litert"`.
            rows: As for `bptt_keras.export`.
            timesteps: As for `bptt_keras.export`.
            reset: As for `bptt_keras.export`.
            example: As for `bptt_keras.export`.
            preprocessing: As for `bptt_keras.export`.

        Returns:
            As `bptt_keras.export`.

        Raises:
            ExportError: As `bptt_keras.export`.
            ImportError: As `bptt_keras.export`.
            OSError: As `bptt_keras.export`.
            TypeError: As `bptt_keras.export`.
            ValueError: As `bptt_keras.export`.
        """
        return export(
            self.model,
            filepath,
            "saved_model" if format == "tf_saved_model" else format,
            rows=rows,
            timesteps=timesteps,
            reset=reset,
            example=example,
            preprocessing=preprocessing,
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
