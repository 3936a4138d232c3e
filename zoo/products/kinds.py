"""The kinds of products of models: what is shown of them, what to do next."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.system.files import write_text
from zoo.tasks.task import Task

if TYPE_CHECKING:
    from zoo.store.preset import Preset

# Length and prompt of the text that a training shows at its end.
LENGTHS = {"characters": 300, "words": 100}
PROMPT = "\n"


class Product:
    """What a task's models produce. This base class is for those without a product."""

    def next_steps(self, folder: str | os.PathLike) -> list[tuple[str, str]]:
        """What can be done with a preset: pairs of a description and a command."""
        return [("measure it", f"bptt-zoo evaluate {folder}")]

    def remarks(self, data: Any, preset: Preset, part: str = "validation") -> list[str]:
        """Remarks about a metric on data that the preset was not trained on.

        Args:
            data: Data of the preset's task, as its model reads them.
            preset: The preset.
            part: "validation", "test" or "whole".
        """
        return []

    def conclude(self, out: Path, data: Any, preset: Preset) -> None:
        """Shows, after a training, what the model produces: prints, writes files.

        Args:
            out: The folder of the training.
            data: The data of the training.
            preset: The resulting preset.
        """
        return None


class ContinuedText(Product):
    """Text that continues a prompt."""

    def next_steps(self, folder: str | os.PathLike) -> list[tuple[str, str]]:
        return [("continue a text", f"bptt-zoo generate {folder} --prompt TEXT")]

    def remarks(self, data: Any, preset: Preset, part: str = "validation") -> list[str]:
        parts = data.ids if part == "whole" else [part]
        vocabulary, texts = preset.vocabulary, [data.units(part) for part in parts]
        missing = set(itertools.chain(*map(vocabulary.missing, texts)))
        if not missing:
            return []
        unknown = sum(unit in missing for text in texts for unit in text)
        share = unknown / sum(map(len, texts))
        return [
            f"{share:.2%} of the {vocabulary.UNIT} are unknown to it, and cost it "
            "dearly."
        ]

    def conclude(self, out: Path, data: Any, preset: Preset) -> None:
        # TensorFlow: put off.
        from zoo.products.sampling import generate
        from zoo.runs.run_report import SAMPLE

        prompt, vocabulary = PROMPT, preset.vocabulary
        if vocabulary.missing(prompt):
            ids = data.ids["train"]
            known = ids[ids != vocabulary.unknown_id][:1]
            if not len(known):
                return
            prompt = vocabulary.decode(known)
        length = LENGTHS[vocabulary.UNIT]
        sample = generate(preset, prompt, length=length, temperature=0.8)
        write_text(out / SAMPLE, prompt + sample)
        rule = "-" * 72
        print(f"\na sample, at temperature 0.8:\n{rule}\n{sample.strip()}\n{rule}")


class Composition(Product):
    """Music that continues a prompt."""

    def next_steps(self, folder: str | os.PathLike) -> list[tuple[str, str]]:
        command = f"bptt-zoo generate {folder} --out tune.mid"
        return [("compose", command), *super().next_steps(folder)]


class Forecast(Product):
    """The next values of a series."""

    def next_steps(self, folder: str | os.PathLike) -> list[tuple[str, str]]:
        command = f"bptt-zoo forecast {folder} --data FILE.csv"
        return [("forecast", command), *super().next_steps(folder)]

    def conclude(self, out: Path, data: Any, preset: Preset) -> None:
        """Prints the network's share in the forecasts, if it is not all of them."""
        share = preset.processing.get("share", 1)
        output = preset.model.layers[-1].get_weights()
        if data.table is None:
            return
        if not any(map(np.any, output)):
            print(
                "The network was no clear gain over the ridge regression on the "
                "validation part: forecasts are those of the regression."
            )
        elif share != 1:
            print(
                f"Forecasts are a mixture with the least error on the validation part: "
                f"{share:.0%} network, {1 - share:.0%} ridge regression."
            )


class Classes(Product):
    """The classes of series."""

    def next_steps(self, folder: str | os.PathLike) -> list[tuple[str, str]]:
        command = f"bptt-zoo predict {folder} --data FILE.ts"
        return [("classify", command), *super().next_steps(folder)]


# Keys are the values of `Task.MAKES`.
PRODUCTS: dict[str | None, Product] = {
    None: Product(),
    "text": ContinuedText(),
    "music": Composition(),
    "forecast": Forecast(),
    "classes": Classes(),
}


def product_of(task: Task[Any, Any]) -> Product:
    """The product of a task's models."""
    return PRODUCTS[task.MAKES]
