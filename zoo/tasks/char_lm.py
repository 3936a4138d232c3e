"""Predict the next character of a text."""

from __future__ import annotations

import dataclasses

from zoo.errors import UserError

NAME = "char-lm"
SUMMARY = "predict the next character of a text (nats and bits per character)"
DATASETS = ("python-topics", "tiny-shakespeare")
SAMPLE_PROMPT = "\n"
# Validation cross-entropy in nats per character, 90/10 split, by data set.
REFERENCES = {
    "tiny-shakespeare": {
        "minGRU (Feng et al. 2024)": 1.548,
        "minLSTM (Feng et al. 2024)": 1.555,
        "transformer, 10.7 M (nanoGPT)": 1.4697,
    }
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a character model is built and trained.

    Args:
        embedding: Width of a character's vector.
        units: Units of each LSTM layer.
        layers: Number of LSTM layers.
        embedding_dropout: Rate on the embedding, in `[0, 1)`.
        dropout: Rate on the output of each LSTM layer, in `[0, 1)`.
        batch_size: Streams that are read side by side.
        window: Characters that gradients flow back through, and between two updates.
        epochs: Passes over the training part.
        learning_rate: Peak of the schedule: a linear rise over the first 2 % of the
            updates, from a tenth, then a cosine down to 1 % of the peak.
        clip: Largest global gradient norm, > 0; None leaves gradients as they are.
        weight_decay: Decoupled, as a fraction of the learning rate (AdamW), on
            matrices alone.
        seed: Of weights and dropout.

    Raises:
        ValueError: If a value is out of its range.
    """

    embedding: int = 64
    units: int = 256
    layers: int = 1
    embedding_dropout: float = 0.1
    dropout: float = 0.2
    batch_size: int = 64
    window: int = 100
    epochs: int = 20
    learning_rate: float = 3e-3
    clip: float | None = 1.0
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self):
        for name in ("embedding", "units", "layers", "batch_size", "window", "epochs"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("embedding_dropout", "dropout"):
            self._require(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        big = float("inf")
        self._require("learning_rate", 0 < self.learning_rate < big, "positive")
        self._require("clip", self.clip is None or 0 < self.clip < big, "positive")
        self._require("weight_decay", 0 <= self.weight_decay < big, "at least 0")
        self._require("seed", 0 <= self.seed < 2**32, "in [0, 2**32)")

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={getattr(self, name)}"
            )


RECIPES = {
    # With less decay and input dropout it overfits from epoch 25 on (1.458 nats).
    "tiny-shakespeare": Recipe(
        units=384, embedding_dropout=0.2, dropout=0.5, weight_decay=0.1, epochs=46
    ),
    "python-topics": Recipe(batch_size=32, window=64, epochs=10),
}


def recipe_for(dataset: str | None) -> Recipe:
    """The default recipe for a data set; None: for a text of the user's own."""
    return RECIPES.get(dataset, Recipe())


def check(text, recipe: Recipe) -> None:
    """Refuses a text that is too short for a recipe.

    Args:
        text: A `zoo.datasets.Text`.
        recipe: The recipe.

    Raises:
        UserError: If a stream would be shorter than one window.
    """
    length = (len(text.train) - 1) // recipe.batch_size
    if length < recipe.window:
        raise UserError(
            f"{text.name} is too short: its {len(text.train):,} training characters "
            f"in {recipe.batch_size} streams leave {length} to each, less than one "
            f"window of {recipe.window}. Lower --batch-size or --window."
        )


def build_model(size: int, recipe: Recipe):
    """Embedding, LSTM layers with dropout, and logits.

    Args:
        size: Number of ids.
        recipe: The recipe.

    Returns:
        A built `keras.Sequential` from ids `(batch, time)` to logits
        `(batch, time, size)`.
    """
    import keras

    import bptt_keras as bk

    layers = [
        keras.layers.Embedding(size, recipe.embedding),
        keras.layers.Dropout(recipe.embedding_dropout),
    ]
    for _ in range(recipe.layers):
        layers.append(bk.layers.LSTM(recipe.units, return_sequences=True))
        layers.append(keras.layers.Dropout(recipe.dropout))
    # Logits stay in float32 where a mixed policy computes in less.
    model = keras.Sequential([*layers, keras.layers.Dense(size, dtype="float32")])
    model.build((None, None))
    return model


def build_optimizer(recipe: Recipe, updates: int):
    """AdamW with a warm-up and a cosine, clipped by global norm.

    Args:
        recipe: The recipe.
        updates: Weight updates of the whole training.

    Returns:
        A `keras.optimizers.AdamW`.
    """
    import keras

    warmup = max(1, updates // 50)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        decay_steps=max(1, updates - warmup),
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def build_loss():
    """Cross-entropy of the next character, in nats, mean over characters."""
    import keras

    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
