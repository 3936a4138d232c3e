"""The names of the commands; each is a module with its options and its action.

With the names here, `bptt-zoo --help` imports none of them. A new command takes a
module with a `COMMAND` and one row here.
"""

from __future__ import annotations

# Name -> description in one line.
COMMANDS = {
    "train": "train a model; writes history, plots and a preset",
    "tune": "search for a better recipe; resumes after a kill",
    "resume": "resume a training that was interrupted",
    "generate": "continue a text, or compose music, with a trained model",
    "forecast": "forecast what comes after the end of a table",
    "predict": "predict the classes of new series",
    "evaluate": "measure a trained model on a held-out part",
    "report": "write one HTML page about a training",
    "list": "show the tasks, the data sets and the presets",
    "show": "show the facts about a preset",
    "pull": "download a preset, checked file by file",
    "export": "write a model for ONNX Runtime, LiteRT or TensorFlow, step by step",
    "export-preset": "write the best of several trainings as a preset",
    "publish": "make a release folder that any static host can serve",
    "results": "measure presets again and print a table",
    "completion": "print a script that completes commands and options in a shell",
}
