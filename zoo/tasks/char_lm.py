"""Predict the next character of a text."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from zoo.errors import UserError
from zoo.recipe import Recipe as Common
from zoo.tasks.task import Metric, Task

STREAMS = 16  # rows that evaluation reads side by side
SAMPLE_LENGTH = 300


@dataclasses.dataclass(frozen=True)
class Recipe(Common):
    """`zoo.recipe.Recipe`, with an embedding.

    Args:
        embedding: Width of a character's vector, at least 1.
        embedding_dropout: Rate on the embedding, in `[0, 1)`.
    """

    units: int = 256
    dropout: float = 0.2
    batch_size: int = 64
    window: int | None = 100
    epochs: int = 20
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    embedding: int = 64
    embedding_dropout: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        self.require("embedding", self.embedding >= 1, "at least 1")
        self.require("embedding_dropout", 0 <= self.embedding_dropout < 1, "in [0, 1)")


@dataclasses.dataclass(frozen=True)
class Characters:
    """A text as ids of its characters.

    Args:
        text: `zoo.datasets.Text`.
        vocabulary: That of its training part.
        ids: `{part: array (characters,)}`.
    """

    text: object
    vocabulary: object
    ids: dict

    @classmethod
    def of(cls, text, vocabulary=None):
        """A text, encoded by its own vocabulary or by another."""
        from zoo.datasets import Vocabulary

        vocabulary = vocabulary or Vocabulary.of(text.train)
        parts = {"train": text.train, "validation": text.validation}
        if text.test:
            parts["test"] = text.test
        return cls(
            text, vocabulary, {k: vocabulary.encode(v) for k, v in parts.items()}
        )

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.text.name

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        unknown = self.ids["validation"] == self.vocabulary.unknown_id
        return self.text.describe() | {
            "vocabulary_size": self.vocabulary.size,
            "unknown_validation_characters": int(unknown.sum()),
        }


class CharLM(Task):
    """Character model: from the characters so far, the next one.

    A text is read as several streams side by side. Characters that the training part
    does not have count as one more, unknown one.
    """

    NAME = "char-lm"
    SUMMARY = "predict the next character of a text (nats and bits per character)"
    DATASETS = ("python-topics", "tiny-shakespeare", "penn-treebank")
    METRIC = Metric("cross-entropy", "nats per character", bits=True)
    RECIPES = {
        None: Recipe(),
        # With less decay and input dropout it overfits from epoch 25 on (1.458 nats).
        "tiny-shakespeare": Recipe(
            units=384, embedding_dropout=0.2, dropout=0.5, weight_decay=0.1, epochs=46
        ),
        "python-topics": Recipe(batch_size=32, window=64, epochs=10),
        "penn-treebank": Recipe(
            units=800, embedding_dropout=0.1, dropout=0.3, batch_size=128, epochs=20
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
    OWN_DATA = "a text file, UTF-8"
    CONTINUES = "text"
    SAMPLE_PROMPT = "\n"

    def load(self, dataset, data_dir, recipe):
        from zoo import datasets

        text = datasets.load(dataset, data_dir=data_dir)
        return Characters.of(_as_characters(text))

    def from_file(self, path, recipe):
        from zoo.datasets import from_file

        return Characters.of(from_file(path))

    def check(self, data, recipe):
        if recipe.window is None:
            raise UserError("--window must be given for a text.")
        length = self._stream_length(data, recipe)
        if length < recipe.window:
            raise UserError(
                f"{data.name} is too short: its {len(data.ids['train']):,} training "
                f"characters in {recipe.batch_size} streams leave {length} to each, "
                f"less than one window of {recipe.window}. Lower --batch-size or "
                "--window."
            )

    def parts(self, data):
        return tuple(part for part in data.ids if part != "train")

    def training(self, data, recipe, epoch=0):
        import bptt_keras as bk

        return bk.data.streams(
            data.ids["train"], batch_size=recipe.batch_size, window=recipe.window
        )

    def held_out(self, data, recipe, part):
        """Up to 16 streams, fewer for a short text.

        Each starts without a past, so each costs a little, and side by side they are
        fast. The last `(n - 1) % streams` characters are not scored.
        """
        import bptt_keras as bk

        ids = data.ids[part]
        window = min(recipe.window, len(ids) - 1)
        streams = max(1, min(STREAMS, (len(ids) - 1) // window))
        return bk.data.streams(ids, batch_size=streams, window=window)

    def watched(self, data, recipe):
        ids = data.ids["validation"]
        rows = min(4, len(ids) // 4)
        length = 3 * recipe.window
        if rows:
            length = min(length, (len(ids) - 1) // rows)
        if not rows or length < 3:
            return None
        places = np.arange(rows)[:, None] * length + np.arange(length)
        return ids[places], ids[places + 1]

    def updates_per_epoch(self, data, recipe):
        return math.ceil(self._stream_length(data, recipe) / recipe.window)

    def _stream_length(self, data, recipe):
        return (len(data.ids["train"]) - 1) // recipe.batch_size

    def levels(self, data, recipe):
        from zoo import baselines

        part = "test" if "test" in data.ids else "validation"
        train, held_out = data.ids["train"], data.ids[part]
        size = data.vocabulary.size
        return {
            "bigram (order 2)": baselines.bigram(train, held_out, size),
            "unigram (order 1)": baselines.unigram(train, held_out, size),
            "uniform (chance)": baselines.uniform(size),
        }

    def processing(self, data):
        return {"vocabulary": "".join(data.vocabulary.characters)}

    def adapted(self, data, preset):
        return Characters.of(data.text, preset.vocabulary)

    def build_model(self, data, recipe):
        return build_model(data.vocabulary.size, recipe)

    def build_loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def derived(self, logs):
        from zoo.report import bits

        return {
            prefix + "bpc": bits(logs[prefix + "loss"])
            for prefix in ("", "val_")
            if prefix + "loss" in logs
        }

    def remarks(self, data, preset):
        missing = preset.vocabulary.missing(data.text.validation)
        if not missing:
            return []
        share = sum(c in missing for c in data.text.validation)
        share /= len(data.text.validation)
        return [f"{share:.2%} of the characters are unknown to it, and cost it dearly."]

    def conclude(self, run, preset):
        from zoo.files import write_text
        from zoo.run_report import SAMPLE
        from zoo.sampling import generate

        prompt = self.SAMPLE_PROMPT
        if preset.vocabulary.missing(prompt):
            prompt = run.data.text.validation[:1]
        sample = generate(preset, prompt, length=SAMPLE_LENGTH, temperature=0.8)
        write_text(run.out / SAMPLE, prompt + sample)
        rule = "-" * 72
        print(f"\na sample, at temperature 0.8:\n{rule}\n{sample.strip()}\n{rule}")

    def next_steps(self, folder):
        command = f"bptt-zoo generate {folder} --prompt TEXT"
        return [("continue a text", command)]


def build_model(size: int, recipe: Recipe):
    """Embedding, recurrent layers with dropout, and logits.

    Args:
        size: Number of ids.
        recipe: The recipe.

    Returns:
        A built `keras.Sequential` from ids `(batch, time)` to logits
        `(batch, time, size)`.
    """
    import keras

    from zoo.tasks.layers import recurrent_stack

    model = keras.Sequential(
        [
            keras.layers.Embedding(size, recipe.embedding),
            keras.layers.Dropout(recipe.embedding_dropout),
            *recurrent_stack(recipe, return_sequences=True),
            # Logits stay in float32 where a mixed policy computes in less.
            keras.layers.Dense(size, dtype="float32"),
        ]
    )
    model.build((None, None))
    return model


def _as_characters(text):
    """The usual character form of a text of words."""
    if text.name != "penn-treebank":
        return text
    from zoo.datasets.language import as_characters

    return dataclasses.replace(
        text,
        train=as_characters(text.train),
        validation=as_characters(text.validation),
        test=as_characters(text.test),
    )
