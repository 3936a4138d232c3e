"""Tell the class of a series that may be of any length."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.errors import UserError
from zoo.recipe import Recipe
from zoo.tasks.task import Metric, Task


@dataclasses.dataclass(frozen=True)
class LabelledCases:
    """Series `(timesteps, channels)` with the number of their class, in three parts.

    Args:
        name: What reports call them.
        classes: Names of the classes, by number.
        train: `(list of series, array of classes)`.
        validation: The same, held out of the training file.
        test: The same.
        source: Where they come from.
    """

    name: str
    classes: tuple[str, ...]
    train: tuple
    validation: tuple
    test: tuple
    source: str

    @classmethod
    def of(cls, name, train, test, source):
        """From cases `(series, label)`: every fifth case of a class validates."""
        classes = tuple(sorted({label for _, label in (*train, *test)}))
        parts = {"train": [], "validation": []}
        seen = dict.fromkeys(classes, 0)
        for case in train:
            seen[case[1]] += 1
            held = seen[case[1]] % 5 == 0
            parts["validation" if held else "train"].append(case)

        def numbered(cases):
            labels = np.array([classes.index(label) for _, label in cases], np.int32)
            return [values for values, _ in cases], labels

        return cls(
            name,
            classes,
            numbered(parts["train"]),
            numbered(parts["validation"]),
            numbered(test),
            source,
        )

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel, of the training part."""
        every = np.concatenate(self.train[0])
        return every.mean(axis=0), np.maximum(every.std(axis=0), 1e-6)

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        counts = {
            f"{part}_cases": len(getattr(self, part)[0])
            for part in ("train", "validation", "test")
        }
        lengths = [len(series) for series in self.train[0]]
        return {
            "name": self.name,
            "source": self.source,
            "classes": len(self.classes),
            "channels": self.train[0][0].shape[1],
            "shortest": min(lengths),
            "longest": max(lengths),
            **counts,
        }


class Classification(Task):
    """Classes of series of several lengths.

    The answer stands at the end of a series; shorter ones are padded, and a mask leaves
    their padding out. Channels are standardised by the training part.
    """

    NAME = "classification"
    SUMMARY = "tell the class of a series of any length (accuracy)"
    DATASETS = ("japanese-vowels", "basic-motions")
    METRIC = Metric("accuracy", "", log="sparse_categorical_accuracy", higher=True)
    RECIPES = {
        None: Recipe(
            units=100,
            dropout=0.5,
            batch_size=16,
            epochs=60,
            learning_rate=3e-3,
            weight_decay=0.05,
        ),
    }
    REFERENCES = {
        "japanese-vowels": {"1-NN with dynamic time warping": 0.949},
        "basic-motions": {"1-NN with dynamic time warping": 0.975},
    }
    OWN_DATA = "a file NAME_TRAIN.ts, with NAME_TEST.ts beside it"

    def load(self, dataset, data_dir, recipe):
        from zoo.datasets.builder import load_parts
        from zoo.datasets.cases import BasicMotions, JapaneseVowels

        builders = {"japanese-vowels": JapaneseVowels, "basic-motions": BasicMotions}
        builder = builders[dataset]
        parts = {
            part: [(e["values"], e["label"].decode("utf-8")) for e in examples]
            for part, examples in load_parts(builder, data_dir).items()
        }
        source = builder.FILES[0].url
        return LabelledCases.of(dataset, parts["train"], parts["test"], source)

    def from_file(self, path, recipe, **reading):
        from zoo.datasets.own_cases import read_cases

        return LabelledCases.of(*read_cases(path), source="own files")

    def check(self, data, recipe):
        if len(data.classes) < 2:
            raise UserError(f"{data.name} has one class only: {data.classes[0]!r}.")
        if not len(data.validation[0]):
            raise UserError(
                f"{data.name} is too small: no class has five cases, of which one "
                "could validate."
            )
        longest = data.describe()["longest"]
        self.require_reach(recipe, longest, "The class is asked for at the end")

    def training(self, data, recipe, epoch=0):
        return self._batches(data, data.train, recipe, shuffle=True, epoch=epoch)

    def held_out(self, data, recipe, part):
        return self._batches(data, getattr(data, part), recipe, shuffle=False)

    def _batches(self, data, part, recipe, *, shuffle, epoch=0):
        from zoo.batches import ragged_batches

        mean, deviation = data.scaling()
        series, labels = part
        scaled = [((s - mean) / deviation).astype(np.float32) for s in series]
        # One length for all: a handful of timesteps more, and one program.
        longest = max(map(len, (*data.train[0], *data.test[0])))
        return ragged_batches(
            scaled, labels, recipe, window=longest, shuffle=shuffle, epoch=epoch
        )

    def updates_per_epoch(self, data, recipe):
        return -(-len(data.train[0]) // recipe.batch_size)

    def levels(self, data, recipe, part):
        counts = np.bincount(getattr(data, part)[1], minlength=len(data.classes))
        return {
            "most frequent class": float(counts.max() / counts.sum()),
            "chance": 1 / len(data.classes),
        }

    def processing(self, data):
        mean, deviation = data.scaling()
        return {
            "classes": list(data.classes),
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
        }

    def build_model(self, data, recipe):
        import keras

        from zoo.tasks.layers import recurrent_stack

        channels = data.train[0][0].shape[1]
        return keras.Sequential(
            [
                keras.layers.Input((None, channels)),
                *recurrent_stack(recipe, return_sequences=False),
                keras.layers.Dense(len(data.classes), dtype="float32"),
            ]
        )

    def build_loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def build_metrics(self):
        import keras

        return [keras.metrics.SparseCategoricalAccuracy()]
