"""Draws the picture of the README: `python docs/pictures.py`.

Left: how much of a gradient is left k timesteps back in three layers as they are
initialised, `bk.diagnostics.gradient_flow`. Right: how much one update raises the
memory of a process, `bk.diagnostics.memory`, with full backpropagation, kept or
recomputed, and with windows.
"""

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

import bptt_keras as bk

OUT = Path(__file__).parent / "static" / "what_it_shows.png"
LENGTHS = (512, 1024, 2048, 4096)
WINDOW = 64


def trainer_of(layer, window, units=64):
    """A trainer of one recurrent layer."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, 8)),
            layer(units, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=window)
    trainer.compile("adam", "mse")
    return trainer


def main():
    """Measures and draws."""
    random = np.random.default_rng(0)
    x = random.normal(size=(4, max(LENGTHS), 8)).astype("float32")
    y = random.normal(size=(4, max(LENGTHS), 1)).astype("float32")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), dpi=120)
    for layer in (bk.layers.SimpleRNN, bk.layers.GRU, bk.layers.LSTM):
        flow = bk.diagnostics.gradient_flow(
            trainer_of(layer, WINDOW), (x[:, :300], y[:, :300]), longest=100
        )
        left.plot(flow.lags, flow.norms / flow.norms[0], label=layer.__name__)
    left.set(xlabel="timesteps back", ylabel="gradient that is left")
    left.set(yscale="log", ylim=(1e-9, 2), xlim=0)
    left.legend()
    use = bk.diagnostics.memory(
        trainer_of(bk.layers.LSTM, WINDOW),
        (x, y),
        LENGTHS,
        methods=("full", "sqrt", "windows"),
    )
    labels = {
        "full": "full backpropagation",
        "sqrt": "the same, recomputed",
        "windows": f"windows of {WINDOW}",
    }
    for method, label in labels.items():
        right.plot(use.lengths, use.measured[method], "o-", label=label)
    right.set(xlabel="timesteps of a sequence", ylabel="memory of an update, MiB")
    right.set(xscale="log", yscale="log", ylim=(0.2, 200))
    right.set_xticks(LENGTHS, [f"{length:,}" for length in LENGTHS], minor=False)
    right.set_xticks([], minor=True)
    right.set_yticks([1, 10, 100], ["1", "10", "100"])
    right.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(OUT)
    plt.close(figure)


if __name__ == "__main__":
    main()
