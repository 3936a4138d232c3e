"""The model zoo of bptt_keras: tasks, data sets, recipes, presets.

    bptt-zoo train char-lm --out runs/topics
    bptt-zoo generate runs/topics --prompt "The "

or in Python

    import zoo
    preset = zoo.from_preset("runs/topics")
    print(zoo.generate(preset, "The ", length=200))

A music preset composes (`generate_music`, `write_midi`), a forecasting preset continues
a table from its end (`forecast`), and a classification preset predicts the classes of
new series (`predict_classes`).
"""

from __future__ import annotations

import importlib
from typing import Any

# The module of each public name. Imported lazily: `bptt-zoo --help` runs without
# TensorFlow.
_PUBLIC = {
    "Preset": "zoo.store.preset",
    "UserError": "zoo.system.errors",
    "ZooError": "zoo.system.errors",
    "evaluate": "zoo.runs.evaluation",
    "export_preset": "zoo.store.publishing",
    "forecast": "zoo.products.forecasts",
    "from_preset": "zoo.store.hub",
    "generate": "zoo.products.sampling",
    "generate_music": "zoo.products.composing",
    "list_presets": "zoo.store.index",
    "predict_classes": "zoo.products.classes",
    "publish": "zoo.store.publishing",
    "read_midi": "zoo.music.midi",
    "save_to_preset": "zoo.store.preset",
    "write_midi": "zoo.music.midi",
    "write_run_report": "zoo.runs.run_report",
}
__all__ = [
    "Preset",
    "UserError",
    "ZooError",
    "evaluate",
    "export_preset",
    "forecast",
    "from_preset",
    "generate",
    "generate_music",
    "list_presets",
    "predict_classes",
    "publish",
    "read_midi",
    "save_to_preset",
    "write_midi",
    "write_run_report",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
