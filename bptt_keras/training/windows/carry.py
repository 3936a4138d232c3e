"""The state between two batches: the only state that lives in variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.state import PureStep, where_rows
from bptt_keras.training.assertions import require
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.windows.kept_timesteps import KeptTimesteps
from bptt_keras.types import State, Tensor


class Carry:
    """Keeps the state of each row from one batch to the next.

    Training, evaluation and prediction each have one, so they do not affect each
    other. The variables hold any number of rows.

    Args:
        step: The `PureStep` whose state is kept.
        batch: A `Batch` like those that will come.
        reaches_back: Whether to keep also the timesteps that windows of the next batch
            reach back to.
    """

    def __init__(self, step: PureStep, batch: Batch, *, reaches_back: bool = False):
        self._step = step
        self._timesteps = None
        with tf.init_scope():
            # The number of rows has a variable of its own: the graph optimizer takes
            # the shape assigned to a variable for its constant shape (TensorFlow 2.21).
            self._kept = {
                "state": tf.nest.map_structure(_rows_variable, step.initial_state(0)),
                "position": _rows_variable(tf.zeros([0], tf.int64)),
                "key": _rows_variable(tf.zeros([0], tf.int64)),
                "rows": tf.Variable(0, trainable=False),
            }
            if reaches_back:
                self._timesteps = KeptTimesteps(batch)
                self._kept["lead"] = self._timesteps.variables

    @property
    def counts(self) -> list[tf.Variable]:
        """The variable that holds the number of rows."""
        return [self._kept["rows"]]

    def clear(self) -> None:
        """Discards all rows: the next batch starts afresh, whatever its flags are."""
        for variable in tf.nest.flatten(self._kept):
            shape = [0 if size is None else size for size in variable.shape]
            variable.assign(tf.zeros(shape, variable.dtype))

    def snapshot(self) -> dict[str, Any]:
        """Everything that is kept, as a structure of NumPy arrays."""
        return tf.nest.map_structure(lambda v: v.numpy(), self._kept)

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Restores the state from a snapshot.

        Args:
            snapshot: What `snapshot` returned.

        Raises:
            ValueError: If it comes from another model.
        """
        try:
            tf.nest.assert_same_structure(self._kept, snapshot)
            pairs = list(
                zip(tf.nest.flatten(self._kept), tf.nest.flatten(snapshot), strict=True)
            )
            fits = all(v.shape.is_compatible_with(np.shape(a)) for v, a in pairs)
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ValueError(
                "A snapshot of the state fits the model and the `stride` that it was "
                "taken of, and batches of the same kind. Received: a snapshot of "
                "another structure."
            )
        for variable, array in pairs:
            variable.assign(tf.cast(array, variable.dtype))

    def adopt(self, snapshot: dict[str, Any]) -> None:
        """Takes over the state from a trainer with other options, where it fits.

        Args:
            snapshot: What `snapshot` returned, of the same model. Timesteps that later
                windows reach back to may be missing from it, or not be needed here.
        """
        adopted = {name: snapshot[name] for name in snapshot if name in self._kept}
        if self._timesteps is not None and "lead" not in adopted:
            adopted["lead"] = self._timesteps.nothing(int(snapshot["rows"]))
        self.restore(adopted)

    def enter(self, batch: Batch) -> tuple[Batch, State, int | Tensor]:
        """The state from which a batch starts.

        Args:
            batch: A `Batch`. Without `reset` and `key` all its rows start afresh.
                With one of them, rows continue the previous batch, except those that
                are flagged or have a different key than before.

        Returns:
            `(batch, state, lead)`: the batch with its keys converted to flags and, if
            windows reach back, preceded by `lead` timesteps of the previous batch; and
            the state of its rows at its first timestep. Flags for the first timestep
            have been applied to the state; those inside the batch have not.
        """
        initial = _with_rows(self._step.initial_state(batch.rows), batch)
        if _continues(batch):
            same_rows = tf.equal(self._kept["rows"].read_value(), batch.rows)
            fresh = self._fresh(batch, same_rows)
            with tf.control_dependencies(self._checks(batch, same_rows, fresh)):
                carried = tf.cond(
                    same_rows,
                    lambda: tf.nest.map_structure(
                        lambda v: v.read_value(), self._kept["state"]
                    ),
                    lambda: initial,
                )
            carried = _with_rows(carried, batch)
        else:
            same_rows, carried = tf.constant(False), initial
            fresh = tf.fill([batch.rows], True)
        if self._timesteps is not None and _continues(batch):
            longer, lead = self._timesteps.prepend(
                _with_all_flags(batch, fresh), same_rows
            )
            return longer, carried, lead
        if self._step.learns_initial_state:
            batch = batch._replace(fresh=fresh | tf.logical_not(same_rows))
        return _with_key_flags(batch), where_rows(fresh, initial, carried), 0

    def _fresh(self, batch: Batch, same_rows: Tensor) -> Tensor:
        """Booleans `(batch,)`: rows that start afresh."""
        fresh = tf.fill([batch.rows], False)
        if batch.reset is not None:
            fresh |= batch.reset[:, 0] if batch.resets_inside else batch.reset
        if batch.key is not None:
            first = batch.key if batch.key.shape.rank == 1 else batch.key[:, 0]
            # A cond, because at the start there are no earlier keys to compare with.
            fresh |= tf.cond(
                same_rows,
                lambda: tf.not_equal(first, self._kept["key"]),
                lambda: tf.ones_like(fresh),
            )
        fresh.set_shape(batch.inputs[0].shape[:1])
        return fresh

    def _checks(self, batch: Batch, same_rows: Tensor, fresh: Tensor) -> list[Any]:
        known = self._kept["rows"].read_value()
        checks = [
            require(
                same_rows | tf.equal(known, 0) | tf.reduce_all(fresh),
                "A batch with `reset` continues the one before it, row by row, but "
                "their numbers of rows differ. Keep the number of rows, or set `reset` "
                "to True for all rows of the batch.",
            )
        ]
        if batch.position is not None:
            in_order = tf.cond(
                same_rows,
                lambda: tf.equal(
                    tf.cast(batch.position, tf.int64), self._kept["position"]
                ),
                lambda: tf.ones_like(fresh),
            )
            checks.append(
                require(
                    tf.reduce_all(in_order | fresh),
                    "The batches of a stream must come in their order: a batch "
                    "starts at another timestep than the one where the batch before "
                    "it ended. Do not shuffle, shard or filter a stream.",
                )
            )
        return checks

    def leave(
        self,
        state: State,
        batch: Batch,
        *,
        lead: int | Tensor = 0,
        resume: int | Tensor | None = None,
    ) -> None:
        """Keeps what the next batch continues from.

        Args:
            state: Named state after `resume` timesteps of the batch.
            batch: `Batch` as `enter` returned it.
            lead: Timesteps of the previous batch that it starts with.
            resume: Timestep where the next window starts. Default (`None`): the end.
        """
        values = tf.nest.flatten(state)
        # A batch that fails a check leaves nothing behind, not even its position.
        with tf.control_dependencies(values):
            self._leave(values, batch, lead, resume)

    def _leave(
        self,
        values: list[Tensor],
        batch: Batch,
        lead: int | Tensor,
        resume: int | Tensor | None,
    ) -> None:
        for variable, value in zip(
            tf.nest.flatten(self._kept["state"]), values, strict=True
        ):
            variable.assign(value)
        if batch.position is None:
            end = tf.fill([batch.rows], tf.constant(-1, tf.int64))
        else:
            steps = tf.cast(batch.length - lead, tf.int64)
            end = tf.cast(batch.position, tf.int64) + steps
        self._kept["position"].assign(end)
        if batch.key is None:
            last = tf.fill([batch.rows], tf.constant(-1, tf.int64))
        else:
            last = batch.key if batch.key.shape.rank == 1 else batch.key[:, -1]
        self._kept["key"].assign(last)
        self._kept["rows"].assign(batch.rows)
        if self._timesteps is not None:
            self._timesteps.keep(batch, batch.length if resume is None else resume)


def _continues(batch: Batch) -> bool:
    return batch.reset is not None or batch.key is not None


def _with_key_flags(batch: Batch) -> Batch:
    """The batch, with changes of keys inside it as reset flags."""
    if batch.key is None or batch.key.shape.rank == 1:
        return batch
    changes = tf.not_equal(batch.key[:, 1:], batch.key[:, :-1])
    inside = tf.concat([tf.zeros_like(batch.key[:, :1], tf.bool), changes], axis=1)
    if batch.resets_inside:
        inside |= batch.reset
    return batch._replace(reset=tf.ensure_shape(inside, batch.key.shape))


def _with_all_flags(batch: Batch, fresh: Tensor) -> Batch:
    """The batch with all its flags as one tensor `(batch, time)`."""
    batch = _with_key_flags(batch)
    if batch.resets_inside:
        rest = batch.reset[:, 1:]
    else:
        rest = tf.fill([batch.rows, batch.length - 1], False)
    flags = tf.concat([fresh[:, None], rest], axis=1)
    flags.set_shape(batch.inputs[0].shape[:2])
    return batch._replace(reset=flags)


def _rows_variable(value: Tensor) -> tf.Variable:
    shape = tf.TensorShape([None, *value.shape[1:]])
    return tf.Variable(value, trainable=False, shape=shape)


def _with_rows(state: State, batch: Batch) -> State:
    rows = batch.inputs[0].shape[0]
    for tensor in tf.nest.flatten(state):
        tensor.set_shape([rows, *tensor.shape[1:]])
    return state
