"""The data of the benchmark: the same numbers for every contestant."""

import numpy as np

from tests.benchmarks.shapes import IDS


def series(shape):
    """One turn's timesteps, in the order of one long series.

    The ids walk at random by 1, 2, 3 or 5 around a circle of 96, so a model that
    learns comes from log(96) = 4.56 nats down towards log(4) = 1.39.

    Args:
        shape: `Shape`.

    Returns:
        `(inputs, targets)`: inputs `(n,)` int32, or `(n, features)` float32; targets
        `(n,)` int32, the id of the timestep after; `n = rows * windows * window`.
    """
    random = np.random.default_rng(0)
    n = shape.rows * shape.windows * shape.window
    walk = np.cumsum(random.choice([1, 2, 3, 5], n + 1)) % IDS
    ids, targets = walk[:-1].astype("int32"), walk[1:].astype("int32")
    if not shape.features:
        return ids, targets
    table = random.normal(size=(IDS, shape.features))
    noise = random.normal(size=(n, shape.features))
    return (table[ids] + 0.1 * noise).astype("float32"), targets


def windows(shape):
    """`series`, cut: row `b` of window `i + 1` goes on where that of window `i` ended.

    Returns:
        `(inputs, targets)`, each `(windows, rows, window, ...)`.
    """
    parts = (shape.rows, shape.windows, shape.window)
    return tuple(
        np.ascontiguousarray(part.reshape(*parts, *part.shape[1:]).swapaxes(0, 1))
        for part in series(shape)
    )
