"""What character models and word models have in common."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from zoo.plain.options import Option
from zoo.recipes.amount import epochs_for, patience_for, rows_for
from zoo.recipes.recipe import Recipe
from zoo.recipes.stored import Stored
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.reading import say
from zoo.tasks.task import Task, once
from zoo.texts.baselines import ngram, uniform, unigram
from zoo.texts.encoded import Encoded, vocabulary_of
from zoo.texts.own_text import from_file
from zoo.texts.text import Text

if TYPE_CHECKING:
    import keras

# The most different characters or words that a preset can hold.
LARGEST_VOCABULARY = 100_000
# The most bytes of a batch's logits. A training step holds about four copies.
LARGEST_LOGITS = 2**30
# The same, if the user sets nothing.
USUAL_LOGITS = 2**27
# The most ids of the training part in which n-grams are counted, and of a held-out part
# that are scored: takes seconds on any machine.
COUNTED, SCORED = 8_000_000, 1_000_000

EncodedT = TypeVar("EncodedT", bound=Encoded)
LanguageRecipeT = TypeVar("LanguageRecipeT", bound=Recipe)


class LanguageTask(Task[EncodedT, LanguageRecipeT]):
    """Predicts the next unit (character or word) of a text.

    A text is read as several streams side by side. Its data have `text`, a
    `zoo.datasets.Text`; `vocabulary`; and `ids`, `{part: array}`.

    Attributes:
        UNIT: Name of the unit, in the plural.
        ORDER: Order of the n-grams that are a baseline.
        VOCABULARY: Default size of the vocabulary of the user's own text.
        MORE_KNOWN: How the user can enlarge the vocabulary, in words.
        UPDATES: Weight updates per epoch on the user's own text, if batches can be
            small enough.
        STREAMS: Rows that evaluation reads side by side.
    """

    UNIT: str
    ORDER: int
    VOCABULARY: int
    MORE_KNOWN = "a higher --vocabulary"
    UPDATES: int
    STREAMS: int
    OWN_DATA = "a text file, UTF-8"
    READING = (
        Option("encoding", "encoding of the text, such as cp1252 (default: utf-8)"),
        Option(
            "validation",
            "fraction of the text for validation, from its end, or a separate file "
            "(default: 0.1)",
            metavar="FRACTION|FILE",
        ),
        Option("test", "a separate file for the test", metavar="FILE"),
        Option(
            "vocabulary",
            "how many different characters or words are known, the most frequent ones",
            metavar="N",
            kind=int,
        ),
    )
    MAKES = "text"
    WHOLE = True

    @abc.abstractmethod
    def sized(self, recipe: LanguageRecipeT, length: int, size: int) -> dict[str, Any]:
        """Fields of a recipe that follow from a text: sizes of model and window.

        Args:
            recipe: The recipe so far.
            length: Number of ids in the training part.
            size: Number of different ids.
        """

    @abc.abstractmethod
    def wanted(self, length: int) -> int:
        """Weight updates that a training on the user's own text gets, if time allows.

        Args:
            length: Number of ids in the training part.
        """

    @abc.abstractmethod
    def weights(self, recipe: LanguageRecipeT, size: int) -> int:
        """Approximate number of weights that a timestep computes with.

        An embedding that is only looked up does not count.

        Args:
            recipe: The recipe.
            size: Number of ids.
        """

    @abc.abstractmethod
    def lookups(self, recipe: LanguageRecipeT, size: int) -> int:
        """Number of weights that are only looked up.

        Args:
            recipe: The recipe.
            size: Number of ids.
        """

    def fitted(
        self, data: EncodedT, recipe: LanguageRecipeT, given: frozenset[str]
    ) -> LanguageRecipeT:
        """Sizes the model, window, batch and epochs by the length of the text.

        A short text has few updates per epoch, so it gets small batches and many
        epochs; a few epochs of a long text take hours.
        """
        length, size = len(data.ids["train"]), data.vocabulary.size

        def with_new(recipe: LanguageRecipeT, **values: Any) -> LanguageRecipeT:
            new = {k: v for k, v in values.items() if k not in given}
            return dataclasses.replace(recipe, **new)

        recipe = with_new(recipe, **self.sized(recipe, length, size))
        window = recipe.window
        if window is None:
            return recipe
        rows = rows_for(length, window, updates=self.UPDATES, most=recipe.batch_size)
        while rows > 4 and 4 * rows * window * size > USUAL_LOGITS:
            rows //= 2
        recipe = with_new(recipe, batch_size=rows)
        fits = max(1, self.stream_length(data, recipe))
        recipe = with_new(recipe, window=min(window, fits))
        epochs = epochs_for(
            updates=self.updates_per_epoch(data, recipe),
            wanted=self.wanted(length),
            timesteps=length,
            weights=self.weights(recipe, size),
        )
        if "epochs" in given:
            return recipe
        return with_new(recipe, epochs=epochs, patience=patience_for(epochs))

    @abc.abstractmethod
    def encoded(
        self, text: Text, recipe: LanguageRecipeT, at_most: int | None
    ) -> EncodedT:
        """The task's data from a `zoo.datasets.Text`.

        Args:
            text: The text.
            recipe: The recipe.
            at_most: Largest size of the vocabulary; None: no limit.
        """

    def from_file(
        self,
        path: str,
        recipe: LanguageRecipeT,
        *,
        vocabulary: int | None = None,
        **reading: Any,
    ) -> EncodedT:
        at_most = self.VOCABULARY if vocabulary is None else vocabulary
        if not 1 <= at_most <= LARGEST_VOCABULARY:
            raise UserError(
                f"--vocabulary must be in [1, {LARGEST_VOCABULARY}]. Received: "
                f"{vocabulary}"
            )
        text = from_file(path, **reading)
        data = self.encoded(text, recipe, at_most)
        self._require_parts(data)
        unknown = np.mean(data.ids["train"] == data.vocabulary.unknown_id)
        capped = data.vocabulary.size >= at_most
        if unknown > (0.5 if capped else 0.9):
            known = data.vocabulary.size
            raise UserError(
                f"{unknown:.0%} of {data.name} are none of the {known:,} {self.UNIT} "
                "that would be known, so there is little to learn. Give an ordinary "
                f"text, or {self.MORE_KNOWN}."
            )
        if unknown and capped:
            say(
                f"{data.name}: its {at_most:,} most frequent {self.UNIT} are known, "
                f"{unknown:.2%} of it are others (--vocabulary changes that)"
            )
        return data

    def check(self, data: EncodedT, recipe: LanguageRecipeT) -> None:
        self.require_window(recipe, "a text, which is one long stream")
        self._require_parts(data)
        size = data.vocabulary.size
        weights = self.weights(recipe, size)
        weights += self.lookups(recipe, size)
        if weights > limits.WEIGHTS:
            raise UserError(
                f"The model would have {weights:,} weights; a preset holds at most "
                f"{limits.WEIGHTS:,}. Lower --units, --embedding or --vocabulary."
            )
        logits = 4 * recipe.batch_size * recipe.finite_window * size
        if logits > LARGEST_LOGITS:
            raise UserError(
                f"{recipe.batch_size} streams with a window of {recipe.window} and "
                f"{size:,} different {self.UNIT} need "
                f"{logits / 2**30:.1f} GiB for the logits of a batch; "
                f"{LARGEST_LOGITS // 2**30} GiB are the most. Lower --batch-size, "
                "--window or --vocabulary."
            )
        length = self.stream_length(data, recipe)
        if length < recipe.finite_window:
            raise UserError(
                f"{data.name} is too short: its {len(data.ids['train']):,} training "
                f"{self.UNIT} in {recipe.batch_size} streams leave {length} to each, "
                f"less than one window of {recipe.window}. Lower --batch-size or "
                "--window."
            )

    def _require_parts(self, data: EncodedT) -> None:
        for part, ids in data.ids.items():
            if len(ids) < 2:
                raise UserError(
                    f"The {part} part of {data.name} needs at least 2 {self.UNIT} and "
                    f"has {len(ids)}."
                )

    def stream_length(self, data: EncodedT, recipe: LanguageRecipeT) -> int:
        """Number of timesteps of a training stream."""
        return (len(data.ids["train"]) - 1) // recipe.batch_size

    def parts(self, data: EncodedT) -> tuple[str, ...]:
        return tuple(part for part in data.ids if part != "train")

    def training(self, data: EncodedT, recipe: LanguageRecipeT) -> Any:
        # Keras: put off.
        import bptt_keras as bk

        return bk.data.streams(
            data.ids["train"], batch_size=recipe.batch_size, window=recipe.finite_window
        )

    def held_out(self, data: EncodedT, recipe: LanguageRecipeT, part: str) -> Any:
        """Up to `STREAMS` streams, fewer for a short text.

        Side by side they are fast, but each starts without a past, which costs a little
        accuracy. The last `(n - 1) % streams` ids are not scored. The part "whole" is
        all of a text that the model was not trained on.
        """
        # Keras: put off.
        import bptt_keras as bk

        ids = data.ids[part] if part != "whole" else _joined(data.ids)
        window = min(recipe.finite_window, len(ids) - 1)
        streams = max(1, min(self.STREAMS, (len(ids) - 1) // window))
        return bk.data.streams(ids, batch_size=streams, window=window)

    def watched(self, data: EncodedT, recipe: LanguageRecipeT) -> Any:
        ids = data.ids["validation"]
        rows = min(4, len(ids) // 4)
        length = 3 * recipe.finite_window
        if rows:
            length = min(length, (len(ids) - 1) // rows)
        if not rows or length < 3:
            return None
        places = np.arange(rows)[:, None] * length + np.arange(length)
        return ids[places], ids[places + 1]

    def updates_per_epoch(self, data: EncodedT, recipe: LanguageRecipeT) -> int:
        return math.ceil(self.stream_length(data, recipe) / recipe.finite_window)

    def levels(
        self, data: EncodedT, recipe: LanguageRecipeT, part: str
    ) -> dict[str, float]:
        """N-gram and unigram frequencies, and chance.

        Of a long text, the last `COUNTED` ids of the training part are counted and the
        first `SCORED` ids of the held-out part are scored.
        """
        return once(data, part, lambda: self._levels(data, part))

    def _levels(self, data: EncodedT, part: str) -> dict[str, float]:
        train, held_out = data.ids["train"][-COUNTED:], data.ids[part][:SCORED]
        size = data.vocabulary.size
        some = ""
        if len(train) < len(data.ids["train"]):
            some = f", of {COUNTED:,} {self.UNIT}"
        cost = ngram(train, held_out, size, self.ORDER)
        return {
            f"{self.ORDER}-gram (interpolated{some})": cost,
            "unigram (order 1)": unigram(train, held_out, size),
            "uniform (chance)": uniform(size),
        }

    def adapted(self, data: EncodedT, stored: Stored[LanguageRecipeT]) -> EncodedT:
        return type(data).of(data.text, vocabulary_of(stored.processing))

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _joined(ids: dict[str, np.ndarray]) -> np.ndarray:
    """The concatenated ids of all parts."""
    return np.concatenate(list(ids.values()))
