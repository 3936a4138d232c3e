"""`bptt-zoo predict`: predicts the classes of series."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from zoo.cases.own_cases import read_any
from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.shared import PresetName
from zoo.store.check import read_known_metadata
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.files import write_text
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow

_SHOWN = 12  # the most classes whose counts are printed in a line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of this command."""

    preset: PresetName
    data: Annotated[
        str,
        Keyword(
            "series with the channels that the preset was trained on: .ts with classes "
            "or without, .tsv, .txt, .csv or .arff",
            "FILE",
        ),
    ]
    fill: Annotated[
        Literal["linear"] | None,
        Keyword("fill in missing values by linear interpolation"),
    ] = None
    out: Annotated[
        str | None,
        Keyword("the classes (default: NAME-classes.csv in this folder)", "FILE.csv"),
    ] = None


def predict(options: Options) -> None:
    """Writes the predicted classes of series as CSV, and prints their counts."""
    files = locate_files(options.preset)
    task = read_known_metadata(files.folder)["task"]
    if task != "classification":
        raise UserError(
            f"This preset is one of {task}; it must be one of classification."
        )
    name = f"{Path(options.data).stem}-classes.csv"
    out = output_file(options.out or name, (".csv",), keep=options.data)
    cases = read_any(options.data, fill=options.fill)
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.products.classes import predict_classes
    from zoo.store.preset import load_preset

    preset = load_preset(files)
    labels, probabilities = predict_classes(preset, [values for values, _ in cases])
    classes = preset.processing["classes"]
    write_text(out, _csv(classes, labels, probabilities))
    counts = _counts(classes, labels)
    print(f"{Path(options.data).name}: {len(labels):,} series: {counts}")
    given = [
        (label, found)
        for (_, label), found in zip(cases, labels, strict=True)
        if label is not None
    ]
    for line in _comparison(classes, given):
        print(line)
    print(f"table: {out}")


def _counts(classes: Sequence[str], labels: Sequence[str]) -> str:
    """The number of series in each class, in words."""
    found = [(name, labels.count(name)) for name in classes if name in labels]
    counts = ", ".join(f"{name} {count:,}" for name, count in found[:_SHOWN])
    return counts + (", ..." if len(found) > _SHOWN else "")


def _comparison(classes: Sequence[str], given: Sequence[tuple[str, str]]) -> list[str]:
    """The accuracy on the series whose class is known: pairs `(class, predicted)`."""
    if not given:
        return []
    right = sum(label == found for label, found in given)
    lines = [f"accuracy: {right / len(given):.4g} of {len(given):,} that have a class"]
    strange = sorted({label for label, _ in given} - set(classes))
    if strange:
        lines.append(
            "Classes that the preset does not know, and that count as wrong: "
            f"{', '.join(strange[:5])}"
        )
    return lines


def _csv(classes: Sequence[str], labels: Sequence[str], probabilities: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "label", *(f"probability {name}" for name in classes)])
    for case, (label, row) in enumerate(zip(labels, probabilities, strict=True), 1):
        writer.writerow([case, label, *(f"{value:.6g}" for value in row)])
    return text.getvalue()


COMMAND = Command(
    "Writes the class of each series, and the probability of every class, as a CSV "
    "file. Where the file has classes too, the fraction that is right is printed.",
    Options,
    predict,
)
