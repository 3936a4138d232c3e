"""Predict the next word of a text."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING, Annotated, Any

from zoo import datasets
from zoo.recipes.recipe import Recipe
from zoo.system.errors import UserError
from zoo.tasks.language import LanguageTask
from zoo.tasks.task import Metric
from zoo.texts.encoded import WordText
from zoo.texts.text import Text

if TYPE_CHECKING:
    import keras

    import bptt_keras as bk

# Random windows end where the batch ends, so a batch holds several.
WINDOWS_A_BATCH = 10
# Characters of a text; its words take ten times the memory.
LONGEST = 64_000_000


@dataclasses.dataclass(frozen=True)
class WordRecipe(Recipe):
    """`Recipe` with the options of AWD-LSTM."""

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

    def __post_init__(self) -> None:
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


class WordLM(LanguageTask[WordText, WordRecipe]):
    """Word model: predicts the next word from those so far.

    Words are separated by white space, the end of a line is a word, and words without
    an id become `<unk>`, which counts like any other. The model is an AWD-LSTM: layers
    with dropout of whole words, locked dropout and dropout of recurrent weights, and
    logits that are tied to the embedding. The training loss includes AR and TAR, and so
    does its perplexity; those of validation and test do not.

    The recipe of the paper, with 24 M weights, is `--embedding 400 --units 1150
    --layers 3 --dropout 0.4 --input-dropout 0.4 --hidden-dropout 0.25 --word-dropout
    0.1 --weight-dropout 0.5 --alpha 2 --beta 1 --window 70 --window-deviation 5
    --average-after 5 --learning-rate 30 --clip 0.25 --weight-decay 1.2e-6 --epochs
    500`. The default is smaller and uses AdamW with a decaying learning rate.

    Source: Merity, Keskar & Socher, "Regularizing and optimizing LSTM language models"
    (2018). There all rows share one mask of recurrent weights and words; here, if the
    trainer cuts a window into shards, each shard has its own.
    """

    NAME = "word-lm"
    SUMMARY = "predict the next word of a text (nats per word, and perplexity)"
    DATASETS = ("penn-treebank", "wikitext-2")
    METRIC = Metric("cross-entropy", "nats per word")
    RECIPES = {
        None: WordRecipe(min_count=3),
        # An hour on two cores, hence little dropout; with these rates the validation
        # loss does not fall further.
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
    VOCABULARY = 30_000
    MORE_KNOWN = "a lower --min-count or a higher --vocabulary"
    UPDATES = 100
    STREAMS = 10

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: WordRecipe
    ) -> WordText:
        text = datasets.load(dataset, data_dir=data_dir)
        return WordText.of(text, min_count=recipe.min_count)

    def sized(self, recipe: WordRecipe, length: int, size: int) -> dict[str, Any]:
        """A smaller model with more dropout for a short text."""
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

    def wanted(self, length: int) -> int:
        return 8_000

    def weights(self, recipe: WordRecipe, size: int) -> int:
        embedding, units = recipe.embedding, recipe.units
        inner = max(0, recipe.layers - 2) * 8 * units**2
        if recipe.layers > 1:
            cells = 4 * (units + embedding) ** 2
        else:
            cells = 8 * embedding**2
        return cells + inner + embedding * size

    def lookups(self, recipe: WordRecipe, size: int) -> int:
        # The embedding computes the logits, too.
        return 0

    def encoded(self, text: Text, recipe: WordRecipe, at_most: int | None) -> WordText:
        length = len(text.train) + len(text.validation) + len(text.test)
        if length > LONGEST:
            raise UserError(
                f"{text.name} has {length:,} characters; {self.NAME} reads at most "
                f"{LONGEST:,}. Train on a part of it, or char-lm."
            )
        return WordText.of(text, min_count=recipe.min_count, at_most=at_most)

    def training(self, data: WordText, recipe: WordRecipe) -> Any:
        # Keras: put off.
        import bptt_keras as bk

        steps = recipe.finite_window
        if recipe.window_deviation:
            steps *= WINDOWS_A_BATCH
            steps = min(steps, self.stream_length(data, recipe))
        return bk.data.streams(
            data.ids["train"], batch_size=recipe.batch_size, window=steps
        )

    def processing(self, data: WordText, recipe: WordRecipe) -> dict[str, Any]:
        return {"words": list(data.vocabulary.words)}

    def build_model(self, data: WordText, recipe: WordRecipe) -> keras.Sequential:
        return build_model(data.vocabulary.size, recipe)

    def build_trainer(self, model: keras.Model, recipe: WordRecipe) -> bk.TruncatedBPTT:
        # Keras: put off.
        import bptt_keras as bk

        window: Any = recipe.window
        if recipe.window_deviation:
            window = bk.truncation.VariableWindow(
                window, deviation=recipe.window_deviation, seed=recipe.seed
            )
        return bk.TruncatedBPTT(model, window=window)

    def build_optimizer(
        self, recipe: WordRecipe, updates: int
    ) -> keras.optimizers.Optimizer:
        if recipe.average_after is None:
            return super().build_optimizer(recipe, updates)
        # Keras: put off.
        from zoo.fitting.averaging import AveragedSGD
        from zoo.fitting.optimizers import keras_arguments

        optimizer = AveragedSGD(
            recipe.learning_rate,
            weight_decay=recipe.weight_decay or None,
            **keras_arguments(recipe),
        )
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    def build_callbacks(
        self, recipe: WordRecipe, history: dict[str, list[float]]
    ) -> list[keras.callbacks.Callback]:
        # Keras: put off.
        from zoo.fitting.averaging import NonMonotone
        from zoo.fitting.batches import DrawnWindows

        callbacks: list[keras.callbacks.Callback] = []
        if recipe.window_deviation:
            callbacks.append(DrawnWindows(recipe.seed))
        if recipe.average_after is not None:
            callbacks.append(
                NonMonotone(recipe.average_after, lambda: history["val_loss"])
            )
        return callbacks


def build_model(size: int, recipe: WordRecipe) -> keras.Sequential:
    """Embedding, recurrent layers with locked dropout, and tied logits.

    Args:
        size: Number of ids.
        recipe: The recipe.

    Returns:
        A built `keras.Sequential` from ids `(batch, time)` to logits
        `(batch, time, size)`.
    """
    # Keras: put off.
    import keras

    import bptt_keras as bk
    from zoo.layers import TiedLogits, WordEmbedding
    from zoo.layers.recurrent import recurrent_layer

    def locked(rate: float) -> list[keras.layers.Layer]:
        return [keras.layers.SpatialDropout1D(rate)] if rate else []

    def recurrent(units: int) -> keras.layers.Layer:
        if recipe.weight_dropout:
            return bk.layers.WeightDropLSTM(
                units, recipe.weight_dropout, return_sequences=True
            )
        return recurrent_layer(recipe.layer, units, return_sequences=True)

    def penalty(**weight: float) -> list[keras.layers.Layer]:
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
            # Logits stay in float32 under a mixed-precision policy.
            TiedLogits(embedding, dtype="float32"),
        ]
    )
    model.build((None, None))
    return model
