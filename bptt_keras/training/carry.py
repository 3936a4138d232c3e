"""The state between two batches: the only state that lives in variables."""

import keras
import tensorflow as tf

from bptt_keras.state import where_rows
from bptt_keras.training.assertions import require


class Carry:
    """Keeps the state of each row from one batch to the next.

    Training, evaluation and prediction each own one, so none disturbs another.
    The variables hold any number of rows.

    Args:
        step: The `PureStep` whose state is kept.
    """

    def __init__(self, step):
        self._step = step
        with tf.init_scope():
            self._state = tf.nest.map_structure(_rows_variable, step.initial_state(0))
            self._position = _rows_variable(tf.zeros([0], tf.int64))
            # Counted apart: the graph optimizer takes the shape that a variable is
            # assigned for the shape that it always had (TensorFlow 2.21).
            self._rows = tf.Variable(0, trainable=False)

    def clear(self):
        """Forgets the rows: the next batch starts afresh, whatever its flags say."""
        for variable in [*tf.nest.flatten(self._state), self._position]:
            variable.assign(tf.zeros([0, *variable.shape[1:]], variable.dtype))
        self._rows.assign(0)

    def enter(self, batch):
        """State in which a batch starts.

        Args:
            batch: A `Batch`. Without `reset` all its rows start afresh. With it,
                rows continue the previous batch, but for those that are flagged.

        Returns:
            The state, with the batch's number of rows. Flags for the first timestep
            are applied, those inside the batch are not.
        """
        initial = _with_rows(self._step.initial_state(batch.rows), batch)
        if batch.reset is None:
            return initial
        known = self._rows.read_value()
        fresh = batch.reset if batch.reset.shape.rank == 1 else batch.reset[:, 0]
        same_rows = tf.equal(known, batch.rows)
        checks = [
            require(
                same_rows | tf.equal(known, 0) | tf.reduce_all(fresh),
                "A batch with `reset` continues the one before it, row by row, but "
                "their numbers of rows differ. Keep the number of rows, or set `reset` "
                "to True for all rows of the batch.",
            )
        ]
        if batch.position is not None:
            # A cond, because there are no earlier positions to compare at the start.
            in_order = tf.cond(
                same_rows,
                lambda: tf.equal(tf.cast(batch.position, tf.int64), self._position),
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
        with tf.control_dependencies(checks):
            carried = tf.cond(
                same_rows,
                lambda: tf.nest.map_structure(lambda v: v.read_value(), self._state),
                lambda: initial,
            )
        return where_rows(fresh, initial, _with_rows(carried, batch))

    def leave(self, state, batch):
        """Keeps the state in which a batch ended, for the next one."""
        for variable, value in zip(
            tf.nest.flatten(self._state), tf.nest.flatten(state), strict=True
        ):
            variable.assign(value)
        if batch.position is None:
            end = tf.fill([batch.rows], tf.constant(-1, tf.int64))
        else:
            end = tf.cast(batch.position, tf.int64) + tf.cast(batch.length, tf.int64)
        self._position.assign(end)
        self._rows.assign(batch.rows)


class FreshEpochs(keras.callbacks.Callback):
    """Clears the training state at the start of each epoch.

    Args:
        trainer: The `TruncatedBPTT` whose state is cleared.
    """

    def __init__(self, trainer):
        super().__init__()
        self._trainer = trainer

    def on_epoch_begin(self, epoch, logs=None):
        """The data start again, so the rows do too."""
        self._trainer.reset_state()


def with_fresh_epochs(trainer, callbacks):
    """The callbacks of a `fit`, with `FreshEpochs` before them.

    Args:
        trainer: A `TruncatedBPTT`.
        callbacks: As for `fit`: `None`, a callback, a list, or a `CallbackList`.

    Returns:
        The same, and one more.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(FreshEpochs(trainer))
        return callbacks
    return [FreshEpochs(trainer), *keras.tree.flatten(callbacks or [])]


def _rows_variable(value):
    shape = tf.TensorShape([None, *value.shape[1:]])
    return tf.Variable(value, trainable=False, shape=shape)


def _with_rows(state, batch):
    rows = tf.nest.flatten(batch.inputs)[0].shape[0]
    for tensor in tf.nest.flatten(state):
        tensor.set_shape([rows, *tensor.shape[1:]])
    return state
