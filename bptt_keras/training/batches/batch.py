"""A batch or a window of one: what it contains and how it is cut."""

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
    """Inputs, targets and weights of sequences, and how they continue earlier ones.

    Fields:
        inputs: List of tensors `(batch, time, ...)`.
        targets: As passed by the user; once fitted, a flat list with one entry per
            output, `None` for one without targets. Or `None`: no targets at all.
        weights: As passed by the user; once fitted, `None` or a list like the targets.
        reset: `None`, or boolean `(batch,)` or `(batch, time)`.
        position: `None`, or `(batch,)`: the first timestep's position in its stream.
        valid: `None`, or boolean `(batch, time)`: False where a row has no input.
        key: `None`, or integers `(batch,)` or `(batch, time)`: what a row belongs to.
        fresh: `None`, or boolean `(batch,)`: rows that start from a trainable initial
            state, which must therefore be computed under the tape.
        constants: List of tensors `(batch, ...)`: inputs without a time axis.
        counts: `None`, or a list of booleans like the weights: the timesteps that
            metrics without weights see.
        share: `None`, or what is known of the whole batch, if this is the part of one
            of several processes.
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
    share: Any = None

    @property
    def known_length(self) -> int | None:
        """Number of timesteps, or `None` if only known when the step runs."""
        return self.inputs[0].shape[1]

    @property
    def length(self) -> int | Tensor:
        """Number of timesteps: an integer if known, else a scalar tensor."""
        if self.known_length is not None:
            return self.known_length
        return tf.shape(self.inputs[0])[1]

    @property
    def target_length(self) -> int | Tensor:
        """Timesteps of the targets: an integer if known, else a scalar tensor."""
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
        """The `length` timesteps from `start` on.

        Args:
            start: First timestep, an integer or a scalar tensor.
            length: Number of timesteps, an integer or a scalar tensor.
            new: How many of these, at the end, have targets. Default (`None`): all.
            lead: Timesteps of the inputs before the first target.
            cut_targets: False if the targets belong to the whole sequence.
        """

        def part(tree: Structure, start: int | Tensor, length: int | Tensor) -> Any:
            return tf.nest.map_structure(lambda t: cut_time(t, start, length), tree)

        beside = [self.targets, self.weights, self.counts]
        if cut_targets:
            new = length if new is None else new
            first_new = start + length - new - lead
            beside = [part(t, first_new, new) for t in beside]
        # Flags of shape (batch,) apply to the start of the batch: `Carry.enter` has
        # reset those rows, and windows continue from there.
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
            share=self.share,
        )

    def without_targets(self) -> Batch:
        """The batch without targets, weights and what metrics count."""
        return self._replace(targets=None, weights=None, counts=None, share=None)

    def without_places(self) -> Batch:
        """The batch without the fields that only relate it to the previous one."""
        reset = self.reset if self.resets_inside else None
        return self._replace(reset=reset, position=None, key=None)

    def first_steps(self, length: int | Tensor) -> Batch:
        """The first `length` timesteps of a window, without targets."""
        window = self.without_targets()
        reset = self.reset
        if reset is not None and reset.shape.rank == 1:
            # The flag still applies before the first timestep.
            return window._replace(reset=None).cut(0, length)._replace(reset=reset)
        return window.cut(0, length)

    def new_steps(self, tensor: Tensor | None) -> Tensor | None:
        """The last timesteps of a tensor `(batch, time, ...)`, those with targets."""
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
        """The window with padding, which is not valid and has weight 0.

        Args:
            length: Padded number of timesteps, an integer or a scalar tensor.
            new: Padded number of timesteps of the targets. Default (`None`): targets
                get as much padding as inputs.
            rows: Padded number of rows. Default (`None`): unchanged.
            timed_targets: False if the targets belong to the whole sequence.
            at_front: Whether padding comes before the timesteps instead of after them.
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
    """Padding of a time axis: how much, the padded length, and at which end."""

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
    """Flags `(batch, time)`, with `first` also flagged at the first timestep."""
    column = flags[:, :1] | first[:, None]
    joined = tf.concat([column, flags[:, 1:]], 1)
    return tf.ensure_shape(joined, flags.shape)


def make_batch(
    parts: Parts, inputs: Inputs, targets: Structure = None, weights: Structure = None
) -> Batch:
    """Makes a `Batch` of tensors and checks the ranks and lengths of its parts.

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
    """The structure with its leaves converted to tensors; `None` stays `None`."""
    return tf.nest.map_structure(
        lambda part: None if part is None else tf.convert_to_tensor(part), tree
    )
