"""Predict the class of a series of any length."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import datasets
from zoo.cases.labelled import LabelledCases, Part
from zoo.cases.neighbours import nearest_neighbour, nearest_warped
from zoo.cases.own_cases import read_cases
from zoo.classification.inputs import (
    better_scaling,
    case_inputs,
    scaled_cases,
)
from zoo.classification.recipe import ClassificationRecipe
from zoo.classification.stored import classes_and_scaling
from zoo.plain.options import Option
from zoo.plain.parts import PARTS
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError
from zoo.tasks.task import Metric, Task, once

if TYPE_CHECKING:
    import keras

# With fewer cases, validation cannot choose an epoch: one is more than a percent.
FEW = 100
# The size of a default training on the user's own data.
STEPS = 200
UPDATES, UPDATES_AN_EPOCH = 800, 20
KERNELS = 8, 5, 3  # timesteps of the convolutions, as in the usual FCN
MOST_FEATURES = 20_000


class Classification(Task[LabelledCases, ClassificationRecipe]):
    """Classification of series of different lengths.

    Convolutions and a recurrent layer read a series; the mean and the maximum of their
    outputs predict its class. Long series are read several timesteps at a time. Shorter
    ones are padded, and a mask excludes their padding.
    """

    NAME = "classification"
    SUMMARY = "predict the class of a series of any length (accuracy)"
    DATASETS = ("japanese-vowels", "basic-motions")
    METRIC = Metric("accuracy", "", log="sparse_categorical_accuracy", higher=True)
    RECIPES = {
        None: ClassificationRecipe(
            units=64,
            dropout=0.3,
            batch_size=16,
            epochs=100,
            learning_rate=2e-3,
            weight_decay=0.01,
            convolutions=3,
            pooling="all",
        ),
        "japanese-vowels": ClassificationRecipe(
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
    OWN_DATA = (
        "a file NAME_TRAIN.ts (or .tsv, .txt, .csv, .arff), with NAME_TEST.ts beside "
        "it; or one file NAME.ts, of which a part is for the test"
    )
    READING = (
        Option(
            "validation",
            "cases for validation: a fraction of the training cases, a file, or none: "
            "all are for training (default: 0.2)",
            metavar="FRACTION|FILE",
        ),
        Option(
            "test",
            "cases for the test: a file, a fraction, or none (default: NAME_TEST "
            "beside NAME_TRAIN, else 0.2)",
            metavar="FRACTION|FILE",
        ),
        Option(
            "fill",
            "fill in missing values by linear interpolation",
            choices=("linear",),
        ),
    )
    MAKES = "classes"

    def load(
        self,
        dataset: str,
        data_dir: str | os.PathLike | None,
        recipe: ClassificationRecipe,
    ) -> LabelledCases:
        parts = {
            part: [(e["values"], e["label"].decode("utf-8")) for e in examples]
            for part, examples in datasets.load(dataset, data_dir=data_dir).items()
        }
        source = datasets.describe(dataset)["files"][0]["url"]
        return LabelledCases.of(dataset, parts["train"], parts["test"], source)

    def from_file(
        self, path: str, recipe: ClassificationRecipe, **reading: Any
    ) -> LabelledCases:
        return read_cases(path, **reading)

    def fitted(
        self, data: LabelledCases, recipe: ClassificationRecipe, given: frozenset[str]
    ) -> ClassificationRecipe:
        """Stride from length, scaling from neighbours, epochs from number of cases."""
        cases = len(data.train[0])
        batch = 16 if cases <= 500 else 32 if cases <= 2_000 else 64
        values: dict[str, Any] = {
            "stride": -(-data.longest // STEPS),
            "scaling": better_scaling(data),
            # At least four batches, or batch normalisation sees the same one each time.
            "batch_size": max(2, min(batch, cases // 4)),
        }
        updates = -(
            -cases
            // (recipe.batch_size if "batch_size" in given else values["batch_size"])
        )
        values["passes"] = max(1, round(UPDATES_AN_EPOCH / updates))
        updates *= recipe.passes if "passes" in given else values["passes"]
        values["epochs"] = max(10, round(UPDATES / updates))
        values = {k: v for k, v in values.items() if k not in given}
        return dataclasses.replace(recipe, **values)

    def check(self, data: LabelledCases, recipe: ClassificationRecipe) -> None:
        if len(data.classes) < 2:
            raise UserError(f"{data.name} has one class only: {data.classes[0]!r}.")
        features = recipe.features(data.train[0][0].shape[1])
        if features > MOST_FEATURES:
            raise UserError(
                f"{data.name}: {features:,} numbers would be read at a time, channels "
                f"times --stride; at most {MOST_FEATURES:,} are. Give shorter series, "
                "fewer channels, or a smaller --stride."
            )
        steps = -(-data.longest // recipe.stride)
        self.require_reach(recipe, steps, "The class is asked for at the end")

    def parts(self, data: LabelledCases) -> tuple[str, ...]:
        return ("validation", "test") if len(data.test[0]) else ("validation",)

    def training(self, data: LabelledCases, recipe: ClassificationRecipe) -> Any:
        return self._batches(data, data.train, recipe, shuffle=True)

    def held_out(
        self, data: LabelledCases, recipe: ClassificationRecipe, part: str
    ) -> Any:
        return self._batches(data, _part(data, part), recipe, shuffle=False)

    def _batches(
        self,
        data: LabelledCases,
        part: Part,
        recipe: ClassificationRecipe,
        *,
        shuffle: bool,
    ) -> Any:
        # Keras: put off.
        from zoo.fitting.batches import ragged_batches

        series, labels = part
        read = case_inputs(series, data.scaling(), recipe)
        if shuffle:
            read, labels = read * recipe.passes, np.tile(labels, recipe.passes)
        # One length for all: a few more timesteps, but only one program.
        longest = -(-data.longest // recipe.stride)
        return ragged_batches(read, labels, recipe, window=longest, shuffle=shuffle)

    def updates_per_epoch(
        self, data: LabelledCases, recipe: ClassificationRecipe
    ) -> int:
        return -(-len(data.train[0]) * recipe.passes // recipe.batch_size)

    def watched(self, data: LabelledCases, recipe: ClassificationRecipe) -> Any:
        """A few series of one length, from their beginning."""
        series, labels = _part(data, "validation")
        read = case_inputs(series[:4], data.scaling(), recipe)
        steps = min(map(len, read))
        if steps < 3:
            return None
        return np.stack([s[:steps] for s in read]), labels[: len(read)]

    def levels(
        self, data: LabelledCases, recipe: ClassificationRecipe, part: str
    ) -> dict[str, float]:
        """Nearest neighbours among the cases before a part, and guessing."""
        key = part, recipe.scaling
        return once(data, key, lambda: self._levels(data, recipe, part))

    def _levels(
        self, data: LabelledCases, recipe: ClassificationRecipe, part: str
    ) -> dict[str, float]:
        known = [data.train] if part == "validation" else [data.train, data.validation]
        labels = np.concatenate([labels for _, labels in known])
        series, truth = _part(data, part)
        scaled, asked = (
            scaled_cases(cases, data.scaling(), recipe)
            for cases in ([s for cases, _ in known for s in cases], series)
        )
        counts = np.bincount(labels, minlength=len(data.classes))
        guesses: dict[str, Any] = {"most frequent class": np.argmax(counts)}
        # Where the training part is scored, each case would be its own neighbour.
        if len(getattr(data, part)[0]):
            guesses = {
                "1-NN (Euclidean)": nearest_neighbour(scaled, labels, asked),
                "1-NN (dynamic time warping)": nearest_warped(scaled, labels, asked),
                **guesses,
            }
        levels = {
            name: float((guess == truth).mean())
            for name, guess in guesses.items()
            if guess is not None
        }
        return {**levels, "chance": 1 / len(data.classes)}

    def selection(
        self, data: LabelledCases, recipe: ClassificationRecipe
    ) -> Metric | None:
        """Accuracy; with few cases None, so that the last epoch is kept."""
        return self.METRIC if len(data.validation[0]) >= FEW else None

    def fit_options(
        self, data: LabelledCases, recipe: ClassificationRecipe
    ) -> dict[str, Any]:
        if recipe.class_weight == "none":
            return {}
        counts = np.bincount(data.train[1], minlength=len(data.classes))
        weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
        return {"class_weight": dict(enumerate(weights.tolist()))}

    def processing(
        self, data: LabelledCases, recipe: ClassificationRecipe
    ) -> dict[str, Any]:
        mean, deviation = data.scaling()
        return {
            "classes": list(data.classes),
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
        }

    def adapted(
        self, data: LabelledCases, stored: Stored[ClassificationRecipe]
    ) -> LabelledCases:
        """The cases with the classes and the scaling that a preset knows."""
        classes, scaling = classes_and_scaling(stored)
        channels = data.train[0][0].shape[1]
        if channels != len(scaling[0]):
            raise UserError(
                f"{data.name} has {channels} channels; the preset reads "
                f"{len(scaling[0])}."
            )
        strange = sorted(set(data.classes) - set(classes))
        if strange:
            raise UserError(
                f"{data.name} has classes that the preset does not know: "
                f"{', '.join(map(repr, strange[:5]))}."
            )
        number = np.array([classes.index(name) for name in data.classes], np.int32)
        parts: dict[str, Any] = {
            part: (getattr(data, part)[0], number[getattr(data, part)[1]])
            for part in PARTS
        }
        return dataclasses.replace(
            data, classes=tuple(classes), own_scaling=scaling, **parts
        )

    def build_model(
        self, data: LabelledCases, recipe: ClassificationRecipe
    ) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers import Beside, CausalConvolution, MeanAndMax
        from zoo.layers.recurrent import recurrent_stack

        features = recipe.features(data.train[0][0].shape[1])
        layers = [keras.layers.Input((None, features))]
        for index in range(recipe.convolutions):
            layers += [
                CausalConvolution(recipe.filters, KERNELS[min(index, 2)]),
                # A tenth of each batch: a few hundred updates must be enough.
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.Activation("relu"),
            ]
        if recipe.pooling == "last":
            layers += recurrent_stack(recipe, return_sequences=False)
        else:
            layers += [Beside(recipe.units, recipe.layer) for _ in range(recipe.layers)]
            layers.append(MeanAndMax())
            if recipe.dropout:
                layers.append(keras.layers.Dropout(recipe.dropout))
        layers.append(keras.layers.Dense(len(data.classes), dtype="float32"))
        return keras.Sequential(layers)

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def build_metrics(self) -> list[keras.metrics.Metric]:
        # Keras: put off.
        import keras

        return [keras.metrics.SparseCategoricalAccuracy()]


def _part(data: LabelledCases, part: str) -> Part:
    """A part of the data; the training part if there are no validation cases."""
    found = getattr(data, part)
    return found if len(found[0]) else data.train
