"""The base class of layers that loop over a cell of this package."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from bptt_keras.layers._fused import FusedRecurrence


class CellLayer(FusedRecurrence, keras.layers.RNN):
    """Recurrent layer around one kind of cell, which also takes the cell's arguments.

    A subclass sets `_cell_class`, a subclass of a Keras cell, and defines
    `_run_kernel`.
    """

    def __init__(self, units: int, **kwargs: Any):
        known = inspect.signature(self._cell_class).parameters
        for_cell = {key: kwargs.pop(key) for key in known if key in kwargs}
        both = {key: kwargs[key] for key in ("dtype", "trainable") if key in kwargs}
        cell = self._cell_class(units, **for_cell, **both)
        keras.layers.RNN.__init__(self, cell, **kwargs)

    @property
    def units(self) -> int:
        """Size of h."""
        return self.cell.units

    def _activations_are_fused(self):
        return True

    def get_config(self) -> dict[str, Any]:
        own = keras.layers.RNN.get_config(self)
        del own["cell"]
        cell = self.cell.get_config()
        names = inspect.signature(self._cell_class).parameters
        return {**own, **{key: cell[key] for key in names if key in cell}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CellLayer:
        return cls(**config)
