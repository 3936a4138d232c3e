"""Training in many processes, on one machine or on several.

    import bptt_keras as bk

    bk.distribute.initialize()     # before anything else that computes
    ...                            # the same program in every process

Each process trains on its own rows of every batch, and all of them make the update that
one process would make with the whole batch.
"""

from bptt_keras.distribute.joining import (
    initialize,
    is_first,
    process_count,
    process_index,
)
from bptt_keras.distribute.launching import launch
from bptt_keras.process_group import DistributeError, alone

__all__ = [
    "DistributeError",
    "alone",
    "initialize",
    "is_first",
    "launch",
    "process_count",
    "process_index",
]
