"""One training run: data, `fit`, files, preset, and resuming after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
import time
from pathlib import Path
from typing import Any

import keras

import bptt_keras as bk
from zoo.fitting.optimizers import clipped, keras_arguments
from zoo.recipes.recipe import Training
from zoo.runs.checkpoint import Checkpoint
from zoo.runs.checkpoint_files import BEFORE, CHECKPOINT, read_checkpoint
from zoo.runs.evaluation import measure
from zoo.runs.facts import machine, versions
from zoo.runs.monitoring import (
    Derived,
    KeepBest,
    Patience,
    Recorder,
    Summary,
    is_improving,
    validation,
)
from zoo.runs.plots import plot_grad_norm, plot_metric
from zoo.runs.progress import Progress
from zoo.runs.run_report import HISTORY, LOOKS, REPORT, SAMPLE
from zoo.store.preset import Preset, check_preset_possible, load_preset, save_to_preset
from zoo.system.errors import UserError, ZooError
from zoo.system.folders import recover_folder
from zoo.tasks.task import Task

PRESET, LAST = "preset", "last"
WRITTEN = (
    "history.csv",
    HISTORY,
    "loss.png",
    "grad_norm.png",
    LOOKS,
    SAMPLE,
    REPORT,
    CHECKPOINT,
    BEFORE,
    PRESET,
    LAST,
)
LOOKS_IN_A_RUN = 10


class Run:
    """A model, its data and the folder for the results.

    Args:
        task: A `Task`.
        data: What the task loaded.
        recipe: A recipe of the task.
        out: An existing folder.
        jit: `"auto"`, True or False: whether XLA compiles, as in
            `TruncatedBPTT.compile`.
        origin: JSON values that `resume` needs to load the data again.
        start: `Preset` whose weights the training begins with; None: new weights. The
            data must be as its model reads them: see `Task.adapted`.
        patient_since: Earliest epoch from which `recipe.patience` counts.
        checkpoint: What `read_checkpoint` returned for `out`, from which `fit` resumes;
            None: `fit` looks for one.

    Raises:
        UserError: If the data or the initial weights do not suit the recipe.
    """

    def __init__(
        self,
        task: Task,
        data: Any,
        recipe: Training,
        out: Path,
        *,
        jit: str | bool = "auto",
        origin: dict | None = None,
        start: Preset | None = None,
        patient_since: int = 0,
        checkpoint: dict | None = None,
    ):
        task.check(data, recipe)
        keras.utils.set_random_seed(recipe.seed)
        self.task = task
        self.data = data
        self.recipe = recipe
        self.out = Path(out)
        self.origin = {**(origin or {}), "task": task.NAME, "jit": jit}
        self.model = task.build_model(data, recipe)
        if start is not None:
            _copy_weights(start, self.model)
        self.trainer = task.build_trainer(self.model, recipe)
        updates = recipe.epochs * task.updates_per_epoch(data, recipe)
        self.trainer.compile(
            optimizer=clipped(task.build_optimizer(recipe, updates), recipe),
            loss=task.build_loss(),
            metrics=task.build_metrics() or None,
            jit_compile=jit,
        )
        self.recorder = Recorder(self.out)
        self.keeper = KeepBest(
            task.METRIC, self._save, selection=task.selection(data, recipe)
        )
        self.progress = Progress(
            task.METRIC, recipe.epochs, best=lambda: self.keeper.epoch
        )
        self.patient_since = patient_since
        self._found = checkpoint
        self.facts = self._collect_facts()
        # Train only a model that can be loaded again.
        processing = task.processing(data, recipe)
        check_preset_possible(self.model, processing, {"task": task.NAME, **self.facts})
        self._seconds, self._start = 0.0, time.perf_counter()

    def fit(self, *, stop: bool = False) -> Preset:
        """Trains, and writes history, plots and the preset of the best epoch.

        The preset on disk is always complete and the best so far, whenever the run is
        interrupted; the checkpoint beside it is for `resume`. A run with a checkpoint
        in its folder continues from there.

        Args:
            stop: Whether to end the run at its checkpoint: the best model so far is
                evaluated, and nothing more is trained. The metadata record this.

        Returns:
            The `Preset` of the best epoch, as read back from disk.

        Raises:
            ZooError: If the loss becomes NaN or infinite.
        """
        task, data, recipe = self.task, self.data, self.recipe
        self._start = time.perf_counter()
        checkpoint, epoch = self.restored()
        patience = Patience(recipe.patience, self.keeper, since=self.patient_since)
        try:
            if epoch < recipe.epochs and not stop and not patience.is_used_up(epoch):
                self.trainer.fit(
                    task.training(data, recipe, epoch),
                    validation_data=task.held_out(data, recipe, "validation"),
                    initial_epoch=epoch,
                    epochs=recipe.epochs,
                    # Keras would shuffle the batches of a `PyDataset` without a seed;
                    # the zoo's data shuffle themselves.
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        Summary(),
                        Derived(task.METRIC),
                        self.recorder,
                        self.keeper,
                        self.progress,
                        *task.build_callbacks(recipe, self.recorder.history),
                        *self._watch(epoch),
                        patience,
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
        return self._finish(int(history["epoch"][-1]))

    def restored(self) -> tuple[Checkpoint, int]:
        """A callback that writes checkpoints, and the number of completed epochs.

        Restores the newest intact checkpoint in the folder, if there is one.
        """
        recover_folder(self.preset_folder)
        checkpoint = Checkpoint(self.out / CHECKPOINT, self)
        state, self._found = self._found, None
        if state is None:
            if not any((self.out / name).exists() for name in (CHECKPOINT, BEFORE)):
                return checkpoint, 0
            state, _ = read_checkpoint(self.out)
        return checkpoint, checkpoint.restore(state)

    def remarks(self) -> list[str]:
        """Remarks about a training that has ended."""
        history, metric = self.recorder.history, self.task.METRIC
        done = history["epoch"][-1]
        if not is_improving(history[f"val_{metric.log}"], metric):
            return []
        return [
            f"It was still getting better after {done} epochs. For more: bptt-zoo "
            f"resume {self.out} --epochs {2 * done}"
        ]

    @property
    def preset_folder(self) -> Path:
        """The folder of the preset, which exists once the first epoch has ended."""
        return self.out / PRESET

    @property
    def seconds(self) -> float:
        """Training time so far, including the time before a kill."""
        return self._seconds + time.perf_counter() - self._start

    def resume_clock(self, seconds: float) -> None:
        """Sets the training time before the run was killed."""
        self._seconds = seconds

    def _watch(self, epoch: int) -> list:
        """The callback that diagnoses the run, if the task has a sample for it."""
        sample = self.task.watched(self.data, self.recipe)
        if sample is None:
            return []
        every = math.ceil(self.recipe.epochs / LOOKS_IN_A_RUN)
        watch = bk.callbacks.TrainingWatch(sample, every=every, path=self.out / LOOKS)
        if epoch:
            # Keeps the looks from before a kill, unless the file is damaged.
            with contextlib.suppress(OSError, ValueError):
                watch.looks = bk.diagnostics.read_looks(self.out / LOOKS)
        return [watch]

    def _save(self, epoch: int, value: float) -> None:
        save_to_preset(self.preset_folder, self._preset(epoch, value))

    def _preset(self, epoch: int, value: float) -> Preset:
        """A preset of the current model, with its validation metric after an epoch."""
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
        processing = self.task.processing(self.data, self.recipe)
        return Preset(self.model, processing, metadata)

    def _finish(self, epochs: int) -> Preset:
        """Adds the wall time and the test metric to the preset."""
        # After the last epoch the model has the last weights.
        logs = {name: values[-1] for name, values in self.recorder.history.items()}
        last = self._preset(epochs, validation(self.task.METRIC, logs))
        best = load_preset(self.preset_folder)
        for preset in (last, best):
            preset.metadata["wall_time_seconds"] = round(self.seconds, 1)
            preset.metadata["epochs"] = epochs
            if epochs < self.recipe.epochs:
                preset.metadata["stopped_after"] = epochs
        # If the training was extended, the best model may be finished already.
        if "validation" not in best.metadata["metric"]:
            self._measure(best)
        save_to_preset(self.out / LAST, last)
        save_to_preset(self.preset_folder, best)
        # The last checkpoint is kept, to train for more epochs.
        shutil.rmtree(self.out / BEFORE, ignore_errors=True)
        return best

    def _measure(self, best: Preset) -> None:
        """Adds to the preset what can only be measured after training."""
        task, recipe, metric = self.task, self.recipe, best.metadata["metric"]
        data = task.tempered(best.model, self.data, recipe)
        if data is None:
            data = self.data
        else:
            best.processing.update(task.processing(data, recipe))
            metric["value"] = measure(task, best.model, data, recipe, "validation")
        if "test" in task.parts(data):
            value = measure(task, best.model, data, recipe, "test")
            metric |= {"part": "test", "validation": metric["value"], "value": value}
        best.processing.update(task.finished(best.model, data, recipe))

    def _plot(self) -> None:
        history = self.recorder.history
        title = f"{self.task.NAME} on {self.data.name}"
        if history["epoch"]:
            levels = self.task.levels(self.data, self.recipe, "validation")
            best, metric = self.keeper.epoch, self.task.METRIC
            path = self.out / "loss.png"
            plot_metric(path, history, metric, levels, title, best=best)
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


def _copy_weights(preset: Preset, model: keras.Model) -> None:
    """Copies the weights of a preset into a model.

    Raises:
        UserError: If the models differ.
    """
    theirs, own = preset.model.get_weights(), model.get_weights()
    if [w.shape for w in theirs] != [w.shape for w in own]:
        raise UserError(
            "`--from` names a preset of another model: its weights have the shapes "
            f"{[w.shape for w in theirs]}, those of the recipe "
            f"{[w.shape for w in own]}. Leave out what changes the model."
        )
    model.set_weights(theirs)
