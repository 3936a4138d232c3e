"""`bptt-zoo list`: shows the tasks, the data sets and the presets."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo import datasets
from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.printing import megabytes, print_json
from zoo.cli.shared import AsJson
from zoo.plain.scales import worded
from zoo.store import hub
from zoo.store.index import Listed, list_presets
from zoo.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    server: Annotated[
        str | None,
        Keyword("show the presets of a release on a server instead", "URL", "--from"),
    ] = None
    json: AsJson = False


def list_all(options: Options) -> None:
    """Prints the tasks, the data sets and the presets."""
    if options.server is None:
        presets = list_presets()
    else:
        presets = list(hub.index_at(options.server).presets.values())
    if options.json:
        print_json(_as_json(presets))
        return
    print("tasks")
    for task in TASKS.values():
        print(f"  {task.NAME:20}{task.SUMMARY}")
    print("\ndata sets")
    for name, of, words in _data_sets():
        print(f"  {name:20}{of:20}{words}")
    for task in TASKS.values():
        if task.OWN_DATA is not None:
            print(f"  {'--data PATH':20}{task.NAME:20}{task.OWN_DATA}")
    print("\npresets" + ("" if presets else ": none"))
    for preset in presets:
        where = "" if preset.shipped else f", by download, {megabytes(preset.size)}"
        value = f"{preset.metric} {worded(preset.value, preset.unit)}"
        print(f"  {preset.name:20}{preset.task:20}{value}{where}")


def _data_sets() -> list[tuple[str, str, str]]:
    """Name, task and description of each data set."""
    return [
        (name, task.NAME, row.summary if row else task.source_of(name))
        for task in TASKS.values()
        for name in task.DATASETS
        for row in [datasets.DATASETS.get(name)]
    ]


def _as_json(presets: list[Listed]) -> dict[str, object]:
    return {
        "tasks": {task.NAME: task.SUMMARY for task in TASKS.values()},
        "data_sets": [
            {"name": name, "task": task, "summary": words}
            for name, task, words in _data_sets()
        ],
        "presets": [
            {**dataclasses.asdict(preset), "shipped": preset.shipped}
            for preset in presets
        ],
    }


COMMAND = Command("Shows the tasks, the data sets and the presets.", Options, list_all)
