"""Which recurrent layers are exported in which format, as a table in Markdown.

python -m tests.benchmarks.exported [--record]

Two layers of each kind and a `Dense`, with a reset input. Each cell is one call of
`bptt_keras.export`, which runs the file in its runtime: a tick if it passed, a dash if
it was refused. Takes some minutes.
"""

import argparse
import tempfile
from importlib import metadata
from pathlib import Path

from tests.benchmarks import figures
from tests.exporting.layers import FORMATS, LAYERS, outcome

SIZES = {
    "1 row, 1 step": (1, 1),
    "any rows, 1 step": (None, 1),
    "1 row, any steps": (1, None),
    "any rows and steps": (None, None),
}
TITLES = {"saved_model": "SavedModel", "onnx": "ONNX", "litert": "LiteRT"}
PACKAGES = {
    "tf2onnx": "tf2onnx",
    "onnxruntime": "ONNX Runtime",
    "ai-edge-litert": "LiteRT",
    "tensorflow-cpu": "TensorFlow",
}


def main():
    """Prints the table, and below it why what was refused was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    figures.add_options(parser, "exported")
    args = parser.parse_args()
    packages = ("tensorflow-cpu", "tf2onnx", "onnxruntime", "ai-edge-litert")
    print(", ".join(f"{name} {metadata.version(name)}" for name in packages))
    print(f"| layer | {' | '.join(SIZES)} |\n|---|{'---|' * len(SIZES)}")
    reasons, rows_of_table = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name in LAYERS:
            cells = []
            for number, (rows, timesteps) in enumerate(SIZES.values()):
                passed = []
                for format in FORMATS:
                    place = Path(folder) / f"{name}-{format}-{number}"
                    why = outcome(name, format, place, rows=rows, timesteps=timesteps)
                    if why is None:
                        passed.append(TITLES[format])
                    else:
                        reasons[name, format, number] = why
                cells.append(
                    "all" if len(passed) == len(FORMATS) else ", ".join(passed)
                )
            print(f"| `{name}` | {' | '.join(cells)} |", flush=True)
            rows_of_table.append([f"`{name}`", *cells])
    print()
    for why in reasons.values():
        print(f"- {why}")
    versions = ", ".join(
        f"{title} {'.'.join(metadata.version(name).split('.')[:2])}"
        for name, title in PACKAGES.items()
    )
    table = (["layer", *SIZES], rows_of_table)
    figures.publish(args, {"versions": versions}, table=table)


if __name__ == "__main__":
    main()
