"""Predict the next word of a text."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from zoo.recipes.clipping import keras_arguments
from zoo.recipes.recipe import Recipe
from zoo.system.errors import UserError
from zoo.tasks.language import LanguageTask
from zoo.tasks.task import Metric

# Random windows end with the batch, so a batch holds several.
WINDOWS_A_BATCH = 10
# Characters of a text; its words take ten times the memory.
LONGEST = 64_000_000


@dataclasses.dataclass(frozen=True)
class WordRecipe(Recipe):
    """`Recipe`, and what AWD-LSTM adds to it."""

    units: Annotated[int, "Units of each recurrent layer but the last one."] = 512
    layers: int = 2
    dropout: Annotated[
        float,
        "Rate on the output of the last recurrent layer. One mask serves a row for "
        "a window, as for the next two.",
    ] = 0.35
    batch_size: int = 32
    window: int | None = 35
    epochs: int = 25
    learning_rate: Annotated[
        float, "Peak of the schedule as in `Recipe`; constant with `average_after`."
    ] = 2e-3
    weight_decay: Annotated[
        float, "Decoupled, as a fraction of the learning rate, on matrices alone."
    ] = 0.05
    embedding: Annotated[
        int,
        "Width of a word's vector, and units of the last recurrent layer, which "
        "logits are made from by the same vectors.",
    ] = 256
    input_dropout: Annotated[float, "Rate on the words' vectors."] = 0.3
    hidden_dropout: Annotated[float, "Rate between recurrent layers."] = 0.2
    word_dropout: Annotated[
        float, "Part of the vocabulary that is dropped from a window."
    ] = 0.05
    weight_dropout: Annotated[
        float, "Part of each recurrent kernel that is dropped in a window (lstm alone)."
    ] = 0.2
    alpha: Annotated[
        float, "Weight of the squared output of the last layer, after dropout (AR)."
    ] = 0.0
    beta: Annotated[
        float, "Weight of its squared change from timestep to timestep (TAR)."
    ] = 0.0
    window_deviation: Annotated[
        float,
        "Standard deviation of the length of windows, of which one in twenty has "
        "half the length; 0 makes all the same.",
    ] = 0.0
    average_after: Annotated[
        int | None,
        "Plain SGD, whose weights are averaged once validation has not improved for "
        "so many epochs; None takes AdamW.",
    ] = None
    min_count: Annotated[
        int, "Words that occur less often in the training part become `<unk>`."
    ] = 1

    def __post_init__(self):
        super().__post_init__()
        for name in ("embedding", "min_count"):
            self.require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("input", "hidden", "word", "weight"):
            rate = getattr(self, f"{name}_dropout")
            self.require(f"{name}_dropout", 0 <= rate < 1, "in [0, 1)")
        for name in ("alpha", "beta", "window_deviation"):
            self.require(name, 0 <= getattr(self, name) < math.inf, "at least 0")
        serves = self.weight_dropout == 0 or self.layer == "lstm"
        self.require("weight_dropout", serves, f"0 with layer={self.layer}")
        after = self.average_after
        self.require("average_after", after is None or after >= 1, "at least 1")


@dataclasses.dataclass(frozen=True)
class WordText:
    """A text as ids of its words.

    Args:
        text: `zoo.datasets.Text`.
        vocabulary: `zoo.datasets.Words` of its training part.
        ids: `{part: array (words,)}`.
    """

    text: object
    vocabulary: object
    ids: dict

    @classmethod
    def of(cls, text, vocabulary=None, *, min_count=1, at_most=None):
        """A text, encoded by its own vocabulary or by another."""
        from zoo.datasets import Words

        parts = _words_of(text)
        vocabulary = vocabulary or Words.of(parts["train"], min_count, at_most)
        ids = {part: vocabulary.encode(words) for part, words in parts.items()}
        return cls(text, vocabulary, ids)

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.text.name

    def units(self, part) -> list[str]:
        """The words of a part."""
        return _words_of(self.text)[part]

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        unknown = self.ids["validation"] == self.vocabulary.unknown_id
        return {
            "name": self.name,
            "sha256": self.text.sha256,
            **{f"{part}_words": len(ids) for part, ids in self.ids.items()},
            "vocabulary_size": self.vocabulary.size,
            "unknown_validation_words": int(unknown.sum()),
            **self.text.details,
        }


class WordLM(LanguageTask):
    """Word model: from the words so far, the next one.

    Words are what white space separates, the end of a line is a word, and words
    without an id are `<unk>`, which counts like any other. The model is an AWD-LSTM:
    layers with dropout of whole words, locked dropout and dropout of recurrent
    weights, and logits that are tied to the embedding. The loss of training has AR and
    TAR in it, and so has its perplexity; those of validation and test have not.

    The recipe of the paper, with 24 M weights, is `--embedding 400 --units 1150
    --layers 3 --dropout 0.4 --input-dropout 0.4 --hidden-dropout 0.25 --word-dropout
    0.1 --weight-dropout 0.5 --alpha 2 --beta 1 --window 70 --window-deviation 5
    --average-after 5 --learning-rate 30 --clip 0.25 --weight-decay 1.2e-6 --epochs
    500`. The default is smaller and takes AdamW, whose learning rate falls.

    Source: Merity, Keskar & Socher, "Regularizing and optimizing LSTM language models"
    (2018). There the mask of recurrent weights and words is one for all rows; where the
    trainer cuts a window into shards, each has its own.
    """

    NAME = "word-lm"
    SUMMARY = "predict the next word of a text (nats per word, and perplexity)"
    DATASETS = ("penn-treebank", "wikitext-2")
    METRIC = Metric("cross-entropy", "nats per word")
    RECIPES = {
        None: WordRecipe(min_count=3),
        # For an hour on two cores, hence little dropout; validation does not fall
        # further with these rates.
        "penn-treebank": WordRecipe(
            epochs=9,
            learning_rate=3e-3,
            dropout=0.25,
            input_dropout=0.2,
            hidden_dropout=0.1,
            weight_dropout=0.1,
            word_dropout=0.0,
        ),
        "wikitext-2": WordRecipe(),
    }
    # Test perplexities 78.93 and 57.3, 65.8; 13 M, 24 M and 33 M weights.
    REFERENCES = {
        "penn-treebank": {
            "LSTM, 13 M (Bai et al. 2018)": math.log(78.93),
            "AWD-LSTM, 24 M (Merity et al. 2018)": math.log(57.3),
        },
        "wikitext-2": {"AWD-LSTM, 33 M (Merity et al. 2018)": math.log(65.8)},
    }
    UNIT = "words"
    ORDER = 3
    TIED = True
    VOCABULARY = 30_000
    MORE_KNOWN = "a lower --min-count or a higher --vocabulary"
    UPDATES = 100
    STREAMS = 10
    SAMPLE_LENGTH = 100

    def load(self, dataset, data_dir, recipe):
        from zoo import datasets

        text = datasets.load(dataset, data_dir=data_dir)
        return WordText.of(text, min_count=recipe.min_count)

    def sized(self, recipe, length, size):
        """Smaller, with more dropout, for a short text."""
        if length >= 300_000:
            return {}
        if length >= 50_000:
            return {
                "units": 256,
                "embedding": 192,
                "dropout": 0.5,
                "input_dropout": 0.4,
                "hidden_dropout": 0.3,
            }
        return {
            "units": 128,
            "embedding": 128,
            "layers": 1,
            "dropout": 0.5,
            "input_dropout": 0.5,
        }

    def wanted(self, length):
        return 8_000

    def weights(self, recipe, size):
        embedding, units = recipe.embedding, recipe.units
        inner = max(0, recipe.layers - 2) * 8 * units**2
        if recipe.layers > 1:
            cells = 4 * (units + embedding) ** 2
        else:
            cells = 8 * embedding**2
        return cells + inner + embedding * size

    def encoded(self, text, recipe, at_most):
        length = len(text.train) + len(text.validation) + len(text.test)
        if length > LONGEST:
            raise UserError(
                f"{text.name} has {length:,} characters; {self.NAME} reads at most "
                f"{LONGEST:,}. Train on a part of it, or char-lm."
            )
        return WordText.of(text, min_count=recipe.min_count, at_most=at_most)

    def training(self, data, recipe, epoch=0):
        import bptt_keras as bk

        steps = recipe.window
        if recipe.window_deviation:
            steps *= WINDOWS_A_BATCH
            steps = min(steps, self.stream_length(data, recipe))
        return bk.data.streams(
            data.ids["train"], batch_size=recipe.batch_size, window=steps
        )

    def processing(self, data):
        return {"words": list(data.vocabulary.words)}

    def build_model(self, data, recipe):
        return build_model(data.vocabulary.size, recipe)

    def build_trainer(self, model, recipe):
        import bptt_keras as bk

        window = recipe.window
        if recipe.window_deviation:
            window = bk.truncation.VariableWindow(
                window, deviation=recipe.window_deviation, seed=recipe.seed
            )
        return bk.TruncatedBPTT(model, window=window)

    def build_optimizer(self, recipe, updates):
        if recipe.average_after is None:
            return super().build_optimizer(recipe, updates)
        from zoo.recipes.averaging import AveragedSGD

        optimizer = AveragedSGD(
            recipe.learning_rate,
            weight_decay=recipe.weight_decay or None,
            **keras_arguments(recipe),
        )
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    def build_callbacks(self, run):
        from zoo.recipes.averaging import NonMonotone
        from zoo.recipes.batches import DrawnWindows

        callbacks, recipe = [], run.recipe
        if recipe.window_deviation:
            callbacks.append(DrawnWindows(recipe.seed))
        if recipe.average_after is not None:
            losses = run.recorder.history
            callbacks.append(
                NonMonotone(recipe.average_after, lambda: losses["val_loss"])
            )
        return callbacks


def build_model(size: int, recipe: WordRecipe):
    """Embedding, recurrent layers with locked dropout, and tied logits.

    Args:
        size: Number of ids.
        recipe: The recipe.

    Returns:
        A built `keras.Sequential` from ids `(batch, time)` to logits
        `(batch, time, size)`.
    """
    import keras

    import bptt_keras as bk
    from zoo.layers import TiedLogits, WordEmbedding
    from zoo.layers.recurrent import recurrent_layer

    def locked(rate):
        return [keras.layers.SpatialDropout1D(rate)] if rate else []

    def recurrent(units):
        if recipe.weight_dropout:
            return bk.layers.WeightDropLSTM(
                units, recipe.weight_dropout, return_sequences=True
            )
        return recurrent_layer(recipe.layer, units, return_sequences=True)

    def penalty(**weight):
        kind = bk.layers.ActivationRegularization
        return [kind(**weight)] if any(weight.values()) else []

    embedding = WordEmbedding(
        size,
        recipe.embedding,
        recipe.word_dropout,
        embeddings_initializer=keras.initializers.RandomUniform(-0.1, 0.1),
    )
    layers = [embedding, *locked(recipe.input_dropout)]
    for _ in range(recipe.layers - 1):
        layers += [recurrent(recipe.units), *locked(recipe.hidden_dropout)]
    model = keras.Sequential(
        [
            *layers,
            recurrent(recipe.embedding),
            *penalty(beta=recipe.beta),
            *locked(recipe.dropout),
            *penalty(alpha=recipe.alpha),
            # Logits stay in float32 where a mixed policy computes in less.
            TiedLogits(embedding, dtype="float32"),
        ]
    )
    model.build((None, None))
    return model


def _words_of(text) -> dict[str, list[str]]:
    """The words of a text's parts; one text is cut between words."""
    from zoo.texts.text import split
    from zoo.texts.words import as_words

    tested = {"test": as_words(text.test)} if text.test else {}
    if text.fraction is None:
        train, validation = as_words(text.train), as_words(text.validation)
    else:
        # A cut between characters could go through a word.
        train, validation = split(as_words(text.train + text.validation), text.fraction)
    return {"train": train, "validation": validation, **tested}
