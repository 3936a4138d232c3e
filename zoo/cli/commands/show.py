"""`bptt-zoo show`: shows the facts about a preset."""

from __future__ import annotations

import dataclasses

from zoo.cli.command import Command
from zoo.cli.printing import print_json
from zoo.cli.shared import AsJson, PresetName
from zoo.products.kinds import product_of
from zoo.runs.report import result_table, verdict
from zoo.store import hub
from zoo.store.card import on_machine
from zoo.store.check import read_known_metadata
from zoo.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    preset: PresetName
    json: AsJson = False


def show(options: Options) -> None:
    """Prints the facts about a preset."""
    folder = hub.locate(options.preset)
    metadata = read_known_metadata(folder)
    if options.json:
        print_json({**metadata, "folder": str(folder)})
        return
    print("\n".join(filter(None, [result_table(metadata), verdict(metadata)])) + "\n")
    for name in ("data", "recipe", "versions", "seeds"):
        if metadata.get(name):
            facts = ", ".join(f"{k} {v}" for k, v in metadata[name].items())
            print(f"{name}: {facts}")
    print(f"weights: {metadata['parameters']:,}")
    epochs = metadata.get("stopped_after")
    stopped = "" if epochs is None else f", stopped after {epochs} epochs"
    seconds = f"{metadata['wall_time_seconds']:,.0f} s"
    print(f"trained in {seconds}{on_machine(metadata)}{stopped}")
    print(f"folder: {folder}")
    product = product_of(TASKS[metadata["task"]])
    for words, command in product.next_steps(options.preset):
        print(f"{words}: {command}")


COMMAND = Command(
    "Shows the result of a preset beside published numbers, and how it was trained.",
    Options,
    show,
)
