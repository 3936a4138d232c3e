"""One batch on its way through the windows: what it holds and how it is cut."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.training.batches.inputs import Inputs
from bptt_keras.training.batches.parts import (
    Parts,
    check_flags,
    keys_as_integers,
    valid_steps,
)
from bptt_keras.types import Structure, Tensor


class Batch(NamedTuple):
    """Inputs, targets and weights of whole sequences, and what continues them.

    Fields:
        inputs: List of tensors `(batch, time, ...)`.
        targets: As they came; once fitted a flat list with an entry an output, `None`
            for one without targets. Or `None`: no targets at all.
        weights: As they came; then `None` or a list like the targets.
        reset: `None`, or boolean `(batch,)` or `(batch, time)`.
        position: `None`, or `(batch,)`: the first timestep's place in its stream.
        valid: `None`, or boolean `(batch, time)`: False where a row has no input.
        key: `None`, or integers `(batch,)` or `(batch, time)`: what a row belongs to.
        fresh: `None`, or boolean `(batch,)`: rows that start from an initial state
            which is trained, so that it must be made where the tape sees it.
        constants: List of tensors `(batch, ...)`: inputs without a time axis.
        counts: `None`, or a list of booleans like the weights: what metrics without
            weights are shown.
    """

    inputs: Any
    targets: Any = None
    weights: Any = None
    reset: Any = None
    position: Any = None
    valid: Any = None
    key: Any = None
    fresh: Any = None
    constants: Any = ()
    counts: Any = None

    @property
    def known_length(self) -> int | None:
        """Timesteps, or `None` where only a running step knows them."""
        return self.inputs[0].shape[1]

    @property
    def length(self) -> int | Tensor:
        """Timesteps: an integer where it is known, else a scalar tensor."""
        if self.known_length is not None:
            return self.known_length
        return tf.shape(self.inputs[0])[1]

    @property
    def target_length(self) -> int | Tensor:
        """Timesteps of the targets: an integer where it is known, else a tensor."""
        first = next(target for target in self.targets if target is not None)
        return first.shape[1] or tf.shape(first)[1]

    @property
    def rows(self) -> Tensor:
        """Number of rows, a scalar integer tensor."""
        return tf.shape(self.inputs[0])[0]

    def cut(
        self,
        start: int | Tensor,
        length: int | Tensor,
        *,
        new: int | Tensor | None = None,
        lead: int | Tensor = 0,
        cut_targets: bool = True,
    ) -> Batch:
        """The timesteps from `start` on, `length` of them.

        Args:
            start: First timestep, an integer or a scalar tensor.
            length: Number of timesteps, an integer or a scalar tensor.
            new: Number of those at the end that have targets; default: all.
            lead: Timesteps of the inputs that come before the first target.
            cut_targets: False where the targets belong to the whole sequence.
        """

        def part(tree: Structure, start: int | Tensor, length: int | Tensor) -> Any:
            return tf.nest.map_structure(lambda t: cut_time(t, start, length), tree)

        beside = [self.targets, self.weights, self.counts]
        if cut_targets:
            new = length if new is None else new
            first_new = start + length - new - lead
            beside = [part(t, first_new, new) for t in beside]
        # Flags of shape (batch,) hold at the start of the batch: `Carry.enter` has
        # done what they say, and later windows go on.
        reset = part(self.reset, start, length) if self.resets_inside else None
        if self.fresh is not None:
            fresh = self.fresh & tf.equal(start, 0)
            reset = _with_first(reset, fresh) if self.resets_inside else fresh
        inputs, valid = (part(t, start, length) for t in (self.inputs, self.valid))
        targets, weights, counts = beside
        return Batch(
            inputs,
            targets,
            weights,
            reset,
            valid=valid,
            constants=self.constants,
            counts=counts,
        )

    def without_targets(self) -> Batch:
        """The batch with its inputs alone, and what goes on."""
        return self._replace(targets=None, weights=None, counts=None)

    def without_places(self) -> Batch:
        """The batch without what only says how it continues the one before it."""
        reset = self.reset if self.resets_inside else None
        return self._replace(reset=reset, position=None, key=None)

    def first_steps(self, length: int | Tensor) -> Batch:
        """The first `length` timesteps of a window, without targets."""
        window = self.without_targets()
        reset = self.reset
        if reset is not None and reset.shape.rank == 1:
            # The flag still holds before the first timestep.
            return window._replace(reset=None).cut(0, length)._replace(reset=reset)
        return window.cut(0, length)

    def new_steps(self, tensor: Tensor | None) -> Tensor | None:
        """The last timesteps of a tensor `(batch, time, ...)`: those with targets."""
        if tensor is None or self.targets is None:
            return tensor
        known, length = tensor.shape[1], self.target_length
        if known is None or not isinstance(length, int):
            return tensor[:, tf.shape(tensor)[1] - length :]
        if known == length:
            return tensor
        return cut_time(tensor, known - length, length)

    def padded_to(
        self,
        length: int | Tensor,
        *,
        new: int | Tensor | None = None,
        rows: int | Tensor | None = None,
        timed_targets: bool = True,
        at_front: bool = False,
    ) -> Batch:
        """The window with padding, which is not valid and weighs nothing.

        Args:
            length: Timesteps that it then has, an integer or a scalar tensor.
            new: Timesteps that its targets then have. Default: as many more as the
                inputs get.
            rows: Rows that it then has. Default: its own.
            timed_targets: False where the targets belong to the whole sequence.
            at_front: Whether padding comes before the timesteps and not after them.
        """
        first, targets = self.inputs[0], self.targets or []
        of_rows = None if rows is None else (rows - self.rows, rows)
        missing = length - self.length
        of_time = _Padding(missing, length, at_front)
        of_targets = None
        if timed_targets and any(target is not None for target in targets):
            given = self.target_length
            new = given + missing if new is None else new
            of_targets = _Padding(new - given, new, at_front)

        def ones_like(tensor: Tensor | None, dtype: tf.DType) -> Tensor | None:
            if tensor is None:
                return None
            return tf.ones(tf.shape(tensor)[: 2 if timed_targets else 1], dtype)

        def padded(tree: Structure, time: _Padding | None) -> Any:
            return tf.nest.map_structure(lambda t: _padded(t, of_rows, time), tree)

        weights, counts = (
            given or [ones_like(target, dtype) for target in targets]
            for given, dtype in ((self.weights, tf.float32), (self.counts, tf.bool))
        )
        valid = self.valid
        if valid is None:
            valid = tf.ones(tf.shape(first)[:2], tf.bool)
        return self._replace(
            inputs=padded(self.inputs, of_time),
            targets=padded(self.targets, of_targets),
            weights=padded(weights, of_targets) if targets else self.weights,
            counts=padded(counts, of_targets) if targets else self.counts,
            reset=padded(self.reset, of_time if self.resets_inside else None),
            valid=padded(valid, of_time),
            fresh=padded(self.fresh, None),
            constants=padded(self.constants, None),
        )

    @property
    def resets_inside(self) -> bool:
        """Whether there is a reset flag for each timestep."""
        return self.reset is not None and self.reset.shape.rank == 2

    def take_rows(self, start: int | Tensor, stop: int | Tensor) -> Batch:
        """The rows from `start` up to `stop`."""
        return tf.nest.map_structure(
            lambda t: None if t is None else t[start:stop], self
        )


def cut_time(
    tensor: Tensor | None, start: int | Tensor, length: int | Tensor
) -> Tensor | None:
    """`tensor[:, start:start + length]`, with the static shape that slicing loses."""
    if tensor is None:
        return None
    if not isinstance(length, int):
        return tensor[:, start : start + length]
    # Not `[start : start + length]`: XLA would not see that the size is constant.
    shape, rank = tf.shape(tensor), tensor.shape.rank
    begin = tf.stack([0, start, *[0] * (rank - 2)])
    size = tf.concat([shape[:1], [length], shape[2:]], 0)
    return tf.ensure_shape(
        tf.slice(tensor, begin, size), [tensor.shape[0], length, *tensor.shape[2:]]
    )


class _Padding(NamedTuple):
    """What an axis of time gets: how much, how long it then is, and where."""

    missing: Any
    length: Any
    at_front: bool


def _padded(
    tensor: Tensor | None, rows: tuple[Any, Any] | None, time: _Padding | None
) -> Tensor | None:
    """The tensor `(batch, time, ...)` with zeros around it.

    Args:
        tensor: The tensor, or `None`.
        rows: `(missing, rows)` or `None`.
        time: `_Padding` or `None`.
    """
    if tensor is None:
        return None
    around = [[0, 0] for _ in tensor.shape]
    shape = tensor.shape.as_list()
    if rows is not None:
        around[0], shape[0] = [0, rows[0]], _integer(rows[1])
    if time is not None:
        missing = time.missing
        around[1] = [missing, 0] if time.at_front else [0, missing]
        shape[1] = _integer(time.length)
    return tf.ensure_shape(tf.pad(tensor, tf.convert_to_tensor(around)), shape)


def _integer(size: int | Tensor) -> int | None:
    return size if isinstance(size, int) else None


def _with_first(flags: Tensor, first: Tensor) -> Tensor:
    """Flags `(batch, time)` with those of the first timestep or-ed with `first`."""
    column = flags[:, :1] | first[:, None]
    joined = tf.concat([column, flags[:, 1:]], 1)
    return tf.ensure_shape(joined, flags.shape)


def make_batch(
    parts: Parts, inputs: Inputs, targets: Structure = None, weights: Structure = None
) -> Batch:
    """A `Batch` of tensors, with the ranks and lengths of its parts checked.

    Args:
        parts: `Parts` of the batch.
        inputs: `Inputs` of the model.
        targets: Targets or `None`.
        weights: Sample weights or `None`.

    Raises:
        ValueError: If a part has the wrong rank or length.
    """
    timed, constants = inputs.split(tensors(parts.inputs))
    lengths = set()
    for tensor in timed:
        if tensor.shape.rank is not None and tensor.shape.rank < 2:
            raise ValueError(
                f"Inputs must have the shape (batch, time, ...). Received: an input "
                f"of shape {tuple(tensor.shape)}. One long series becomes batches "
                f"with `bptt_keras.data.streams`."
            )
        lengths.add(tensor.shape[1])
    lengths.discard(None)
    if len(lengths) > 1:
        raise ValueError(
            f"All inputs must have the same number of timesteps. Received: inputs "
            f"with {sorted(lengths)} timesteps."
        )
    if 0 in lengths:
        raise ValueError("Inputs must have at least 1 timestep. Received: 0.")
    first = timed[0]
    check_flags(parts, first)
    return Batch(
        timed,
        tensors(targets),
        tensors(weights),
        None if parts.reset is None else tf.cast(parts.reset, tf.bool),
        parts.position,
        valid_steps(parts, first),
        keys_as_integers(parts.key),
        constants=constants,
    )


def tensors(tree: Structure) -> Structure:
    """The structure with tensors for whatever can be one; `None` stays `None`."""
    return tf.nest.map_structure(
        lambda part: None if part is None else tf.convert_to_tensor(part), tree
    )
