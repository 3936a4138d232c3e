"""Batches sequences of different lengths, padding those of similar length together.

Arrays that are already padded need only the rows' lengths, or a mask, beside them,

    trainer.fit({"inputs": x, "lengths": lengths}, y)      # (rows,) integers
    trainer.fit({"inputs": x, "mask": mask}, y)            # (rows, time) booleans

and so do the batches of your own dataset: `{"inputs": x, "lengths": lengths}`.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.data.sequences import Sequences, holds_objects, is_table
from bptt_keras.data.shuffling import shuffling
from bptt_keras.data.targets import Targets, require_finite


class RaggedBatches(keras.utils.PyDataset):
    """Batches of whole sequences, padded only as far as the batch needs.

    Batch `i` is `({"inputs": x, "lengths": l}, y, w)`, without `y` or `w` if none were
    given. If the longest sequence of the batch has `n` timesteps and the longest of all
    has `m`, the batch is padded to

        T = ceil(n / window) * window                            if n > window
        T = the first of ceil(c / 4), ceil(c / 2), c that holds n, c = min(window, m)

    so that there are few lengths and XLA compiles few programs. With shuffling, rows
    that are padded to the same length share a batch, and rows and batches are drawn
    anew for each epoch of `fit`. Without it, the order is kept exactly, as `predict`
    requires.

    Args:
        sequences: The sequences, of any lengths: a `tf.RaggedTensor` `(n, None, ...)`,
            or an iterable of arrays `(time,)` or `(time, ...)`, of lists of numbers, or
            of dicts or tuples of arrays of equal length. They are kept as given and
            copied batch by batch.
        targets: `None`; one for each timestep: an iterable or `tf.RaggedTensor` like
            `sequences`, of the same lengths; or one for each sequence: an array
            `(n, ...)` or a list of numbers. For several outputs a dict of these.
        batch_size: Sequences in a batch, an integer >= 1; the last batch may be
            smaller.
        window: The `window` of the trainer, an integer >= 1.
        shuffle: Whether to group rows by length and draw an order for each epoch.
        seed: Integer >= 0 that fixes the orders. Default (`None`):
            `keras.utils.set_random_seed` fixes them.
        sample_weight: Weights like `targets`, one for each timestep or sequence.
        **kwargs: Arguments of `keras.utils.PyDataset`.

    Call arguments:
        index: Number of the batch: `batches[index]`.

    Returns:
        `x` is `(rows, T, ...)` in the structure of a sequence, `l` `(rows,)` int64, `y`
        and `w` `(rows, T, ...)` or `(rows, ...)`. Floats are `keras.config.floatx()`,
        padding is 0.

    Attributes:
        lengths: Timesteps of each sequence, `(n,)`, in the order given.
        fill_rate: Valid timesteps / all timesteps of the epoch's batches.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is less than 1, a sequence is empty, sequences or
            targets of nonzero weight hold NaN, or widths, structures or targets do not
            match. The message names the sequence.

    Example:
        import numpy as np, bptt_keras as bk

        words = [[1, 2, 3], [4, 5, 6, 7, 8], [9]]
        batches = bk.data.RaggedBatches(
            words, np.array([0, 1, 1]), batch_size=2, window=4, shuffle=False
        )
        x, y = batches[0]
        assert x["inputs"].shape == (2, 8) and x["lengths"].tolist() == [3, 5]
        assert x["inputs"][0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
        assert batches[1][0]["inputs"].tolist() == [[9]] and len(batches) == 2
    """

    def __init__(
        self,
        sequences: Any,
        targets: Any = None,
        *,
        batch_size: int,
        window: int,
        shuffle: bool,
        seed: int | None = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.batch_size = whole("batch_size", batch_size, unit=None)
        self.window = whole("window", window, unit=None)
        self._orders = shuffling(shuffle, seed)
        self._sequences = Sequences(sequences)
        self.lengths = self._sequences.lengths
        if targets is None and sample_weight is not None:
            raise ValueError(
                "`sample_weight` weighs targets. Received: sample_weight without "
                "targets."
            )
        given = {"targets": targets, "sample_weight": sample_weight}
        self._beside = [
            Targets(values, name, self._sequences)
            for name, values in given.items()
            if values is not None
        ]
        if self._beside:
            require_finite(*self._beside)
        cap = min(self.window, int(self.lengths.max()))
        self._short = [-(-cap // 4), -(-cap // 2), cap]
        self._epoch = 0
        self._arrange()

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, steps = self._batches[index]
        x = {
            "inputs": self._sequences.padded(rows, steps),
            "lengths": self.lengths[rows],
        }
        return (x, *(beside.padded(rows, steps) for beside in self._beside))

    @property
    def spec(self) -> Any:
        """`tf.TensorSpec` of all sequences `(n, None, ...)`, structured like one."""
        return self._sequences.spec(len(self.lengths), None)

    @property
    def fill_rate(self) -> float:
        """Valid timesteps / all timesteps of the epoch's batches."""
        places = sum(len(rows) * steps for rows, steps in self._batches)
        return int(self.lengths.sum()) / places

    def on_epoch_end(self) -> None:
        """Draws the next epoch's batches; Keras calls it."""
        if self._orders is not None:
            self._epoch += 1
            self._arrange()

    @property
    def arrays(self) -> list[np.ndarray]:
        """All arrays that the batches are made of."""
        return list(itertools.chain(*self._sequences.columns))

    def get_state(self) -> dict[str, Any]:
        """What determines the order of this epoch and of those to come."""
        root = None if self._orders is None else self._orders.root
        return {"root": root, "epoch": self._epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues with the orders of other `RaggedBatches` of the same data.

        Args:
            state: What their `get_state` returned.
        """
        if self._orders is not None:
            self._orders.root, self._epoch = state["root"], state["epoch"]
            self._arrange()

    def _padded_length(self, longest: int) -> int:
        fitting = [steps for steps in self._short if steps >= longest]
        whole = -(-longest // self.window) * self.window
        return fitting[0] if fitting else whole

    def _arrange(self) -> None:
        order: np.ndarray = np.arange(len(self.lengths))
        size = self.batch_size
        alike = np.array([self._padded_length(int(n)) for n in self.lengths])
        cuts = np.arange(size, len(order), size)
        generator = None
        if self._orders is not None:
            generator = self._orders.generator(self._epoch)
            generator.shuffle(order)
            order = order[np.argsort(alike[order], kind="stable")]
            # The smaller batch may come anywhere, not always among the longest rows.
            rest = len(order) % size
            before = int(generator.integers(len(cuts) + 1))
            cuts[before:] -= (size - rest) % size
        batches = [(rows, int(alike[rows].max())) for rows in np.split(order, cuts)]
        if generator is not None:
            batches = [batches[i] for i in generator.permutation(len(batches))]
        if len(batches) > 1 and len(set(alike.tolist())) > 1:
            self._vary_first_batches(batches)
        self._batches = batches

    def _vary_first_batches(self, batches: list[tuple[np.ndarray, int]]) -> None:
        """Makes the first two batches differ in length, where any rows do.

        Keras 3.15 infers from the first two batches which axes vary, and refuses a
        later batch that varies in another.
        """
        first = batches[0][1]
        if self._orders is not None:
            others = [i for i, (_, steps) in enumerate(batches) if steps != first]
            if others:
                batches[1], batches[others[0]] = batches[others[0]], batches[1]
        rows, steps = batches[1]
        if steps == first:
            batches[1] = rows, self._padded_length(steps + 1)


def is_ragged(x: Any, inputs: int = 1, *, rank: int | None = None) -> bool:
    """Whether `x` is a list of sequences rather than inputs as Keras takes them.

    A `tf.RaggedTensor` is one, and so is an array of arrays (dtype `object`). Keras
    reads a list of arrays as the inputs of a model, one array for each input. So a list
    or tuple holds sequences only if

        each item has as many arrays as the model has inputs, and
        there are two or more items, or lists of numbers, which Keras does not accept.

    For a model with one input, an item is thus an array, or a list or tuple of numbers
    or of lists or tuples of numbers; for a model with several, it is a dict or tuple of
    arrays. The items may have equal or different lengths. A single array in a list,
    `[x]`, is ambiguous: it is read as Keras reads it, unless its rank shows that it
    lacks the batch axis. To have it read as a sequence, use `RaggedBatches`.

    Args:
        x: Anything that `fit` takes as `x`.
        inputs: Number of inputs of the model.
        rank: Rank of the model's input `(batch, time, ...)`, or `None` (default) if it
            is not known; then only an array of rank 1 certainly lacks the batch axis.

    Returns:
        Boolean; False for arrays of numbers, datasets and dicts.

    Example:
        import numpy as np
        from bptt_keras.data.ragged import is_ragged

        assert is_ragged([np.ones((5, 2)), np.ones((3, 2))])
        assert not is_ragged([np.ones((5, 2)), np.ones((3, 2))], inputs=2)
        assert is_ragged([[1, 2, 3]]) and not is_ragged(np.ones((2, 5)))
    """
    if isinstance(x, tf.RaggedTensor) or holds_objects(x):
        return True
    if not isinstance(x, list | tuple) or not x:
        return False
    items = [_arrays_in(item, inputs) for item in x]
    ranks = [_rank(array) for arrays in items for array in arrays]
    if any(len(arrays) != inputs for arrays in items) or not all(ranks):
        return False
    if inputs == 1 and rank is not None:
        return rank - 1 in ranks
    lists = any(isinstance(array, list | tuple) for arrays in items for array in arrays)
    return len(x) > 1 or lists or 1 in ranks


def _arrays_in(item: Any, inputs: int) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    several = isinstance(item, tuple) and not (inputs == 1 and is_table(item))
    return list(item) if several else [item]


def _rank(value: Any) -> int:
    """Number of axes of an array or of nested lists; 0 for anything else."""
    if isinstance(value, list | tuple):
        return 1 + (_rank(value[0]) if value else 0)
    return len(getattr(value, "shape", ()))
