"""What models of characters and of words have in common."""

from __future__ import annotations

import math

import numpy as np

from zoo.errors import UserError
from zoo.tasks.task import Task


class LanguageTask(Task):
    """From a text so far, what comes next.

    A text is read as several streams side by side. Its data have `text`, a
    `zoo.datasets.Text`; `vocabulary`; and `ids`, `{part: array}`.

    Attributes:
        UNIT: What a text is made of here, in words.
        STREAMS: Rows that evaluation reads side by side.
        SAMPLE_PROMPT: How the text begins that a training shows at its end.
        SAMPLE_LENGTH: How long it is.
    """

    UNIT: str
    STREAMS: int
    SAMPLE_PROMPT = "\n"
    SAMPLE_LENGTH: int
    OWN_DATA = "a text file, UTF-8"
    CONTINUES = "text"

    def check(self, data, recipe):
        self.require_window(recipe, "a text, which is one long stream")
        length = self.stream_length(data, recipe)
        if length < recipe.window:
            raise UserError(
                f"{data.name} is too short: its {len(data.ids['train']):,} training "
                f"{self.UNIT} in {recipe.batch_size} streams leave {length} to each, "
                f"less than one window of {recipe.window}. Lower --batch-size or "
                "--window."
            )

    def stream_length(self, data, recipe) -> int:
        """Timesteps of a training stream."""
        return (len(data.ids["train"]) - 1) // recipe.batch_size

    def parts(self, data):
        return tuple(part for part in data.ids if part != "train")

    def training(self, data, recipe, epoch=0):
        import bptt_keras as bk

        return bk.data.streams(
            data.ids["train"], batch_size=recipe.batch_size, window=recipe.window
        )

    def held_out(self, data, recipe, part):
        """Up to `STREAMS` streams, fewer for a short text.

        Each starts without a past, so each costs a little, and side by side they are
        fast. The last `(n - 1) % streams` ids are not scored.
        """
        import bptt_keras as bk

        ids = data.ids[part]
        window = min(recipe.window, len(ids) - 1)
        streams = max(1, min(self.STREAMS, (len(ids) - 1) // window))
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
        return math.ceil(self.stream_length(data, recipe) / recipe.window)

    def levels(self, data, recipe, part):
        from zoo import baselines

        train, held_out = data.ids["train"], data.ids[part]
        size = data.vocabulary.size
        return {
            "unigram (order 1)": baselines.unigram(train, held_out, size),
            "uniform (chance)": baselines.uniform(size),
        }

    def adapted(self, data, preset):
        return type(data).of(data.text, preset.vocabulary)

    def build_loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def remarks(self, data, preset):
        held_out = data.units("validation")
        missing = set(preset.vocabulary.missing(held_out))
        if not missing:
            return []
        share = sum(unit in missing for unit in held_out) / len(held_out)
        return [
            f"{share:.2%} of the {self.UNIT} are unknown to it, and cost it dearly."
        ]

    def conclude(self, run, preset):
        from zoo.files import write_text
        from zoo.run_report import SAMPLE
        from zoo.sampling import generate

        prompt = self.SAMPLE_PROMPT
        if preset.vocabulary.missing(prompt):
            prompt = run.data.text.validation[:1]
        sample = generate(preset, prompt, length=self.SAMPLE_LENGTH, temperature=0.8)
        write_text(run.out / SAMPLE, prompt + sample)
        rule = "-" * 72
        print(f"\na sample, at temperature 0.8:\n{rule}\n{sample.strip()}\n{rule}")

    def next_steps(self, folder):
        command = f"bptt-zoo generate {folder} --prompt TEXT"
        return [("continue a text", command)]
