"""What has to happen between epochs, as a Keras callback."""

import keras

from bptt_keras.training.clipping.stop import StopOnSkipped


class Epochs(keras.callbacks.Callback):
    """Starts each epoch of a `fit` afresh, and finishes what the last one left.

    Args:
        engine: The trainer's `Engine`.
        fresh: Whether each epoch starts from the initial state.
        keep_first: Whether the first epoch goes on from the state that there is.
    """

    def __init__(self, engine, *, fresh, keep_first):
        super().__init__()
        self._engine = engine
        self._fresh = fresh
        self._keeps = keep_first

    def on_epoch_begin(self, epoch, logs=None):
        """The data start again, so the rows do too."""
        if self._fresh and not self._keeps:
            self._engine.clear("fit")
        self._keeps = False
        self._engine.begin_epoch(epoch)

    def on_test_begin(self, logs=None):
        """Validation sees the weights after all updates of the epoch."""
        self._engine.flush()

    def on_epoch_end(self, epoch, logs=None):
        """Windows that wait for more until an update are enough at the end."""
        self._engine.flush()


def with_epochs(engine, callbacks, *, fresh, keep_first, stops):
    """The callbacks of a `fit`, with `Epochs` before them.

    Args:
        engine: The trainer's `Engine`.
        callbacks: As for `fit`: `None`, a callback, a list, or a `CallbackList`.
        fresh: See `Epochs`.
        keep_first: See `Epochs`.
        stops: Whether the optimizer says after how many skipped updates to stop.

    Returns:
        The same, and ours.
    """
    ours = [Epochs(engine, fresh=fresh, keep_first=keep_first)]
    if stops:
        ours.append(StopOnSkipped())
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in ours:
            callbacks.append(callback)
        return callbacks
    return [*ours, *keras.tree.flatten(callbacks or [])]
