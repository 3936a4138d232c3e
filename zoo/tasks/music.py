"""Predict the next frame of polyphonic music."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.errors import UserError
from zoo.recipe import Recipe
from zoo.tasks.task import PARTS, Metric, Task

KEYS = 88


@dataclasses.dataclass(frozen=True)
class Rolls:
    """Pieces in three parts, each piece `(frames, 88)` of 0 and 1."""

    name: str
    train: list
    validation: list
    test: list
    source: str

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        facts = {"name": self.name, "source": self.source}
        for part in PARTS:
            pieces = getattr(self, part)
            facts[f"{part}_pieces"] = len(pieces)
            facts[f"{part}_frames"] = int(sum(len(piece) for piece in pieces))
        return facts


class Music(Task):
    """Polyphonic music.

    A frame says which of 88 piano keys sound. From the frames so far the next one is
    predicted, each key by a probability of its own. The metric is the negative log
    likelihood of a frame, the sum over the keys, as mean over all frames of all pieces
    but each piece's first one.

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
        # With 16 pieces a batch there are too few updates (8.93 nats), with a weight
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
        # With 16 pieces a batch, too few updates again (3.90), and so with 14 epochs
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
    OWN_DATA = "a folder of piano rolls, .npz or .mat, or one .mat with three parts"
    CONTINUES = "music"
    # Chorales: quarter notes; tunes: eighths.
    FRAMES_PER_BEAT = {"jsb-chorales": 1, "nottingham": 2}

    def load(self, dataset, data_dir, recipe):
        from zoo.datasets.builder import load_parts
        from zoo.datasets.piano_rolls import JsbChorales, Nottingham

        builder = {"jsb-chorales": JsbChorales, "nottingham": Nottingham}[dataset]
        parts = load_parts(builder, data_dir)
        pieces = {part: [e["frames"] for e in parts[part]] for part in PARTS}
        return Rolls(dataset, **pieces, source=builder.FILES[0].url)

    def from_file(self, path, recipe, **reading):
        from zoo.datasets.own_rolls import read_rolls

        return Rolls(*read_rolls(path), source="own files")

    def check(self, data, recipe):
        self.require_window(recipe, "music, whose pieces are read one after the other")
        for part in PARTS:
            if not any(len(piece) > 1 for piece in getattr(data, part)):
                raise UserError(f"{data.name} has no {part} piece of two frames.")

    def training(self, data, recipe, epoch=0):
        return self._batches(data.train, recipe, shuffle=True, epoch=epoch)

    def held_out(self, data, recipe, part):
        return self._batches(getattr(data, part), recipe, shuffle=False)

    def _batches(self, pieces, recipe, *, shuffle, epoch=0):
        from zoo.batches import ragged_batches

        pieces = [piece.astype(np.float32) for piece in pieces if len(piece) > 1]
        return ragged_batches(
            [piece[:-1] for piece in pieces],
            [piece[1:] for piece in pieces],
            recipe,
            window=recipe.window,
            shuffle=shuffle,
            epoch=epoch,
        )

    def watched(self, data, recipe):
        piece = max(data.validation, key=len).astype(np.float32)
        steps = min(len(piece) - 1, 3 * recipe.window)
        return (piece[None, :steps], piece[None, 1 : steps + 1]) if steps > 2 else None

    def updates_per_epoch(self, data, recipe):
        lengths = sorted(len(piece) - 1 for piece in data.train)
        size = recipe.batch_size
        longest = [max(lengths[i : i + size]) for i in range(0, len(lengths), size)]
        return sum(-(-length // recipe.window) for length in longest)

    def levels(self, data, recipe, part):
        """The frequency of each key in the training part, for every frame."""
        train = np.concatenate(data.train).astype(float)
        rate = (train.sum(axis=0) + 1) / (len(train) + 2)
        frames = np.concatenate([piece[1:] for piece in getattr(data, part)])
        cost = -np.where(frames > 0, np.log(rate), np.log(1 - rate)).sum(axis=1)
        return {
            "frequency of each key": float(cost.mean()),
            "uniform (chance)": KEYS * float(np.log(2)),
        }

    def build_model(self, data, recipe):
        import keras

        from zoo.tasks.layers import recurrent_stack

        return keras.Sequential(
            [
                keras.layers.Input((None, KEYS)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(KEYS, dtype="float32"),
            ]
        )

    def build_loss(self):
        import keras

        # The mean over the keys; `METRIC.factor` makes it the sum.
        return keras.losses.BinaryCrossentropy(from_logits=True)

    def next_steps(self, folder):
        command = f"bptt-zoo generate {folder} --out tune.mid"
        return [("compose", command), *super().next_steps(folder)]
