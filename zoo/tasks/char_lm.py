"""Predict the next character of a text."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING, Annotated, Any

from zoo import datasets
from zoo.recipes.recipe import Recipe as Common
from zoo.tasks.language import LanguageTask
from zoo.tasks.task import Metric
from zoo.texts.encoded import Characters
from zoo.texts.text import Text, as_characters

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Recipe(Common):
    """`zoo.recipes.recipe.Recipe` with an embedding."""

    units: int = 256
    dropout: float = 0.2
    batch_size: int = 64
    window: int | None = 100
    epochs: int = 20
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    embedding: Annotated[int, "Width of a character's vector, at least 1."] = 64
    embedding_dropout: Annotated[float, "Rate on the embedding, in `[0, 1)`."] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("embedding", self.embedding >= 1, "at least 1")
        self.require("embedding_dropout", 0 <= self.embedding_dropout < 1, "in [0, 1)")


class CharLM(LanguageTask[Characters, Recipe]):
    """Character model: predicts the next character from those so far.

    Characters that are missing from the training part share one extra, unknown id.
    """

    NAME = "char-lm"
    SUMMARY = "predict the next character of a text (nats and bits per character)"
    DATASETS = ("python-topics", "tiny-shakespeare", "penn-treebank")
    METRIC = Metric("cross-entropy", "nats per character")
    RECIPES = {
        None: Recipe(),
        # With less decay and input dropout it overfits after epoch 25 (1.458 nats).
        "tiny-shakespeare": Recipe(
            units=384, embedding_dropout=0.2, dropout=0.5, weight_decay=0.1, epochs=46
        ),
        "python-topics": Recipe(batch_size=32, window=64, epochs=18),
        "penn-treebank": Recipe(
            units=800,
            embedding_dropout=0.1,
            dropout=0.3,
            batch_size=64,
            epochs=16,
            learning_rate=2e-3,
        ),
    }
    # Tiny Shakespeare: validation, 90/10 split. Penn Treebank: test, 3 M weights.
    REFERENCES = {
        "tiny-shakespeare": {
            "minGRU (Feng et al. 2024)": 1.548,
            "minLSTM (Feng et al. 2024)": 1.555,
            "transformer, 10.7 M (nanoGPT)": 1.4697,
        },
        "penn-treebank": {
            "LSTM, 3 M (Bai et al. 2018)": 1.36 * math.log(2),
            "GRU, 3 M (Bai et al. 2018)": 1.37 * math.log(2),
        },
    }
    UNIT = "characters"
    ORDER = 5
    # A novel in Chinese has 5,500.
    VOCABULARY = 20_000
    UPDATES = 200
    STREAMS = 16

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: Recipe
    ) -> Characters:
        text = datasets.load(dataset, data_dir=data_dir)
        return Characters.of(_as_characters(text))

    def sized(self, recipe: Recipe, length: int, size: int) -> dict[str, Any]:
        """Wider for a long text, more dropout for a short one."""
        units = 128 if length < 30_000 else 256 if length < 10**6 else 384
        dropout = 0.5 if length < 200_000 else 0.3
        return {
            # Half the batch gives twice the updates for the same arithmetic.
            "batch_size": 32,
            "units": units,
            "dropout": dropout if length < 2 * 10**6 else 0.1,
            "embedding_dropout": 0.2 if length < 200_000 else 0.1,
            "embedding": 64 if size < 1_000 else 128,
            "window": 50 if length < 200_000 else 64 if length < 10**6 else 100,
        }

    def wanted(self, length: int) -> int:
        return 6_000 if length < 10**6 else 12_000

    def weights(self, recipe: Recipe, size: int) -> int:
        cells = 4 * recipe.units * (recipe.embedding + recipe.units)
        more = 8 * recipe.units**2 * (recipe.layers - 1)
        return cells + more + recipe.units * size

    def lookups(self, recipe: Recipe, size: int) -> int:
        return recipe.embedding * size

    def encoded(self, text: Text, recipe: Recipe, at_most: int | None) -> Characters:
        return Characters.of(text, at_most=at_most)

    def processing(self, data: Characters, recipe: Recipe) -> dict[str, Any]:
        return {"vocabulary": "".join(data.vocabulary.characters)}

    def build_model(self, data: Characters, recipe: Recipe) -> keras.Sequential:
        return build_model(data.vocabulary.size, recipe)


def build_model(size: int, recipe: Recipe) -> keras.Sequential:
    """Embedding, recurrent layers with dropout, and logits.

    Args:
        size: Number of ids.
        recipe: The recipe.

    Returns:
        A built `keras.Sequential` from ids `(batch, time)` to logits
        `(batch, time, size)`.
    """
    # Keras: put off.
    import keras

    from zoo.layers.recurrent import recurrent_stack

    model = keras.Sequential(
        [
            keras.layers.Embedding(size, recipe.embedding),
            keras.layers.Dropout(recipe.embedding_dropout),
            *recurrent_stack(recipe, return_sequences=True),
            # Logits stay in float32 under a mixed-precision policy.
            keras.layers.Dense(size, dtype="float32"),
        ]
    )
    model.build((None, None))
    return model


def _as_characters(text: Text) -> Text:
    """The usual character-level form of a text of words."""
    if text.name != "penn-treebank":
        return text
    return dataclasses.replace(
        text,
        train=as_characters(text.train),
        validation=as_characters(text.validation),
        test=as_characters(text.test),
    )
