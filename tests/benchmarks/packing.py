"""The fraction of the work on sequences of different lengths that is padding.

python -m tests.benchmarks.packing DATA [--record]

DATA is a folder with `jsb_chorales/Jsb16thSeparated.json` (229 training pieces of 100
to 516 steps) and `ptb/ptb.valid.txt` (3,370 lines). The figure is the percentage of
timesteps that hold data.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine

BATCH_SIZES = (16, 32, 64)
WINDOWS = (16, 64)
PUBLISHED = (64, 32)  # The window, and its number of rows.


def sets(folder):
    """`{name: sequences}`."""
    path = folder / "jsb_chorales" / "Jsb16thSeparated.json"
    pieces = json.loads(path.read_text())["train"]
    lines = (folder / "ptb" / "ptb.valid.txt").read_text().splitlines()
    return {
        "JSB chorales": [np.array(piece, "float32") for piece in pieces],
        "PTB lines": [np.zeros(len(line.split()) + 1, "int32") for line in lines],
    }


def main():
    """Prints a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    figures.add_options(parser, "packing")
    args = parser.parse_args()
    found = {}
    print(describe_machine())
    for name, sequences in sets(args.data).items():
        lengths = np.array([len(sequence) for sequence in sequences])
        print(
            f"\n{name}: {len(lengths)} sequences of {lengths.min()} to {lengths.max()}"
        )
        longest, key = lengths.mean() / lengths.max(), name.split()[0].lower()
        print(f"padded to the longest: {100 * longest:.1f}")
        for window in WINDOWS:
            for rows in BATCH_SIZES:
                packed = bk.data.pack(sequences, batch_size=rows, window=window)
                batches = bk.data.RaggedBatches(
                    sequences, batch_size=rows, window=window, shuffle=True
                )
                print(
                    f"window {window:3}, {rows:3} rows: packed "
                    f"{100 * packed.fill_rate:.1f}, padded batch by batch "
                    f"{100 * batches.fill_rate:.1f}"
                )
                if (window, rows) == PUBLISHED:
                    found[f"{key}_packed"] = 100 * float(packed.fill_rate)
                    found[f"{key}_padded"] = 100 * float(batches.fill_rate)
        found[f"{key}_longest"] = 100 * float(longest)
    command = "python -m tests.benchmarks.packing DATA"
    figures.publish(args, found, command=command)


if __name__ == "__main__":
    main()
