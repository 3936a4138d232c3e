"""Everything that the package uses of Keras that is not public.

Names with an underscore, names of variables, texts of errors, and functions that hide a
method for a while: each behind a function whose name says what it returns or does.
Keras may change any of this in any release, sometimes without an error, so
`tests/test_keras_internals.py` has a test for each that says what is gone (written for
Keras 3.12 to 3.15).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.random.seed_generator import global_seed_generator

# --- Layers and variables ---------------------------------------------------------


def all_layers(model: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers within it, including those within cells and wrappers."""
    return list(model._flatten_layers())


def inner_layers(layer: keras.Layer) -> list[keras.Layer]:
    """All layers within a layer, without itself."""
    return list(layer._flatten_layers(include_self=False))


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a `SeedGenerator`.

    The other variables that change when a model is called are moving averages. Only the
    name distinguishes the two.
    """
    return variable.path.endswith("seed_generator_state")


def takes_training(layer: Any) -> bool:
    """Whether the `call` of a layer takes `training`; False if it is not a layer."""
    return isinstance(layer, keras.Layer) and layer._call_has_training_arg


def declared_inputs(model: keras.Model) -> Any:
    """The structure of `keras.Input`s from which a Functional model was made.

    Returns:
        The structure; `None` for a model that is not Functional.
    """
    return getattr(model, "_inputs_struct", None)


def divides_activity_losses_by_rows() -> bool:
    """Whether Keras divides the loss of an activity regularizer by the number of rows.

    Keras 3.14 and later do.
    """
    major, minor = keras.version().split(".")[:2]
    return (int(major), int(minor)) >= (3, 14)


@contextlib.contextmanager
def hiding(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Within: `owner.name` is another value; such contexts may be nested.

    An entry in the instance's dictionary hides a method of its class. This bypasses
    Keras' attribute tracking, which would take a layer or a list for a part of the
    owner, and whose `del` would look for a variable.

    Args:
        owner: A layer, variable or optimizer.
        name: Name of a method or an attribute.
        value: What replaces it.
    """
    missing = object()
    entries = owner.__dict__
    outer = entries.get(name, missing)
    entries[name] = value
    try:
        yield
    finally:
        if outer is missing:
            del entries[name]
        else:
            entries[name] = outer


# --- Masks ------------------------------------------------------------------------


def mask_of(tensor: Any) -> Any:
    """The mask that Keras has attached to a tensor, booleans, or `None`."""
    return getattr(tensor, "_keras_mask", None)


def attach_mask(tensor: tf.Tensor, mask: tf.Tensor) -> None:
    """Attaches a mask to a tensor, where layers, losses and metrics find it."""
    tensor._keras_mask = mask


# --- Optimizers -------------------------------------------------------------------


@contextlib.contextmanager
def learning_rate_times(
    optimizer: keras.optimizers.Optimizer, factor: tf.Tensor
) -> Iterator[None]:
    """Within: the optimizer's learning rate is multiplied by a factor.

    Keras reads the rate through a method, which is replaced here. An assigned value
    would be lost under a learning rate schedule.

    Args:
        optimizer: An optimizer without a wrapper.
        factor: Scalar.
    """
    read = optimizer._get_current_learning_rate

    def scaled() -> tf.Tensor:
        rate = read()
        return rate * tf.cast(factor, rate.dtype)

    with hiding(optimizer, "_get_current_learning_rate", scaled):
        yield


@contextlib.contextmanager
def clipping_by(
    optimizer: keras.optimizers.Optimizer,
    global_norm: Callable[[Sequence[tf.Tensor]], tf.Tensor],
) -> Iterator[None]:
    """Within: an optimizer with `global_clipnorm` takes the norm from a function.

    Args:
        optimizer: An optimizer without a wrapper.
        global_norm: Function of a list of gradients; it returns a float32 scalar.
    """
    clip = optimizer._clip_gradients

    def clipped(gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
        present = [g for g in gradients if g is not None]
        bound = None if optimizer.clipnorm else optimizer.global_clipnorm
        if not bound or any(g.dtype != tf.float32 for g in present):
            return clip(gradients)
        norm = global_norm(present)
        # As in Keras; NaN for a norm that is not finite.
        factor = bound * tf.minimum(1 / norm, 1 / bound) + (norm - norm)
        return [None if g is None else g * factor for g in gradients]

    with hiding(optimizer, "_clip_gradients", clipped):
        yield


def schedule_of(
    optimizer: keras.optimizers.Optimizer,
) -> keras.optimizers.schedules.LearningRateSchedule | None:
    """The schedule of an optimizer's learning rate, `None` if it has none."""
    rate = getattr(optimizer, "_learning_rate", None)
    schedules = keras.optimizers.schedules
    return rate if isinstance(rate, schedules.LearningRateSchedule) else None


def trained_by(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The variables that an optimizer was built with."""
    return optimizer._trainable_variables


# --- What a model was compiled with ------------------------------------------------


def compiled_loss(model: keras.Model) -> Any:
    """Keras' `CompileLoss`, `None` for a model that has no loss."""
    return getattr(model, "_compile_loss", None)


def compiled_metrics(model: keras.Model) -> Any:
    """Keras' `CompileMetrics`, `None` for a model that has no metrics."""
    return getattr(model, "_compile_metrics", None)


def loss_tracker(model: keras.Model) -> keras.metrics.Mean:
    """The metric with which a compiled model reports its `loss`."""
    return model._loss_tracker


def given_loss(model: keras.Model) -> Any:
    """The `loss` that was passed to `compile`, or `None`."""
    compiled = compiled_loss(model)
    return None if compiled is None else compiled._user_loss


def given_metrics(model: keras.Model) -> list[Any]:
    """The metrics that were passed to `compile`, flat."""
    compiled = compiled_metrics(model)
    if compiled is None:
        return []
    return keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics])


# Keras' name for all metrics of `compile` together, which is not in the logs.
COMPILED_METRICS = "compile_metrics"


def compile_arguments(model: keras.Model) -> dict[str, Any]:
    """The arguments that were passed to `compile`."""
    return dict(model._compile_config.config)


def flat_losses(compiled: Any) -> list[tuple[Any, Any, Any, str]]:
    """The losses of a built `CompileLoss`, each `(path, loss, loss weight, name)`."""
    return compiled._flat_losses


def metrics_by_output(compiled: Any) -> tuple[Any, Any]:
    """The metrics of a built `CompileMetrics`, those without weights and the others.

    Each is a list with one entry per output, which has a list `metrics` or is `None`.
    """
    return compiled._flat_metrics, compiled._flat_weighted_metrics


def names_of_outputs(compiled: Any) -> list[str] | None:
    """Names of the outputs, in the order of `metrics_by_output`, or `None`."""
    return compiled._resolved_output_names


# --- Training loops ----------------------------------------------------------------

# Names of the functions with which `fit`, `evaluate` and `predict` of a `keras.Model`
# run the model. They are never saved with it.
RUNNING_FUNCTIONS = (
    "one_step_on_data",
    "one_step_on_data_distributed",
    "multi_step_on_data",
)


def is_validation(arguments: Mapping[str, Any]) -> bool:
    """Whether these are keyword arguments with which `fit` calls `evaluate`."""
    return bool(arguments.get("_use_cached_eval_dataset"))


def callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The state of a callback, for JSON: how long it has waited, the best value, etc.

    Keras' callbacks have their state in attributes and offer no other access to it.
    Strings are left out: they are settings, such as the path of a log.

    Returns:
        `{name of the attribute: value}`.
    """
    known: dict[str, Any] = {}
    for name, value in vars(callback).items():
        function = getattr(value, "__name__", "")
        if isinstance(value, bool | int | float | None) and not name.startswith("__"):
            known[name] = value
        elif function and getattr(keras.ops, function, None) is value:
            # `monitor_op`: when Keras sets it, it also changes the sign of `min_delta`,
            # so neither must be restored without the other.
            known[name] = {"ops": function}
    return known


def restore_callback(
    callback: keras.callbacks.Callback, state: Mapping[str, Any]
) -> None:
    """Restores a callback from what `callback_state` returned."""
    for name, value in state.items():
        is_function = isinstance(value, dict)
        vars(callback)[name] = (
            getattr(keras.ops, value["ops"]) if is_function else value
        )


def global_seeds() -> keras.random.SeedGenerator | None:
    """The generator of seeds that Keras uses where none is given; `None` before."""
    # Keras 3.12 has no constant for the name.
    return get_global_attribute("global_seed_generator")


def make_global_seeds() -> keras.random.SeedGenerator:
    """The same, made if there is none; it begins with a number from `random`."""
    return global_seed_generator()


# --- Texts -------------------------------------------------------------------------


def in_one_line(error: BaseException) -> str:
    """The most informative line of an error, without what Keras puts around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line for line in text.splitlines() if line.strip()]
    # Keras says first only that there was an error.
    wrapped = lines and lines[0].startswith("Exception encountered when calling")
    return (lines[1:] if wrapped else lines)[0] if lines else type(error).__name__
