"""Evaluates a model on a held-out part of the data."""

from __future__ import annotations

from typing import Any

import keras

from zoo.recipes.recipe import Training
from zoo.recipes.stored import Stored
from zoo.runs.progress import Measuring
from zoo.store.preset import Preset
from zoo.tasks import TASKS
from zoo.tasks.task import Task


def measure(
    task: Task[Any, Any], model: keras.Model, data: Any, recipe: Training, part: str
) -> float:
    """The task's metric on a part of its data.

    Args:
        task: The task.
        model: A trained model.
        data: What the task loaded.
        recipe: The recipe.
        part: "validation" or "test".

    Returns:
        The metric, in the task's unit.
    """
    trainer = task.build_trainer(model, recipe)
    trainer.compile("sgd", task.build_loss(), metrics=task.build_metrics() or None)
    batches = task.held_out(data, recipe, part)
    shown = [Measuring()]
    logs = trainer.evaluate(batches, verbose=0, callbacks=shown, return_dict=True)
    return task.METRIC.factor * float(logs[task.METRIC.log])


def stored_of(preset: Preset) -> Stored[Any]:
    """The plain values that say how the model of a preset reads data."""
    task, model = TASKS[preset.metadata["task"]], preset.model
    recipe = task.recipe_from(preset.metadata["recipe"])
    sizes = model.input_shape[-1], model.output_shape[-1]
    return Stored(preset.processing, recipe, sizes)


def adapted(data: Any, preset: Preset) -> Any:
    """Data as the model of a preset reads them: see `Task.adapted`.

    Raises:
        UserError: If the model cannot read them.
    """
    return TASKS[preset.metadata["task"]].adapted(data, stored_of(preset))


def evaluate(preset: Preset, data: Any, part: str = "validation") -> float:
    """The metric of a preset on data that its task loaded.

    Args:
        preset: A preset.
        data: Data of its task; a text may have characters outside the model's
            vocabulary, which count as unknown.
        part: "validation" or "test".

    Returns:
        The metric, in the task's unit.
    """
    task = TASKS[preset.metadata["task"]]
    recipe = task.recipe_from(preset.metadata["recipe"])
    return measure(task, preset.model, adapted(data, preset), recipe, part)
