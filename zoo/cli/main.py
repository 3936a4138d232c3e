"""The command line `bptt-zoo`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Sequence

from zoo.cli.argparse_internals import invalid_choice, options_of
from zoo.system.errors import UserError, ZooError
from zoo.system.extras import EXTRAS, not_installed, tensorflow_version
from zoo.system.suggestions import did_you_mean

_KINDS = {"int": int, "float": float, "str": str}
EPILOG = """\
examples:
  bptt-zoo train char-lm --out runs/topics
  bptt-zoo train char-lm --dataset tiny-shakespeare --out runs/shakespeare
  bptt-zoo train char-lm --data my.txt --units 128 --epochs 10 --out runs/mine
  bptt-zoo train music --dataset jsb-chorales --data-dir DIR --out runs/jsb
  bptt-zoo train forecasting --data my.csv --horizon 12 --out runs/table
  bptt-zoo tune forecasting --data my.csv --trials 24 --budget 30 --out runs/search
  bptt-zoo train forecasting --data my.csv --recipe runs/search/best.json --out runs/b
  bptt-zoo resume runs/mine
  bptt-zoo generate runs/topics --prompt "The " --temperature 0.8
  bptt-zoo generate runs/jsb --out tune.mid
  bptt-zoo forecast runs/table --data my.csv
  bptt-zoo predict runs/series --data NEW.ts
  bptt-zoo evaluate runs/topics
  bptt-zoo report runs/topics
  bptt-zoo pull NAME --from https://HOST/PATH

where PRESET is asked for, give a name of `bptt-zoo list`, a preset folder, the --out
folder of a training, or an address: https://HOST/PATH, hf://OWNER/REPOSITORY
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments; None: those of the process.

    Returns:
        The exit code: 0, 1 for a failure such as no network, 2 for a request that
        cannot be served, 130 for an interruption.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end a training.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        arguments = build_parser().parse_args(argv)
        _refuse_empty(arguments)
        return _command(arguments.command)(arguments) or 0
    except UserError as error:
        return _report(error, 2)
    except BrokenPipeError:  # the reader, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ZooError, OSError) as error:
        return _report(error, 1)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        return _report(not_installed(error.name), 1)
    except KeyboardInterrupt:
        return 130
    except SystemExit as error:  # argparse: --help and wrong options
        return error.code or 0


def build_parser() -> argparse.ArgumentParser:
    """The parser, with one subparser per command."""
    parser = _Parser(
        prog="bptt-zoo",
        description="Train and use models with truncated backpropagation through time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=_versions(),
        help="show the versions of what runs, and exit",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_tune(commands)
    _add_resume(commands)
    _add_generate(commands)
    _add_forecast(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_report(commands)
    _add_list(commands)
    _add_show(commands)
    _add_pull(commands)
    _add_export(commands)
    _add_publish(commands)
    _add_results(commands)
    _add_completion(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` has the rest."""

    def __init__(self, **options):
        # Beginnings of options are none: what one means changes as others are added.
        super().__init__(**options, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        namespace, rest = super().parse_known_args(args, namespace)
        # Told here: the parser above, which argparse leaves it to, has other options.
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        if options:
            meant = did_you_mean(options[0], options_of(self))
            self.error(f"there is no option {options[0]}.{meant}")
        return namespace, rest

    def error(self, message):
        choice = invalid_choice(message)
        if choice is not None:
            message += "." + did_you_mean(*choice)
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _versions() -> str:
    """Versions of what runs, found without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    own = {"tensorflow": tensorflow_version() or "not installed"}
    for name in ("bptt_keras", "keras"):
        try:
            own[name] = version(name)
        except PackageNotFoundError:
            own[name] = "not installed"
    own["python"] = sys.version.split()[0]
    order = ("bptt_keras", "tensorflow", "keras", "python")
    return ", ".join(f"{name} {own[name]}" for name in order)


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
    group.add_argument(
        "--recipe",
        metavar="FILE",
        help="a recipe that `bptt-zoo tune` has written; options change it",
    )
    group.add_argument(
        "--from",
        dest="start",
        metavar="PRESET",
        help="begin with the weights, the recipe and the vocabulary or scaling of a "
        "preset; options that keep the model change the rest",
    )
    fields = dataclasses.fields(task.recipe_for(None))
    words = _words(type(task.recipe_for(None)))
    for field in fields:
        kind = _KINDS[field.type.split(" ")[0]]
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            choices=field.metadata.get("choices"),
            metavar={int: "N", float: "X", str: "NAME"}[kind],
            help=f"{words[field.name]} (default: {_default(task, field.name)})",
        )
    _add_jit(group)


def _add_tune(commands) -> None:
    from zoo.tasks import TASKS

    parser = commands.add_parser(
        "tune",
        help="search for a better recipe; goes on where a kill has ended it",
        description="Searches for a better recipe: learning rate, clipping, window and "
        "whatever else is given a range. The same command again goes on with a job "
        "that has ended or was killed. Each task has options of its own: bptt-zoo tune "
        "TASK --help.",
    )
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    for task in TASKS.values():
        _add_tuned_task(tasks, task)


def _add_tuned_task(tasks, task) -> None:
    from zoo.tuning.space import space_of

    recipe = task.recipe_for(None)
    parser = tasks.add_parser(
        task.NAME,
        help=task.SUMMARY,
        description="Searches for a recipe with a better validation part: "
        f"{task.SUMMARY}. Writes best.json, trials.csv, plots, report.html and "
        "TensorBoard's HParams below --out.",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder of the job, new or its own"
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="go on with the job in --out in a space that has changed",
    )
    _add_data(parser, task, default=task.DATASETS[0])
    group = parser.add_argument_group("search")
    group.add_argument(
        "--engine",
        choices=("keras-tuner", "optuna"),
        default="keras-tuner",
        help="what proposes the trials (%(default)s)",
    )
    group.add_argument(
        "--tuner",
        choices=("random", "bayesian", "hyperband", "grid"),
        default="random",
        help="how it proposes them (%(default)s); optuna: random, bayesian (TPE)",
    )
    group.add_argument(
        "--pruner",
        choices=("none", "median", "asha"),
        default="none",
        help="optuna: ends trials early that do worse than others did (%(default)s)",
    )
    group.add_argument(
        "--storage", metavar="URL", help="optuna: database of the study, sqlite:///FILE"
    )
    group.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="how many, at most (default: 24, the whole grid; hyperband plans them)",
    )
    group.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="time for the job, over all its runs (default: no limit)",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="W",
        help="processes that train side by side (%(default)s)",
    )
    group.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="K",
        help="trainings of a trial, whose mean is its value (%(default)s)",
    )
    varied = space_of(task, recipe, {}).ranges
    group = parser.add_argument_group(
        "recipe",
        "VALUE fixes a field; LOW:HIGH, LOW:HIGH:log and A,B,C vary it. Varied unless "
        f"you say otherwise: {', '.join(n for n in varied if '_' not in n[:5])}.",
    )
    group.add_argument(
        "--recipe", metavar="FILE", help="begin with a recipe of an earlier job"
    )
    group.add_argument(
        "--vary",
        metavar="A,B",
        help="of the fields that are varied unless you say otherwise, these alone",
    )
    words = _words(type(recipe))
    for field in dataclasses.fields(recipe):
        option = group.add_argument(
            f"--{field.name.replace('_', '-')}",
            metavar="VALUE|RANGE" if field.name not in ("seed", "epochs") else "N",
            help=f"{words[field.name]} (default: {_default(task, field.name)})",
        )
        # For completion alone: a list of them is taken, too.
        option.known = list(field.metadata.get("choices", ()))
    _add_jit(group)


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
        for option in task.READING:
            _add_reading(group, option, f"your own: {option.help}")
    group.add_argument(
        "--data-dir",
        metavar="DIR",
        help="folder with a local copy of the data set's files (default: "
        "$BPTT_ZOO_DATA, else a download)",
    )


def _add_reading(group, option, words: str) -> None:
    """An option of how own data are read."""
    group.add_argument(
        f"--{option.name.replace('_', '-')}",
        type=option.kind,
        choices=option.choices,
        metavar=None if option.choices else option.metavar,
        help=words,
    )


def _add_resume(commands) -> None:
    parser = commands.add_parser(
        "resume",
        help="go on with a training that was interrupted",
        description="Goes on after the last epoch that was finished, with the same "
        "result as without the interruption; or trains for more epochs.",
    )
    parser.add_argument("run", metavar="RUN", help="the --out folder of a training")
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="go on until N epochs are done, also after a training has ended; the "
        "learning rate follows the schedule of N epochs from there on",
    )
    parser.add_argument(
        "--stop",
        action="store_true",
        help="end the training where it stands: measure the best model so far, write "
        "plots and metadata that tell of it",
    )


def _add_generate(commands) -> None:
    parser = commands.add_parser(
        "generate",
        help="continue a text, or compose music, with a trained model",
        description="Text: prints the prompt and what the model adds to it. Music: "
        "writes both as a MIDI file, and beside it a PNG picture of the piano roll.",
    )
    _add_preset(parser)
    parser.add_argument(
        "--prompt",
        metavar="TEXT|FILE",
        help="how it begins: a text; or a piece of music, .mid, .npz or .mat (default: "
        "one chord)",
    )
    parser.add_argument(
        "--length",
        type=int,
        metavar="N",
        help="what is added (default: 500 characters or words, 128 frames of music)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="X",
        help="below 1: safer, and music thinner; above 1: wilder; 0: always the "
        "likeliest (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the draws (%(default)s)"
    )
    group = parser.add_argument_group("music")
    group.add_argument("--out", metavar="FILE.mid", help="the MIDI file; required")
    group.add_argument(
        "--tempo", type=float, metavar="BPM", help="beats a minute (default: 100)"
    )
    group.add_argument(
        "--frames-per-beat",
        type=int,
        metavar="N",
        help="frames of a quarter note, in --prompt too (default: as in the data that "
        "the preset was trained on)",
    )


def _add_forecast(commands) -> None:
    parser = commands.add_parser(
        "forecast",
        help="forecast what comes after the end of a table",
        description="Writes the next values, with 90 %% intervals, as a CSV file, and "
        "beside it a PNG plot of them, of the end of the table, and of the naive "
        "forecast.",
    )
    _add_preset(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="FILE.csv",
        help="with the columns that the preset was trained on, oldest row first",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.csv",
        help="the forecast (default: NAME-forecast.csv in this folder)",
    )
    from zoo.tasks.table_options import OPTIONS

    group = parser.add_argument_group(
        "table", "How it is read; what is left out is as it was in the training."
    )
    for option in OPTIONS:
        if option.name != "columns_used":
            _add_reading(group, option, option.help)


def _add_predict(commands) -> None:
    parser = commands.add_parser(
        "predict",
        help="tell the classes of new series",
        description="Writes the class of each series, and the probability of every "
        "class, as a CSV file. Where the file has classes too, the fraction that is "
        "right is printed.",
    )
    _add_preset(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="FILE",
        help="series with the channels that the preset was trained on: .ts with "
        "classes or without, .tsv, .txt, .csv or .arff",
    )
    parser.add_argument(
        "--fill",
        choices=("linear",),
        help="put straight lines in the place of missing values",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.csv",
        help="the classes (default: NAME-classes.csv in this folder)",
    )


def _add_evaluate(commands) -> None:
    from zoo.tasks import TASKS

    parser = commands.add_parser(
        "evaluate",
        help="measure a trained model on a held-out part",
        description="Prints the metric of a preset: on the test part of its data set, "
        "or the validation part where there is no other.",
    )
    _add_preset(parser)
    group = parser.add_argument_group("data")
    either = group.add_mutually_exclusive_group()
    dataset = either.add_argument(
        "--dataset",
        metavar="NAME",
        help="a data set of the same task (default: its own)",
    )
    dataset.known = sorted(name for task in TASKS.values() for name in task.DATASETS)
    either.add_argument("--data", metavar="PATH", help="data of your own")
    group.add_argument(
        "--whole",
        action="store_true",
        help="all of a text or of music of --data, not its last part alone",
    )
    group.add_argument(
        "--encoding", metavar="NAME", help="of a text of --data (default: utf-8)"
    )
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder with a local copy of the files"
    )
    _add_json(parser)


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


def _add_list(commands) -> None:
    parser = commands.add_parser(
        "list",
        help="show the tasks, the data sets and the presets",
        description="Shows the tasks, the data sets and the presets.",
    )
    _add_server(parser, "show the presets of a release on a server instead")
    _add_json(parser)


def _add_show(commands) -> None:
    parser = commands.add_parser(
        "show",
        help="show what is known of a preset",
        description="Shows the result of a preset beside published numbers, and how it "
        "was trained.",
    )
    _add_preset(parser)
    _add_json(parser)


def _add_pull(commands) -> None:
    parser = commands.add_parser(
        "pull",
        help="download a preset, checked file by file",
        description="Downloads a preset into the cache ($BPTT_ZOO_CACHE, default "
        "~/.cache/bptt_zoo) and prints its folder. What is there already is checked "
        "and not downloaded again; a broken transfer is resumed. With "
        "BPTT_ZOO_OFFLINE=1 no connection is opened.",
    )
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help="a name, https://HOST/PATH/NAME, or hf://OWNER/REPOSITORY[/FOLDER]"
        "[@REVISION]",
    )
    _add_server(
        parser,
        "release folder that has it (default: $BPTT_ZOO_MIRRORS, in order); not "
        "asked for what came with the package",
    )
    parser.add_argument(
        "--sha256", metavar="HEX", help="checksum that its manifest must have"
    )
    parser.add_argument("--out", metavar="DIR", help="copy it to a new folder as well")
    _add_json(parser)


def _add_export(commands) -> None:
    parser = commands.add_parser(
        "export-preset",
        help="write the best of several trainings as a preset",
        description="Of trainings that differ by their seeds the one that validates "
        "best is written, with what all of them reached.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="the --out folders of trainings"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR|FILE.keras",
        help="the preset folder; or a file that keras.models.load_model reads, after "
        "`import bptt_keras, zoo.layers`",
    )
    parser.add_argument(
        "--half", action="store_true", help="store weights in half precision"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a preset that is there"
    )


def _add_publish(commands) -> None:
    parser = commands.add_parser(
        "publish",
        help="make a release folder that any static host can serve",
        description="Copies presets into a folder, writes a manifest of checksums for "
        "each and index.json for all. A release that is there is extended.",
    )
    parser.add_argument("folder", metavar="DIR", help="the release folder")
    parser.add_argument(
        "presets",
        nargs="*",
        metavar="PRESET",
        help="names, preset folders or runs (default: the package's presets)",
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        dest="mirrors",
        metavar="URL",
        help="where the release will be, for its index; again for more, in order",
    )
    _add_json(parser)


def _add_results(commands) -> None:
    parser = commands.add_parser(
        "results",
        help="measure presets again and print a table",
        description="Evaluates presets from their files and prints a Markdown table: "
        "value, mean over seeds, published numbers, levels without learning.",
    )
    parser.add_argument(
        "presets",
        nargs="*",
        metavar="PRESET",
        help="which ones (default: all that `bptt-zoo list` shows)",
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder with local copies of the files"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table as CSV as well")
    _add_json(parser)


def _add_completion(commands) -> None:
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands and options in a shell",
        description="Prints a script for your shell. For bash: bptt-zoo completion "
        "bash > ~/.local/share/bash-completion/completions/bptt-zoo; for zsh a line in "
        '~/.zshrc, after compinit: eval "$(bptt-zoo completion zsh)"',
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _add_preset(parser) -> None:
    parser.add_argument(
        "preset",
        metavar="PRESET",
        help="a name of `bptt-zoo list`, a preset folder, the --out of a training, or "
        "an address",
    )


def _add_server(parser, words: str) -> None:
    parser.add_argument("--from", dest="server", metavar="URL", help=words)


def _add_jit(group) -> None:
    group.add_argument(
        "--jit",
        choices=("auto", "on", "off"),
        default="auto",
        help="compile with XLA; auto: wherever it compiles (default)",
    )


def _add_json(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _refuse_empty(arguments) -> None:
    """Refuses "" where a name or a path must be: an unset variable of a script."""
    for name, value in vars(arguments).items():
        # An empty prompt is a question of the model's.
        if name != "prompt" and "" in (value if isinstance(value, list) else [value]):
            option = {"server": "from", "start": "from", "mirrors": "mirror"}.get(
                name, name
            )
            raise UserError(f"`{option.replace('_', '-')}` must not be empty.")


def _command(name: str):
    from zoo.cli import commands, preset_commands
    from zoo.cli import tune as tuning

    name = {"list": "list_all"}.get(name, name.replace("-", "_"))
    places = (commands, preset_commands, tuning)
    return next(getattr(place, name) for place in places if hasattr(place, name))


def _report(error: Exception, code: int) -> int:
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        # Without a name: while something was read or written.
        words = f"{error.filename or 'A file cannot be used'}: {error.strerror}."
    keeps = getattr(error, "keeps_lines", False)
    message = words if keeps else " ".join(words.split())
    print(f"bptt-zoo: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
