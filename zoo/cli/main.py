"""The command line `bptt-zoo`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from zoo.cli.parser import build_parser, command_of
from zoo.cli.workers import is_worker, start_workers
from zoo.system.errors import UserError, ZooError
from zoo.system.extras import EXTRAS, not_installed

__all__ = ["build_parser", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments; None: those of the process.

    Returns:
        The exit code: 0, 1 for a failure such as no network, 2 for an invalid request,
        130 for an interruption.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end a training.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        namespace = build_parser().parse_args(arguments)
        workers = getattr(namespace, "workers", None)
        # The workers of `tune` are others: each trains models of its own.
        together = namespace.command in ("train", "resume")
        if together and workers is not None and not is_worker():
            return start_workers(arguments, workers)
        command = command_of(namespace.command)
        return command.action(command.read(namespace)) or 0
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
        return error.code if isinstance(error.code, int) else 0


def _report(error: Exception, code: int) -> int:
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        # The error has no file name if it came from a read or write.
        words = f"{error.filename or 'A file cannot be used'}: {error.strerror}."
    keeps = getattr(error, "keeps_lines", False)
    message = words if keeps else " ".join(words.split())
    print(f"bptt-zoo: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
