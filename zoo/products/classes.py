"""Predicts the classes of new series with a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from zoo.cases.case_files import LARGEST
from zoo.classification.inputs import case_inputs
from zoo.classification.stored import classes_and_scaling
from zoo.runs.evaluation import stored_of
from zoo.store.preset import Preset
from zoo.system.errors import UserError

ROWS, CHUNK = 32, 4096  # series and timesteps per call, to bound its memory


def predict_classes(
    preset: Preset, series: Sequence[np.ndarray]
) -> tuple[list[str], np.ndarray]:
    """Predicts the class of each series.

    Args:
        preset: A preset of the task `classification`.
        series: Series of any lengths, `(timesteps, channels)` in their own units; or
            `(timesteps,)` if there is one channel.

    Returns:
        `(labels, probabilities)`: the likeliest class of each series, and
        `(series, classes)` in float64, in the order of
        `preset.processing["classes"]`. A network trained on few cases is overconfident:
        its probabilities are too close to 0 and 1.

    Raises:
        UserError: If a series has the wrong number of channels or values that are not
            numbers, or the preset is not one of classification.

    Example:
        import dataclasses
        import zoo
        from zoo.cases.labelled import LabelledCases
        from zoo.classification.recipe import ClassificationRecipe
        from zoo.tasks.classification import Classification

        rising = [(np.arange(9.0)[:, None], "up")] * 2
        falling = [(-np.arange(9.0)[:, None], "down")] * 2
        data = LabelledCases.of("lines", rising + falling, rising + falling, "made")
        recipe = ClassificationRecipe(units=4)
        task = Classification()
        preset = zoo.Preset(
            task.build_model(data, recipe),
            task.processing(data, recipe),
            {"task": "classification", "recipe": dataclasses.asdict(recipe)},
        )
        labels, probabilities = zoo.predict_classes(preset, [np.arange(5.0)])
        assert labels[0] in ("up", "down") and probabilities.shape == (1, 2)
    """
    preset.require_task("classification")
    stored = stored_of(preset)
    recipe = stored.recipe
    classes, scaling = classes_and_scaling(stored)
    series = [_checked(i, s, len(scaling[0])) for i, s in enumerate(series)]
    if not series:
        return [], np.zeros((0, len(classes)))
    logits = _logits(preset.model, case_inputs(series, scaling, recipe))
    if not np.isfinite(logits).all():
        raise UserError("The preset is damaged: its outputs are no numbers.")
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return [classes[i] for i in probabilities.argmax(axis=1)], probabilities


def _logits(model: keras.Model, read: list[np.ndarray]) -> np.ndarray:
    """The outputs of a model after the last timestep of each series."""
    step = bk.PureStep(model)
    run = tf.function(step, reduce_retracing=True)
    steps = max(map(len, read))
    found = []
    for start in range(0, len(read), ROWS):
        rows = read[start : start + ROWS]
        x = np.zeros((len(rows), steps, rows[0].shape[1]), np.float32)
        valid = np.arange(steps) < np.array([len(row) for row in rows])[:, None]
        for place, row in zip(x, rows, strict=True):
            place[: len(row)] = row
        state = step.initial_state(len(rows))
        for first in range(0, steps, CHUNK):
            cut = slice(first, first + CHUNK)
            # A row whose series has ended keeps its state.
            outputs, state = run(x[:, cut], state, valid=valid[:, cut])
        found.append(outputs.numpy())
    return np.concatenate(found).astype(float)


def _checked(index: int, values: np.ndarray, channels: int) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != channels or not len(values):
        raise UserError(
            f"Series {index} must be (timesteps, {channels}), as those that the preset "
            f"was trained on. Received the shape {np.shape(values)}"
        )
    if values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise UserError(f"Series {index} has values that are no finite numbers.")
    if np.abs(values.astype(float)).max() > LARGEST:
        raise UserError(f"Series {index} has a value beyond {LARGEST:g}.")
    return values
