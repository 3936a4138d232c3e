"""What happens when processes that train together begin a `fit`."""

from __future__ import annotations

import json
from typing import Any

import keras

from bptt_keras.process_group import ProcessGroup
from bptt_keras.resume.configuration import configuration
from bptt_keras.training.steps import Fit

# Callbacks that write files, and change nothing of the training.
_WRITERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


class Unwritten(keras.callbacks.Callback):
    """Stands in place of a callback that only the first process has.

    Args:
        stands_for: The name of that callback's class.
    """

    def __init__(self, stands_for: str):
        super().__init__()
        self.stands_for = stands_for

    def get_state(self) -> None:
        """Nothing: the first process saves the state."""

    def set_state(self, state: Any) -> None:
        """Nothing: the state belongs to the first process."""


class EndTogether(keras.callbacks.Callback):
    """Ends a `fit` in all processes if a callback ends it in one.

    Args:
        group: The processes.
    """

    of_this_run = True

    def __init__(self, group: ProcessGroup):
        super().__init__()
        self._group = group

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called last of all callbacks."""
        with self._group.told_of_loss():
            self.model.stop_training = self._group.any(self.model.stop_training)


def begin_fit(group: ProcessGroup, fit: Fit) -> dict[str, Any]:
    """Checks that all processes begin the same `fit`.

    Args:
        group: The processes.
        fit: The call.

    Returns:
        Arguments that are passed on in place of those of the call.

    Raises:
        DistributeError: Names what differs.
        ValueError: If an argument does not suit several processes.
    """
    if fit.trainer.run_eagerly:
        raise ValueError(
            "Processes that train together need graphs. Received: run_eagerly=True. "
            "Leave it out, or look for the fault in one process."
        )
    known = configuration(fit, [])
    del known["callbacks"]
    known["fit"]["epochs"] = fit.arguments.get("epochs")
    known["fit"]["validation"] = fit.arguments.get("validation_data") is not None
    with group.told_of_loss():
        group.require_same({name: json.dumps(part) for name, part in known.items()})
    given = fit.arguments["callbacks"]
    listed = isinstance(given, keras.callbacks.CallbackList)
    callbacks = given.callbacks if listed else keras.tree.flatten(given)
    if any(isinstance(c, keras.callbacks.BackupAndRestore) for c in callbacks):
        raise ValueError(
            "`BackupAndRestore` begins where it was in one process, and not in the "
            "others. Use `bptt_keras.callbacks.Resume`."
        )
    if not group.is_first:
        callbacks = [
            Unwritten(type(c).__name__) if isinstance(c, _WRITERS) else c
            for c in callbacks
        ]
    callbacks = [*callbacks, EndTogether(group)]
    if listed:
        given.callbacks[:] = callbacks
        callbacks = given
    verbose = fit.arguments["verbose"] if group.is_first else 0
    return {"callbacks": callbacks, "verbose": verbose}
