"""The work that contestants are measured on: model and data sizes, operation counts.

Plain Python, because every contestant's environment imports it.
"""

import dataclasses

IDS, EMBEDDING = 96, 64
# Of the square matrices that the processor's speed is measured with.
PRODUCT_SIDE = 2048
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclasses.dataclass(frozen=True)
class Shape:
    """One piece of work: ids -> embedding -> recurrent layers -> logits of 96 ids.

    Args:
        rows: Rows of a batch.
        window: Timesteps of a window.
        units: Units of each recurrent layer.
        windows: Windows in one turn, enough for half a second or more, so that the load
            of other processes can be measured.
        layers: Number of recurrent layers.
        kind: `"lstm"`, `"gru"` or `"rnn"`.
        features: Floats of a timestep in place of an id; 0: ids and an embedding.
        batch_windows: Windows in a batch that `TruncatedBPTT` is handed; it alone can
            take several.
    """

    rows: int
    window: int
    units: int
    windows: int
    layers: int = 1
    kind: str = "lstm"
    features: int = 0
    batch_windows: int = 1

    @property
    def flops(self):
        """Floating-point operations of the matrix products of one window's update.

        A product of (a, b) and (b, c) takes 2abc of them. Each product of the forward
        pass, inputs by kernel, state by recurrent kernel, outputs by the last kernel,
        has two more in the backward pass: one for the slope of either side. Inputs
        that are data need no slope.
        """
        wide = GATES[self.kind] * self.units
        first = wide * (2 * self.features if self.features else 3 * EMBEDDING)
        others = wide * 3 * self.units * (self.layers - 1)
        recurrent = wide * 3 * self.units * self.layers
        last = 3 * self.units * IDS
        return 2 * self.rows * self.window * (first + others + recurrent + last)

    def quick(self):
        """The same shape with less to do in a turn."""
        return dataclasses.replace(
            self, windows=16, batch_windows=min(self.batch_windows, 8)
        )

    def __str__(self):
        into = f"{self.features} features" if self.features else "ids"
        layers = f"{self.layers} x " if self.layers > 1 else ""
        return (
            f"{into} -> {layers}{self.kind.upper()}({self.units}), {self.rows} rows, "
            f"window {self.window}, {self.windows} windows a turn"
        )


SHAPES = {
    "lstm-small": Shape(32, 64, 128, windows=128),
    "lstm-wide": Shape(32, 64, 512, windows=16),
    "lstm": Shape(64, 100, 256, windows=16),
    "lstm-2": Shape(64, 100, 256, windows=16, layers=2),
    "gru": Shape(64, 100, 256, windows=16, kind="gru"),
    "rnn": Shape(64, 100, 256, windows=64, kind="rnn"),
    "tiny": Shape(4, 20, 32, windows=1024),
    # 100,000 timesteps in windows of 100.
    "long": Shape(1, 100, 64, windows=1000, batch_windows=100),
    "features": Shape(64, 100, 256, windows=16, features=32),
}
