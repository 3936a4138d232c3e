"""One training run: data, `fit`, files, preset."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import platform
import sys
import time
from pathlib import Path

import keras
import numpy as np

import bptt_keras as bk
from zoo import baselines
from zoo.datasets import Text, Vocabulary
from zoo.errors import ZooError
from zoo.evaluation import validation_streams
from zoo.monitoring import KeepBest, Meter, Recorder, Summary
from zoo.plots import plot_grad_norm, plot_loss
from zoo.preset import Preset, load_preset, save_preset
from zoo.run_report import HISTORY, LOOKS, REPORT, SAMPLE

PRESET = "preset"
WRITTEN = (
    "history.csv",
    HISTORY,
    "loss.png",
    "grad_norm.png",
    LOOKS,
    SAMPLE,
    REPORT,
    PRESET,
)
# Rows and windows that a look at the gradients takes, and looks in a run.
WATCHED_ROWS, WATCHED_WINDOWS, LOOKS_IN_A_RUN = 4, 3, 10


class Run:
    """A model, its data and the folder that the results go to.

    Args:
        task: A module of `zoo.tasks`.
        text: The text to learn.
        recipe: A recipe of the task.
        out: An existing folder.
        jit: `"auto"`, True or False: whether XLA compiles, as in
            `TruncatedBPTT.compile`.

    Raises:
        UserError: If the text is too short for the recipe.
    """

    def __init__(self, task, text: Text, recipe, out: Path, *, jit="auto"):
        task.check(text, recipe)
        keras.utils.set_random_seed(recipe.seed)
        self.task = task
        self.text = text
        self.recipe = recipe
        self.out = Path(out)
        self.vocabulary = Vocabulary.of(text.train)
        self.train_ids = self.vocabulary.encode(text.train)
        self.validation_ids = self.vocabulary.encode(text.validation)
        self.stream_length = (len(self.train_ids) - 1) // recipe.batch_size
        self.model = task.build_model(self.vocabulary.size, recipe)
        self.trainer = bk.TruncatedBPTT(self.model, window=recipe.window)
        updates = recipe.epochs * math.ceil(self.stream_length / recipe.window)
        self.trainer.compile(
            optimizer=task.build_optimizer(recipe, updates),
            loss=task.build_loss(),
            jit_compile=jit,
        )
        self.recorder = Recorder(self.out)
        self.facts = self._collect_facts()
        self._start = time.perf_counter()

    def fit(self) -> Preset:
        """Trains, and writes history, plots and the preset of the best epoch.

        The preset on disk is always complete and the best so far, whenever the run
        is interrupted.

        Returns:
            The `Preset` of the best epoch, as read back from disk.

        Raises:
            ZooError: If the loss stops being a number.
        """
        recipe = self.recipe
        self._start = time.perf_counter()
        try:
            self.trainer.fit(
                bk.data.streams(
                    self.train_ids, batch_size=recipe.batch_size, window=recipe.window
                ),
                validation_data=validation_streams(self.validation_ids, recipe.window),
                epochs=recipe.epochs,
                # One line an epoch where nobody watches the bar move, as in a log.
                verbose=1 if sys.stdout.isatty() else 2,
                callbacks=[
                    Summary(),
                    Meter(
                        streams=recipe.batch_size,
                        window=recipe.window,
                        length=self.stream_length,
                    ),
                    self.recorder,
                    KeepBest(self._save),
                    *self._watch(),
                    keras.callbacks.TerminateOnNaN(),
                ],
            )
        finally:
            self._plot()
        last = self.recorder.history
        if not math.isfinite(last["loss"][-1] + last["val_loss"][-1]):
            raise ZooError(
                f"The loss is no longer a number in epoch {last['epoch'][-1]}. Lower "
                "--learning-rate or --clip."
            )
        return self._finish()

    def _watch(self) -> list:
        """The callback that diagnoses the run, if there is enough to look at."""
        rows = min(WATCHED_ROWS, len(self.validation_ids) // 4)
        length = WATCHED_WINDOWS * self.recipe.window
        if rows:
            length = min(length, (len(self.validation_ids) - 1) // rows)
        if not rows or length < 3:
            return []
        places = np.arange(rows)[:, None] * length + np.arange(length)
        sample = self.validation_ids[places], self.validation_ids[places + 1]
        every = math.ceil(self.recipe.epochs / LOOKS_IN_A_RUN)
        return [bk.callbacks.TrainingWatch(sample, every=every, path=self.out / LOOKS)]

    @property
    def preset_folder(self) -> Path:
        """Where the preset is once the first epoch has ended."""
        return self.out / PRESET

    def _save(self, epoch: int, val_loss: float) -> None:
        metric = {
            "name": "cross-entropy of the validation part",
            "unit": "nats per character",
            "value": val_loss,
            "bits_per_character": val_loss / math.log(2.0),
            "epoch": epoch,
        }
        metadata = {
            "task": self.task.NAME,
            "metric": metric,
            **self.facts,
            "wall_time_seconds": round(time.perf_counter() - self._start, 1),
        }
        preset = Preset(self.model, self.vocabulary, metadata)
        save_preset(self.preset_folder, preset)

    def _finish(self) -> Preset:
        """Puts the whole wall time into the preset, with the best weights."""
        best = load_preset(self.preset_folder)
        best.metadata["wall_time_seconds"] = round(time.perf_counter() - self._start, 1)
        save_preset(self.preset_folder, best)
        return best

    def _plot(self) -> None:
        history = self.recorder.history
        title = f"{self.task.NAME} on {self.text.name}"
        if len(history["epoch"]) > 0:
            lines = {"bigram": self.facts["baselines"]["bigram"]}
            lines["chance"] = self.facts["baselines"]["uniform"]
            plot_loss(self.out / "loss.png", history, lines, title)
        if self.recorder.grad_norms:
            plot_grad_norm(
                self.out / "grad_norm.png",
                self.recorder.grad_norms,
                self.recipe.clip,
                title,
            )

    def _collect_facts(self) -> dict:
        train, validation = self.train_ids, self.validation_ids
        size = self.vocabulary.size
        return {
            "data": self.text.describe()
            | {
                "vocabulary_size": size,
                "unknown_validation_characters": int(
                    (validation == self.vocabulary.unknown_id).sum()
                ),
            },
            "baselines": {
                "bigram": baselines.bigram(train, validation, size),
                "unigram": baselines.unigram(train, validation, size),
                "uniform": baselines.uniform(size),
            },
            "references": dict(self.task.REFERENCES.get(self.text.name, {})),
            "recipe": dataclasses.asdict(self.recipe),
            "seed": self.recipe.seed,
            "parameters": self.model.count_params(),
            "versions": versions(),
        }


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
