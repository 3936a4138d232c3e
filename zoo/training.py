"""One training run: data, `fit`, files, preset; and how it goes on after a kill."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import keras

import bptt_keras as bk
from zoo.checkpoint import CHECKPOINT, Checkpoint
from zoo.clipping import clipped, keras_arguments
from zoo.errors import ZooError
from zoo.monitoring import Derived, KeepBest, Recorder, Summary
from zoo.plots import plot_grad_norm, plot_metric
from zoo.preset import Preset, load_preset, save_to_preset
from zoo.progress import Progress
from zoo.recipe import Training
from zoo.run_report import HISTORY, LOOKS, REPORT, SAMPLE
from zoo.tasks.task import Task

PRESET = "preset"
WRITTEN = (
    "history.csv",
    HISTORY,
    "loss.png",
    "grad_norm.png",
    LOOKS,
    SAMPLE,
    REPORT,
    CHECKPOINT,
    PRESET,
)
LOOKS_IN_A_RUN = 10


class Run:
    """A model, its data and the folder that the results go to.

    Args:
        task: A `Task`.
        data: What the task loaded.
        recipe: A recipe of the task.
        out: An existing folder.
        jit: `"auto"`, True or False: whether XLA compiles, as in
            `TruncatedBPTT.compile`.
        origin: What `resume` needs to load the data again, for JSON.

    Raises:
        UserError: If the data do not go with the recipe.
    """

    def __init__(
        self,
        task: Task,
        data: Any,
        recipe: Training,
        out: Path,
        *,
        jit="auto",
        origin: dict | None = None,
    ):
        task.check(data, recipe)
        keras.utils.set_random_seed(recipe.seed)
        self.task = task
        self.data = data
        self.recipe = recipe
        self.out = Path(out)
        self.origin = {**(origin or {}), "task": task.NAME, "jit": jit}
        self.model = task.build_model(data, recipe)
        self.trainer = task.build_trainer(self.model, recipe)
        updates = recipe.epochs * task.updates_per_epoch(data, recipe)
        self.trainer.compile(
            optimizer=clipped(task.build_optimizer(recipe, updates), recipe),
            loss=task.build_loss(),
            metrics=task.build_metrics() or None,
            jit_compile=jit,
        )
        self.recorder = Recorder(self.out)
        self.keeper = KeepBest(task.METRIC, self._save)
        self.progress = Progress(
            task.METRIC, recipe.epochs, best=lambda: self.keeper.epoch
        )
        self.facts = self._collect_facts()
        self._seconds, self._start = 0.0, time.perf_counter()

    def fit(self, *, stop: bool = False) -> Preset:
        """Trains, and writes history, plots and the preset of the best epoch.

        The preset on disk is always complete and the best so far, whenever the run
        is interrupted; a checkpoint beside it lets `resume` go on. A run with a
        checkpoint in its folder goes on from there.

        Args:
            stop: Whether the run ends where its checkpoint stands: what is there is
                measured, and nothing is trained. The metadata tell of it.

        Returns:
            The `Preset` of the best epoch, as read back from disk.

        Raises:
            ZooError: If the loss stops being a number.
        """
        task, data, recipe = self.task, self.data, self.recipe
        self._start = time.perf_counter()
        checkpoint = Checkpoint(self.out / CHECKPOINT, self)
        epoch = checkpoint.restore()
        try:
            if epoch < recipe.epochs and not stop:
                self.trainer.fit(
                    task.training(data, recipe, epoch),
                    validation_data=task.held_out(data, recipe, "validation"),
                    initial_epoch=epoch,
                    epochs=recipe.epochs,
                    # Keras would draw the batches of a `PyDataset` in an order that no
                    # seed fixes; those of the zoo have theirs.
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        Summary(),
                        Derived(task),
                        self.recorder,
                        self.keeper,
                        self.progress,
                        *task.build_callbacks(self),
                        *self._watch(),
                        checkpoint,
                        keras.callbacks.TerminateOnNaN(),
                    ],
                    **task.fit_options(data, recipe),
                )
        finally:
            self.progress.close()
            self._plot()
        history = self.recorder.history
        if not math.isfinite(history["loss"][-1] + history["val_loss"][-1]):
            raise ZooError(
                f"The loss is no longer a number in epoch {history['epoch'][-1]}. "
                "Lower --learning-rate or --clip."
            )
        return self._finish(history["epoch"][-1])

    @property
    def preset_folder(self) -> Path:
        """Where the preset is once the first epoch has ended."""
        return self.out / PRESET

    @property
    def seconds(self) -> float:
        """Time of training so far, those before a kill included."""
        return self._seconds + time.perf_counter() - self._start

    def took(self, seconds: float) -> None:
        """Says how long the run took before it was killed."""
        self._seconds = seconds

    def _watch(self) -> list:
        """The callback that diagnoses the run, if there is enough to look at."""
        sample = self.task.watched(self.data, self.recipe)
        if sample is None:
            return []
        every = math.ceil(self.recipe.epochs / LOOKS_IN_A_RUN)
        return [bk.callbacks.TrainingWatch(sample, every=every, path=self.out / LOOKS)]

    def _save(self, epoch: int, value: float) -> None:
        metric = {
            "name": self.task.METRIC.name,
            "unit": self.task.METRIC.unit,
            "part": "validation",
            "value": value,
            "epoch": epoch,
        }
        metadata = {
            "task": self.task.NAME,
            "metric": metric,
            **self.facts,
            "wall_time_seconds": round(self.seconds, 1),
        }
        processing = self.task.processing(self.data)
        save_to_preset(self.preset_folder, Preset(self.model, processing, metadata))

    def _finish(self, epochs: int) -> Preset:
        """Puts the wall time, and the test part's metric, into the preset."""
        from zoo.evaluation import measure

        best = load_preset(self.preset_folder)
        best.metadata["wall_time_seconds"] = round(self.seconds, 1)
        if epochs < self.recipe.epochs:
            best.metadata["stopped_after"] = epochs
        if "test" in self.task.parts(self.data):
            value = measure(self.task, best.model, self.data, self.recipe, "test")
            metric = best.metadata["metric"]
            metric |= {"part": "test", "validation": metric["value"], "value": value}
        save_to_preset(self.preset_folder, best)
        shutil.rmtree(self.out / CHECKPOINT, ignore_errors=True)
        return best

    def _plot(self) -> None:
        history = self.recorder.history
        title = f"{self.task.NAME} on {self.data.name}"
        if history["epoch"]:
            levels = self.task.levels(self.data, self.recipe, "validation")
            plot_metric(self.out / "loss.png", history, self.task.METRIC, levels, title)
        if self.recorder.grad_norms:
            plot_grad_norm(
                self.out / "grad_norm.png",
                self.recorder.grad_norms,
                keras_arguments(self.recipe)["global_clipnorm"],
                title,
            )

    def _collect_facts(self) -> dict:
        return {
            "data": self.data.describe(),
            "baselines": self.task.levels(
                self.data, self.recipe, self.task.parts(self.data)[-1]
            ),
            "references": self.task.references_for(self.data.name),
            "recipe": dataclasses.asdict(self.recipe),
            "seed": self.recipe.seed,
            "parameters": self.model.count_params(),
            "versions": versions(),
            "machine": machine(),
        }


def machine() -> str:
    """What TensorFlow computes on: the GPUs, or else the cores."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join(gpus) or f"{os.cpu_count()} CPU cores"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    import tensorflow as tf

    try:
        own = importlib.metadata.version("bptt_keras")
    except importlib.metadata.PackageNotFoundError:
        own = getattr(bk, "__version__", "unknown")
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "bptt_keras": own,
    }
