"""One training run: data, `fit`, files, preset, and resuming after a kill."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

import bptt_keras as bk
from zoo.fitting.optimizers import clipped, keras_arguments
from zoo.recipes.recipe import Training
from zoo.runs.checkpoint import resuming
from zoo.runs.checkpoint_files import CHECKPOINT, HISTORY, read_training
from zoo.runs.evaluation import measure
from zoo.runs.facts import machine, versions
from zoo.runs.monitoring import (
    Derived,
    KeepBest,
    Patience,
    Recorder,
    Stopwatch,
    Summary,
    TrainingEnded,
    is_improving,
    validation,
)
from zoo.runs.plots import plot_grad_norm, plot_metric
from zoo.runs.progress import Progress
from zoo.runs.run_report import LOOKS, REPORT, SAMPLE
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
        training: What `read_training` returned for `out`, which `fit` resumes; None:
            `fit` looks for it.
        checkpoint: Folder of the checkpoint, which processes that train together share.
            Default (`None`): that in `out`.

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
        training: dict | None = None,
        checkpoint: Path | None = None,
    ):
        task.check(data, recipe)
        keras.utils.set_random_seed(recipe.seed)
        self.task = task
        self.data = data
        self.recipe = recipe
        self.out = Path(out)
        self.checkpoint = self.out / CHECKPOINT if checkpoint is None else checkpoint
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
        self._found = training
        self.facts = self._collect_facts()
        # Train only a model that can be loaded again.
        processing = task.processing(data, recipe)
        check_preset_possible(self.model, processing, {"task": task.NAME, **self.facts})
        self._stopwatch = Stopwatch()
        self._gave_up = False
        self.print_fn: Callable[[str], Any] = print

    def fit(self, *, stop: bool = False) -> Preset | None:
        """Trains, and writes history, plots and the preset of the best epoch.

        The preset on disk is always complete and the best so far, whenever the run is
        interrupted; the checkpoint beside it is for `resume`. A run with a checkpoint
        in its folder continues from there, in the midst of an epoch.

        Args:
            stop: Whether to end the run at its checkpoint: the best model so far is
                evaluated, and nothing more is trained. The metadata record this.

        Returns:
            The `Preset` of the best epoch, as read back from disk; `None` in all but
            the first of several processes that train together.

        Raises:
            UserError: If it is to stop before an epoch has ended.
            ZooError: If the loss becomes NaN or infinite.
        """
        self._stopwatch = Stopwatch()
        within_epoch = False
        try:
            self.train(
                self.recipe.epochs,
                Summary(),
                self.progress,
                self._stopwatch,
                *self._watch(),
                stop=stop,
            )
        except TrainingEnded as ended:
            within_epoch = ended.within_epoch
        finally:
            self.progress.close()
            self._plot()
        if not bk.distribute.is_first():
            return None
        with bk.distribute.alone():
            return self._ended(within_epoch=within_epoch, stop=stop)

    def _ended(self, *, within_epoch: bool, stop: bool) -> Preset:
        """Measures and saves what training has ended with."""
        if not self.recorder.history["epoch"]:
            raise UserError(
                f"No epoch of {self.out} has been saved, so there is no model to keep. "
                "Without --stop the training goes on."
            )
        epoch, finite = int(self.recorder.history["epoch"][-1]), self.is_finite
        if not finite and not stop:
            raise ZooError(
                f"The loss or its gradient is no longer a number in epoch {epoch}. "
                "Lower --learning-rate or --clip."
            )
        if finite:
            self._keep_last(epoch, within_epoch=within_epoch)
        return self._finish(epoch)

    def train(self, epochs: int, *callbacks: Any, stop: bool = False) -> None:
        """Trains, from the checkpoint in the folder if there is one.

        Args:
            epochs: Number of epochs after which to stop.
            *callbacks: More callbacks.
            stop: As for `fit`.

        Raises:
            TrainingEnded: If there is nothing more to train.
            UserError: If the checkpoint is that of another training.
        """
        task, data, recipe = self.task, self.data, self.recipe
        recover_folder(self.preset_folder)
        training, self._found = self._found, None
        first = bk.distribute.is_first()
        if training is None and first and self.checkpoint.exists():
            training, _ = read_training(self.checkpoint.parent)
        resume = resuming(self, training, self.print_fn)
        since = self.patient_since
        patience = Patience(recipe.patience, self.keeper, since=since, stop=stop)
        try:
            self.trainer.fit(
                task.training(data, recipe),
                validation_data=task.held_out(data, recipe, "validation"),
                epochs=epochs,
                # Keras would shuffle the batches of a `PyDataset` without a seed; the
                # zoo's data shuffle themselves.
                shuffle=False,
                verbose=0,
                callbacks=[
                    Derived(task.METRIC),
                    self.recorder,
                    self.keeper,
                    *task.build_callbacks(recipe, self.recorder.history),
                    *callbacks,
                    patience,
                    keras.callbacks.TerminateOnNaN(),
                    resume,
                ],
                **task.fit_options(data, recipe),
            )
        except bk.callbacks.ResumeError as error:
            raise UserError(
                f"The training in {self.out} cannot be resumed. {error}"
            ) from None
        except bk.distribute.DistributeError as error:
            raise ZooError(str(error)) from None
        # It also ends if gradients are no longer finite.
        epoch = int(self.recorder.history["epoch"][-1])
        self._gave_up = epoch < epochs and not patience.is_used_up(epoch)

    @property
    def is_finite(self) -> bool:
        """Whether the losses and gradients of the last epoch are numbers."""
        history = self.recorder.history
        return not self._gave_up and math.isfinite(
            history["loss"][-1] + history["val_loss"][-1]
        )

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
        return self._stopwatch.seconds

    def _watch(self) -> list:
        """The callback that diagnoses the run, if the task has a sample for it."""
        sample = self.task.watched(self.data, self.recipe)
        if sample is None:
            return []
        every = math.ceil(self.recipe.epochs / LOOKS_IN_A_RUN)
        return [bk.callbacks.TrainingWatch(sample, every=every, path=self.out / LOOKS)]

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

    def _keep_last(self, epochs: int, *, within_epoch: bool) -> None:
        """Saves the weights that the training ended with as a preset."""
        if within_epoch:  # They have trained on since the last validation.
            value = measure(self.task, self.model, self.data, self.recipe, "validation")
        else:
            history = self.recorder.history
            logs = {name: values[-1] for name, values in history.items()}
            value = validation(self.task.METRIC, logs)
        last = self._preset(epochs, value)
        self._note_end(last, epochs)
        save_to_preset(self.out / LAST, last)

    def _finish(self, epochs: int) -> Preset:
        """Adds the wall time and the test metric to the preset."""
        best = load_preset(self.preset_folder)
        self._note_end(best, epochs)
        # If the training was extended, the best model may be finished already.
        if "validation" not in best.metadata["metric"]:
            self._measure(best)
        save_to_preset(self.preset_folder, best)
        return best

    def _note_end(self, preset: Preset, epochs: int) -> None:
        preset.metadata["wall_time_seconds"] = round(self.seconds, 1)
        preset.metadata["epochs"] = epochs
        if epochs < self.recipe.epochs:
            preset.metadata["stopped_after"] = epochs

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
