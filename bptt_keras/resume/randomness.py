"""The random generators of the process: Python's, NumPy's and Keras'."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from bptt_keras.keras_internals import global_seeds, make_global_seeds
from bptt_keras.resume.plain import Arrays, decoded, encoded


def random_states(arrays: Arrays) -> Any:
    """The states of the generators of the process, for JSON."""
    generator = global_seeds()
    seeds = None if generator is None else np.asarray(generator.state)
    return encoded((random.getstate(), np.random.get_state(), seeds), arrays)


def restore_random_states(state: Any, arrays: Arrays) -> None:
    """Restores what `random_states` returned."""
    python, numpy, seeds = decoded(state, arrays)
    if seeds is not None:
        make_global_seeds().state.assign(seeds)
    random.setstate(python)
    np.random.set_state(numpy)
