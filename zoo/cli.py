"""The command line `bptt-zoo`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Sequence

from zoo.errors import UserError, ZooError

_KINDS = {"int": int, "float": float, "str": str}
EPILOG = """\
examples:
  bptt-zoo train char-lm --out runs/topics
  bptt-zoo train char-lm --dataset tiny-shakespeare --out runs/shakespeare
  bptt-zoo train char-lm --data my.txt --units 128 --epochs 10 --out runs/mine
  bptt-zoo train music --dataset jsb-chorales --data-dir DIR --out runs/jsb
  bptt-zoo train forecasting --data my.csv --horizon 12 --out runs/table
  bptt-zoo resume runs/mine
  bptt-zoo generate runs/topics --prompt "The " --temperature 0.8
  bptt-zoo evaluate runs/topics
  bptt-zoo report runs/topics
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments; None: those of the process.

    Returns:
        The exit code: 0, 1 for a failure, 2 for a request that cannot be served, 130
        for an interruption.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end a training.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        arguments = build_parser().parse_args(argv)
        run = _command(arguments.command)
        run(arguments)
    except UserError as error:
        return _report(error, 2)
    except BrokenPipeError:  # the reader, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ZooError, OSError) as error:
        return _report(error, 1)
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:  # argparse: --help and wrong options
        return error.code or 0
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser, with one subparser per command."""
    parser = _Parser(
        prog="bptt-zoo",
        description="Train and use models with truncated backpropagation through time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_resume(commands)
    _add_generate(commands)
    _add_evaluate(commands)
    _add_report(commands)
    commands.add_parser("list", help="show the tasks and the data sets")
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` has the rest."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _add_train(commands) -> None:
    from zoo.tasks import TASKS

    parser = commands.add_parser(
        "train",
        help="train a model; writes history, plots and a preset",
        description="Trains a model. Each task has options of its own: bptt-zoo train "
        "TASK --help.",
    )
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    for task in TASKS.values():
        _add_task(tasks, task)


def _add_task(tasks, task) -> None:
    parser = tasks.add_parser(
        task.NAME,
        help=task.SUMMARY,
        description=f"{task.SUMMARY[0].upper()}{task.SUMMARY[1:]}. Writes history.csv, "
        "history.json, plots, looks.json and the folder preset/ below --out. Options "
        "that are left out come from the recipe of the data set.",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for everything written"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="allow an --out that is not empty"
    )
    _add_data(parser, task, default=task.DATASETS[0])
    group = parser.add_argument_group("recipe")
    fields = dataclasses.fields(task.recipe_for(None))
    words = _words(type(task.recipe_for(None)))
    for field in fields:
        kind = _KINDS[field.type.split(" ")[0]]
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            metavar={int: "N", float: "X", str: "NAME"}[kind],
            help=f"{words[field.name]} (default: {_default(task, field.name)})",
        )
    group.add_argument(
        "--jit",
        choices=("auto", "on", "off"),
        default="auto",
        help="compile with XLA; auto: wherever it compiles (default)",
    )


def _words(recipe_class) -> dict[str, str]:
    """First sentences of what the docstrings of a recipe say of its values."""
    words = {}
    for kind in reversed(recipe_class.__mro__[:-1]):
        lines = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")[2]
        entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", lines, re.MULTILINE)
        for name, text in entries:
            sentence = re.split(r"[.;](?:\s|$)", " ".join(text.split()))[0]
            # argparse formats help texts with %.
            words[name] = (sentence[0].lower() + sentence[1:]).replace("%", "%%")
    return words


def _default(task, name: str) -> str:
    """A recipe's value, and the data sets whose recipe has another."""
    usual = getattr(task.recipe_for(None), name)
    others = [
        f"{dataset} {getattr(task.recipe_for(dataset), name)}"
        for dataset in task.DATASETS
        if getattr(task.recipe_for(dataset), name) != usual
    ]
    return "; ".join([str(usual), *others])


def _add_data(parser, task, *, default: str) -> None:
    group = parser.add_argument_group("data")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--dataset",
        choices=task.DATASETS,
        help=f"one of: %(choices)s (default: {default})",
    )
    if task.OWN_DATA is not None:
        either.add_argument("--data", metavar="PATH", help=f"your own: {task.OWN_DATA}")
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder with a local copy of the data set's files (default: "
        "$BPTT_ZOO_DATA, else a download)",
    )


def _add_resume(commands) -> None:
    parser = commands.add_parser(
        "resume",
        help="go on with a training that was interrupted",
        description="Goes on after the last epoch that was finished, with the same "
        "result as without the interruption.",
    )
    parser.add_argument("run", metavar="RUN", help="the --out folder of a training")


def _add_generate(commands) -> None:
    parser = commands.add_parser(
        "generate",
        help="continue a text with a trained model",
        description="Prints the prompt and what the model adds to it.",
    )
    _add_preset(parser)
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="how it begins")
    parser.add_argument(
        "--length",
        type=int,
        default=500,
        metavar="N",
        help="characters, or words (%(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="X",
        help="below 1: safer, above 1: wilder, 0: always the likeliest (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the draws (%(default)s)"
    )


def _add_evaluate(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on a held-out part",
        description="Prints the metric of a preset: on the test part of its data set, "
        "or the validation part where there is no other.",
    )
    _add_preset(parser)
    group = parser.add_argument_group("data")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--dataset",
        metavar="NAME",
        help="a data set of the same task (default: its own)",
    )
    either.add_argument("--data", metavar="PATH", help="data of your own")
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder with a local copy of the files"
    )


def _add_report(commands) -> None:
    parser = commands.add_parser(
        "report",
        help="write one HTML page about a training",
        description="Writes a self-contained page: curves, gradients and clipping, how "
        "the gradient flows over the epochs, a sample, the configuration. It works "
        "while the training is still running, too.",
    )
    parser.add_argument("run", metavar="RUN", help="the --out folder of a training")
    parser.add_argument(
        "--out", metavar="FILE", help="the page (default: RUN/report.html)"
    )


def _add_preset(parser) -> None:
    parser.add_argument(
        "preset", metavar="PRESET", help="a preset folder, or the --out of a training"
    )


def _command(name: str):
    from zoo import commands

    return commands.show if name == "list" else getattr(commands, name)


def _report(error: Exception, code: int) -> int:
    message = " ".join(str(error).split())
    print(f"bptt-zoo: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
