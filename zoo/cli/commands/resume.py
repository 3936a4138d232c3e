"""`bptt-zoo resume`: resumes a training."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.commands.train import places
from zoo.cli.options import Keyword
from zoo.cli.shared import RunFolder
from zoo.cli.task_command import load_data
from zoo.cli.training import fit
from zoo.cli.workers import Workers, join_workers, own_folder
from zoo.recipes.recipe import Training
from zoo.runs.checkpoint_files import CHECKPOINT, epochs_done, read_training
from zoo.store.check import read_known_metadata
from zoo.system.errors import UserError
from zoo.system.quiet import import_tensorflow
from zoo.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    run: RunFolder
    epochs: Annotated[
        int | None,
        Keyword(
            "continue until N epochs are done, also after a training has ended; from "
            "there the learning rate follows the schedule of N epochs",
            "N",
        ),
    ] = None
    stop: Annotated[
        bool,
        Keyword(
            "end the training now: measure the best model so far, and write plots and "
            "metadata"
        ),
    ] = False
    workers: Workers = None


def resume(options: Options) -> None:
    """Resumes a training that was interrupted, or trains for more epochs."""
    out = Path(options.run)
    if not out.is_dir():
        raise UserError(f"There is no training in {out}: it is no folder.")
    join_workers(options.workers)
    with own_folder(out) as own:
        training, remarks = read_training(out)
        for line in remarks:
            print(f"bptt-zoo: {line}", file=sys.stderr)
        try:
            origin = training["origin"]
            task = TASKS[origin["task"]]
            recipe = task.recipe_from(training["recipe"])
            where, jit, start = places(origin), origin["jit"], origin["from"]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"The checkpoint in {out} is damaged: {error}") from None
        epoch = epochs_done(out)
        longer = _longer(out, recipe, epoch, options)
        recipe = dataclasses.replace(recipe, epochs=longer or recipe.epochs)
        if where["data"] is None:
            import_tensorflow()
        data = load_data(task, recipe, **where)
        import_tensorflow()
        # Put off: they import TensorFlow.
        from zoo.runs.evaluation import adapted
        from zoo.runs.training import PRESET, Run
        from zoo.store.preset import load_preset

        if start is not None:
            data = adapted(data, load_preset(out / PRESET))
        since = epoch if longer else 0
        origin = {**where, "from": start}
        run = Run(
            task,
            data,
            recipe,
            own,
            jit=jit,
            origin=origin,
            patient_since=since,
            training=training,
            checkpoint=out / CHECKPOINT,
        )
        fit(run, stop=options.stop)


def _longer(out: Path, recipe: Training, epoch: int, options: Options) -> int | None:
    """The number of epochs that a training is extended to, or None."""
    epochs = options.epochs
    if epochs is not None:
        if options.stop:
            raise UserError("`--stop` ends a training, `--epochs` extends it.")
        if epochs <= epoch:
            raise UserError(
                f"`--epochs` must be above {epoch}, which are done. Received: {epochs}"
            )
        return epochs
    try:
        ended = read_known_metadata(out).get("epochs") == epoch
    except UserError:  # killed before the first preset was written, or damaged
        ended = False
    if ended:
        raise UserError(
            f"The training in {out} has ended, after {epoch} of {recipe.epochs} "
            "epochs. With --epochs N it continues until N are done."
        )
    return None


COMMAND = Command(
    "Continues where a training was saved last, in the midst of an epoch too, with the "
    "same result as without the interruption; or trains for more epochs.",
    Options,
    resume,
)
