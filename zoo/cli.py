"""The command line `bptt-zoo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from zoo.errors import UserError, ZooError

EPILOG = """\
examples:
  bptt-zoo train char-lm --out runs/topics
  bptt-zoo train char-lm --dataset tiny-shakespeare --out runs/shakespeare
  bptt-zoo train char-lm --data my.txt --units 128 --epochs 10 --out runs/mine
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
    from zoo.tasks import TASKS, char_lm

    parser = commands.add_parser(
        "train",
        help="train a model; writes history, plots and a preset",
        description="Trains a model and writes history.csv, history.json, loss.png, "
        "grad_norm.png, looks.json, sample.txt and the folder preset/ below --out. "
        "Options that are left out come from the recipe of the task and data set.",
    )
    parser.add_argument("task", choices=TASKS, help="what to learn: %(choices)s")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for everything written"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="allow an --out that is not empty"
    )
    _add_data(parser, char_lm.DATASETS, default="python-topics")
    group = parser.add_argument_group("recipe")
    for name, kind, text in (
        ("epochs", int, "passes over the training part"),
        ("embedding", int, "width of a character's vector"),
        ("units", int, "units of each LSTM layer"),
        ("layers", int, "number of LSTM layers"),
        ("embedding-dropout", float, "dropout rate on the embedding"),
        ("dropout", float, "dropout rate on the output of each LSTM layer"),
        ("window", int, "characters that gradients flow back through"),
        ("batch-size", int, "streams that are read side by side"),
        ("learning-rate", float, "peak learning rate"),
        ("weight-decay", float, "decoupled weight decay of AdamW"),
        ("clip", float, "largest global gradient norm; 0: no clipping"),
        ("seed", int, "seed of weights and dropout"),
    ):
        group.add_argument(
            f"--{name}",
            type=kind,
            metavar="N" if kind is int else "X",
            help=f"{text} (default: {_default(name.replace('-', '_'))})",
        )
    group.add_argument(
        "--jit",
        choices=("auto", "on", "off"),
        default="auto",
        help="compile with XLA; auto: wherever it compiles (default)",
    )


def _default(name: str) -> str:
    """A recipe's value, and the data sets whose recipe has another."""
    from zoo.tasks import char_lm

    usual = getattr(char_lm.recipe_for(None), name)
    others = [
        f"{dataset} {getattr(recipe, name):g}"
        for dataset, recipe in char_lm.RECIPES.items()
        if getattr(recipe, name) != usual
    ]
    return "; ".join([f"{usual:g}", *others])


def _add_data(parser, names, *, default: str) -> None:
    group = parser.add_argument_group("data")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--dataset", choices=names, help=f"one of: %(choices)s (default: {default})"
    )
    either.add_argument("--data", metavar="FILE", help="a text file of your own, UTF-8")
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where the data set's file is, such as a folder that has "
        "tinyshakespeare/input.txt (default: $BPTT_ZOO_DATA, else a download)",
    )


def _add_generate(commands) -> None:
    parser = commands.add_parser(
        "generate",
        help="continue a text with a trained model",
        description="Prints the prompt and what the model adds to it.",
    )
    _add_preset(parser)
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="how it begins")
    parser.add_argument(
        "--length", type=int, default=500, metavar="N", help="characters (%(default)s)"
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
    from zoo.tasks import char_lm

    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on a validation part",
        description="Prints the cross-entropy of the last 10 % of a text.",
    )
    _add_preset(parser)
    _add_data(parser, char_lm.DATASETS, default="the one it was trained on")


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
