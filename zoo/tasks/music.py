"""Predict the next frame of polyphonic music."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import datasets
from zoo.music.baselines import key_chains, key_rates
from zoo.music.midi import KEYS
from zoo.music.own_rolls import own_rolls
from zoo.music.pieces import FRAMES_PER_BEAT, Rolls
from zoo.plain.options import Option
from zoo.plain.parts import PARTS
from zoo.recipes.amount import epochs_for, patience_for, rows_for
from zoo.recipes.recipe import Recipe
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError
from zoo.tasks.task import Metric, Task

if TYPE_CHECKING:
    import keras


class Music(Task[Rolls, Recipe]):
    """Polyphonic music.

    A frame says which of 88 piano keys sound. The model predicts the next frame from
    those so far, with a separate probability for each key. The metric is the negative
    log likelihood of a frame, summed over the keys and averaged over all frames except
    the first of each piece.

    Source: Boulanger-Lewandowski, Bengio & Vincent (2012); Bai, Kolter & Koltun (2018).
    """

    NAME = "music"
    SUMMARY = "predict the next frame of music (negative log likelihood of a frame)"
    DATASETS = ("jsb-chorales", "nottingham")
    METRIC = Metric("negative log likelihood", "nats per frame", factor=KEYS)
    RECIPES = {
        None: Recipe(
            units=256,
            dropout=0.3,
            batch_size=8,
            window=64,
            epochs=60,
            learning_rate=4e-3,
            weight_decay=0.002,
        ),
        # With 16 pieces per batch there are too few updates (8.93 nats); with a weight
        # decay of 0.1 it cannot fit the training part either (8.64).
        "jsb-chorales": Recipe(
            units=300,
            dropout=0.3,
            batch_size=8,
            window=64,
            epochs=70,
            learning_rate=5e-3,
            weight_decay=0.002,
        ),
        # Again too few updates with 16 pieces per batch (3.90), and with 14 epochs
        # (3.73). With a dropout of 0.2 it overfits a little (3.294).
        "nottingham": Recipe(
            units=256,
            dropout=0.3,
            batch_size=4,
            window=100,
            epochs=32,
            learning_rate=4e-3,
            weight_decay=0.002,
        ),
    }
    # 300,000 and 1,000,000 weights.
    REFERENCES = {
        "jsb-chorales": {
            "LSTM (Bai et al. 2018)": 8.45,
            "GRU (Bai et al. 2018)": 8.43,
            "LSTM (Chung et al. 2014)": 8.67,
        },
        "nottingham": {
            "LSTM (Bai et al. 2018)": 3.29,
            "GRU (Bai et al. 2018)": 3.46,
            "LSTM (Chung et al. 2014)": 3.20,
        },
    }
    OWN_DATA = (
        "a folder of MIDI files or piano rolls, .mid, .midi, .npz or .mat, one such "
        "file, or one .mat with three parts"
    )
    READING = (
        Option(
            "frames_per_beat",
            "frames per quarter note of MIDI files (default: 4)",
            metavar="N",
            kind=int,
        ),
        Option(
            "validation",
            "fraction of the pieces for validation, or a separate folder or file "
            "(default: 0.1)",
            metavar="FRACTION|PATH",
        ),
        Option(
            "test",
            "a separate folder or file for the test (default: every tenth piece)",
            metavar="PATH",
        ),
        Option(
            "skip_damaged",
            "whether files of a folder that cannot be read are left out (default: no)",
            choices=("no", "yes"),
        ),
    )
    MAKES = "music"
    WHOLE = True

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: Recipe
    ) -> Rolls:
        parts = datasets.load(dataset, data_dir=data_dir)
        pieces: dict[str, Any] = {
            part: [e["frames"] for e in parts[part]] for part in PARTS
        }
        return Rolls(
            dataset,
            **pieces,
            source=datasets.describe(dataset)["files"][0]["url"],
            frames_per_beat=FRAMES_PER_BEAT[dataset],
        )

    def from_file(self, path: str, recipe: Recipe, **reading: Any) -> Rolls:
        return own_rolls(path, **reading)

    def processing(self, data: Rolls, recipe: Recipe) -> dict[str, Any]:
        return {"frames_per_beat": data.frames_per_beat or 1}

    def adapted(self, data: Rolls, stored: Stored[Recipe]) -> Rolls:
        per_beat = stored.processing.get("frames_per_beat", data.frames_per_beat)
        if data.reading is None or per_beat == data.frames_per_beat:
            return data
        return own_rolls(frames_per_beat=per_beat, **data.reading)

    def fitted(self, data: Rolls, recipe: Recipe, given: frozenset[str]) -> Recipe:
        """Batches and epochs from the number of windows; more dropout for few."""
        lengths = [len(piece) - 1 for piece in data.train if len(piece) > 1]
        if recipe.window is None or not lengths:
            return recipe
        frames = sum(lengths)
        rows = rows_for(frames, recipe.window, updates=50, most=16)
        values = {
            "batch_size": max(1, min(rows, len(lengths))),
            "dropout": 0.5 if frames < 10_000 else recipe.dropout,
        }
        new: dict[str, Any] = {k: v for k, v in values.items() if k not in given}
        recipe = dataclasses.replace(recipe, **new)
        if "epochs" in given:
            return recipe
        epochs = epochs_for(
            updates=self.updates_per_epoch(data, recipe),
            wanted=3_000,
            timesteps=frames,
            weights=(4 * recipe.units + KEYS) * (KEYS + recipe.units),
        )
        patience = patience_for(epochs)
        more: dict[str, Any] = {} if "patience" in given else {"patience": patience}
        return dataclasses.replace(recipe, epochs=epochs, **more)

    def check(self, data: Rolls, recipe: Recipe) -> None:
        self.require_window(recipe, "music, whose pieces are read one after the other")
        for part in PARTS:
            if not any(len(piece) > 1 for piece in getattr(data, part)):
                raise UserError(f"{data.name} has no {part} piece of two frames.")

    def training(self, data: Rolls, recipe: Recipe) -> Any:
        return self._batches(data.train, recipe, shuffle=True)

    def held_out(self, data: Rolls, recipe: Recipe, part: str) -> Any:
        """Batches of a part; "whole" is all of data that a model was not trained on."""
        whole = part == "whole"
        pieces = data.train + data.validation + data.test if whole else None
        return self._batches(pieces or getattr(data, part), recipe, shuffle=False)

    def _batches(
        self,
        pieces: list[np.ndarray],
        recipe: Recipe,
        *,
        shuffle: bool,
    ) -> Any:
        # Keras: put off.
        from zoo.fitting.batches import ragged_batches

        pieces = [piece.astype(np.float32) for piece in pieces if len(piece) > 1]
        return ragged_batches(
            [piece[:-1] for piece in pieces],
            [piece[1:] for piece in pieces],
            recipe,
            window=recipe.finite_window,
            shuffle=shuffle,
        )

    def watched(self, data: Rolls, recipe: Recipe) -> Any:
        piece = max(data.validation, key=len).astype(np.float32)
        steps = min(len(piece) - 1, 3 * recipe.finite_window)
        return (piece[None, :steps], piece[None, 1 : steps + 1]) if steps > 2 else None

    def updates_per_epoch(self, data: Rolls, recipe: Recipe) -> int:
        lengths = sorted(len(piece) - 1 for piece in data.train if len(piece) > 1)
        size = recipe.batch_size
        longest = [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
        return sum(-(-length // recipe.finite_window) for length in longest)

    def levels(self, data: Rolls, recipe: Recipe, part: str) -> dict[str, float]:
        """Two rules that treat each key by itself, blind to chords, and chance."""
        pieces = [piece for piece in getattr(data, part) if len(piece) > 1]
        return {
            "Markov chain of each key": key_chains(data.train, pieces),
            "frequency of each key": key_rates(data.train, pieces),
            "uniform (chance)": KEYS * float(np.log(2)),
        }

    def build_model(self, data: Rolls, recipe: Recipe) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        return keras.Sequential(
            [
                keras.layers.Input((None, KEYS)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(KEYS, dtype="float32"),
            ]
        )

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        # The mean over the keys; `METRIC.factor` turns it into the sum.
        return keras.losses.BinaryCrossentropy(from_logits=True)
