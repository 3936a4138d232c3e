"""`bptt-zoo evaluate`: evaluates a trained model."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.shared import AsJson, PresetName
from zoo.cli.task_command import load_data
from zoo.plain.scales import worded
from zoo.plain.suggestions import did_you_mean
from zoo.products.kinds import product_of
from zoo.store.check import check_preset
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.quiet import import_tensorflow
from zoo.tasks import TASKS
from zoo.tasks.task import Task

_DATA_SETS = tuple(sorted(name for task in TASKS.values() for name in task.DATASETS))


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    preset: PresetName
    dataset: Annotated[
        str | None,
        Keyword(
            "a data set of the same task (default: its own)",
            "NAME",
            group="data",
            either="data",
            known=_DATA_SETS,
        ),
    ] = None
    data: Annotated[
        str | None, Keyword("data of your own", "PATH", group="data", either="data")
    ] = None
    whole: Annotated[
        bool,
        Keyword(
            "all of a text or of music of --data, not its last part alone",
            group="data",
        ),
    ] = False
    encoding: Annotated[
        str | None,
        Keyword("of a text of --data (default: utf-8)", "NAME", group="data"),
    ] = None
    data_dir: Annotated[
        str | None,
        Keyword("folder with a local copy of the files", "DIR", group="data"),
    ] = None
    json: AsJson = False


def evaluate(options: Options) -> None:
    """Prints the metric of a preset on a held-out part."""
    checked = check_preset(locate_files(options.preset))
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.runs.evaluation import adapted
    from zoo.runs.evaluation import evaluate as measured
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
    task = TASKS[preset.metadata["task"]]
    dataset = _data_set(task, preset, options)
    reading = _reading(task, preset, options)
    data = load_data(
        task,
        task.recipe_from(preset.metadata["recipe"]),
        dataset=dataset,
        data=options.data,
        data_dir=options.data_dir,
        reading=reading,
    )
    part = "whole" if options.whole else task.parts(data)[-1]
    value = measured(preset, data, part)
    same = adapted(data, preset).describe() == preset.metadata["data"]
    if options.json:
        found = {"data": data.name, "part": part, "metric": task.METRIC.name}
        found |= {"unit": task.METRIC.unit, "value": value, "trained_on_these": same}
        print(json.dumps(found, indent=2))
        return
    where = "all of it" if part == "whole" else f"{part} part"
    shown = worded(value, task.METRIC.unit)
    print(f"{data.name}, {where}: {task.METRIC.name} {shown}")
    for line in _comparison(task, preset, data, part=part, same=same):
        print(line)


def _data_set(task: Task, preset: Any, options: Options) -> str | None:
    """The data set to evaluate on; None: the user's own data."""
    known, dataset = preset.metadata["data"]["name"], options.dataset
    if dataset is None and options.data is None:
        if known not in task.DATASETS:
            raise UserError(
                f"This preset was trained on a user's own data, {known}. Name them, or "
                "others, with --data."
            )
        dataset = known
    if dataset is not None and dataset not in task.DATASETS:
        raise UserError(
            f"--dataset must be one of {task.NAME}: {', '.join(task.DATASETS)}. "
            f"Received: {dataset}.{did_you_mean(dataset, task.DATASETS)}"
        )
    if options.whole and not (options.data is not None and task.WHOLE):
        raise UserError(
            "`--whole` measures all of a text or of music that --data names. Leave it "
            "out."
        )
    return dataset


def _reading(task: Task, preset: Any, options: Options) -> dict[str, Any]:
    """How to read the user's own data: as for the training, unless options differ."""
    own = options.data is not None
    said = {} if options.encoding is None else {"encoding": options.encoding}
    if said and not (own and "encoding" in {option.name for option in task.READING}):
        raise UserError("`--encoding` is that of a text that --data names.")
    return {**task.reading_of(preset.processing), **said} if own else said


def _comparison(
    task: Task, preset: Any, data: Any, *, part: str, same: bool
) -> list[str]:
    """Remarks about the value, compared with that of the training."""
    if same and part == "whole":
        return ["The preset was trained on a part of these data."]
    if same:
        before = worded(preset.metadata["metric"]["value"], task.METRIC.unit)
        return [f"stored in the preset, same data: {before}"]
    known = preset.metadata["data"]["name"]
    return [
        f"The preset was trained on other data: {known}.",
        *product_of(task).remarks(data, preset, part),
    ]


COMMAND = Command(
    "Prints the metric of a preset: on the test part of its data set, or on the "
    "validation part if there is no test part.",
    Options,
    evaluate,
)
