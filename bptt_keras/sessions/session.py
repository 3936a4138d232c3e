"""`Session`: a model that is fed step by step and remembers."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.files import replacing
from bptt_keras.keras_internals import all_layers
from bptt_keras.sessions.around import innermost
from bptt_keras.sessions.inputs import ModelInputs
from bptt_keras.sessions.programs import Programs
from bptt_keras.sessions.snapshots import fingerprint, from_bytes, to_bytes
from bptt_keras.state import PureStep, check_by_running, where_rows
from bptt_keras.types import State, Structure, Tensor


class Session:
    """A model that is fed piece by piece and keeps the state of each row in between.

        outputs_i, state_{i+1} = model(x_i, state_i)

    However a sequence is cut into pieces, the outputs are those of one uncut call. The
    step is compiled, and reads the model's weights where they are: a session follows
    the training of its model. Each session has its own state. Calls of one session from
    several threads run one after another, each as a whole; sessions of one model in
    several threads run side by side.

    After an error the state is what it was before the call.

    Args:
        model: A built `keras.Model` as for `PureStep`, or a `TruncatedBPTT` around
            one. Layers run as in `predict`, without dropout.
        rows: Number of sequences that are followed side by side, at least 1. Default:
            1. One call for 64 rows takes far less time than 64 calls.
        jit_compile: `True`: XLA compiles each number of timesteps anew, which takes
            about a second. `False`: XLA compiles nothing. `"auto"` (default): it
            compiles a single timestep, unless it cannot compile the model.

    Attributes:
        model: The model.
        rows: The number of rows.

    Raises:
        TypeError: If `model` is not a `keras.Model`, or `rows` not an integer.
        ValueError: If `model` is not built or cannot be cut along time, `rows` is below
            1, or `jit_compile` is none of these.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential(
            [keras.Input((None, 3)), bk.layers.LSTM(4, return_sequences=True)]
        )
        session = bk.Session(model, rows=2)
        x = np.random.normal(size=(2, 10, 3)).astype("float32")
        y = [session.step(piece) for piece in (x[:, :1], x[:, 1:4], x[:, 4:])]
        np.testing.assert_allclose(np.concatenate(y, 1), model(x), atol=1e-6)
        saved = session.snapshot()
        session.reset(rows=[1])    # row 1 starts afresh, row 0 goes on
        session.restore(saved)     # both are where they were
    """

    def __init__(
        self, model: keras.Model, rows: int = 1, *, jit_compile: bool | str = "auto"
    ):
        model = innermost(model)
        self._pure = PureStep(model)
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"`jit_compile` must be True, False or 'auto'. Received: "
                f"jit_compile={jit_compile!r}."
            )
        self.model = model
        self.rows = whole("rows", rows, unit=None)
        self.jit_compile = jit_compile
        self._lock = threading.RLock()
        self._inputs: ModelInputs | None = None
        self._programs: Programs | None = None
        self._template = self._pure.initial_state(self.rows)
        self._state = tf.nest.flatten(self._template)

    @property
    def state(self) -> State:
        """The state: `{layer name: {state name: tensor (rows, ...)}}`, a copy."""
        with self._lock:
            return tf.nest.pack_sequence_as(self._template, self._state)

    def step(self, x: Structure, *, reset: Any = None, valid: Any = None) -> Structure:
        """Runs the model over the next timesteps of each row.

        Args:
            x: Array or tensor `(rows, time, ...)` with at least one timestep, or the
                structure of them that the model takes. An input without a time axis,
                see `PureStep`, is passed again with each call.
            reset: Boolean array, `(rows,)`: rows that start from the initial state; or
                `(rows, time)`: rows that return to it before that timestep. Default
                (`None`): no reset.
            valid: Boolean array `(rows, time)`, False where a row has no input: its
                state does not change. Default (`None`): every step is valid.

        Returns:
            The outputs of the model as tensors, `(rows, time, ...)`, or `(rows, ...)`
            if the model has an output at the end only; structured as by the model.

        Raises:
            TypeError: If `x` or a flag has a dtype that does not fit.
            ValueError: If `x` or a flag has another structure or shape than the model
                and the session; holds NaN, infinity or an id that an embedding does not
                have, where it is valid; or, at the first call, if the model mixes
                timesteps in a way that a state cannot carry.
        """
        with self._lock:
            state, programs = self._state, self._programs
            inputs = self._inputs
            if inputs is None:
                inputs = ModelInputs(self.model, x, self.rows)
            mask = None if valid is None else self._flags("valid", valid, (2,))
            tensors = inputs.read(x, mask)
            if programs is None:
                check_by_running(self._pure, inputs.specs)
                programs = Programs(
                    self._pure, inputs, self._template, self.jit_compile
                )
            grids = {}
            for name, flags in (("reset", reset), ("valid", valid)):
                if flags is None:
                    continue
                flags = self._flags(name, flags, (1, 2) if name == "reset" else (2,))
                if flags.ndim == 1:
                    state = self._reset(state, flags)
                    continue
                expected = self.rows, inputs.steps_of(tensors)
                self._check_shape(name, flags, expected)
                grids[name] = tf.constant(flags)
            result = programs.run(tensors, state, grids)
            self._check_ids(result.in_range)
            self._inputs, self._programs = inputs, programs
            self._state = result.state
            return result.outputs

    def reset(self, rows: Any = None) -> None:
        """Sets rows back to the initial state, as it is now if it is learned.

        Args:
            rows: Indices of rows, or booleans `(rows,)`. Default (`None`): all rows.

        Raises:
            TypeError: If `rows` holds anything else.
            ValueError: If there is no such row, or `rows` has another shape.
        """
        with self._lock:
            flags = np.ones(self.rows, bool) if rows is None else self._chosen(rows)
            self._state = self._reset(self._state, flags)

    def snapshot(self, path: str | os.PathLike | None = None) -> bytes:
        """The state as bytes, which hold no code and no weights.

        Args:
            path: File that the bytes are written to as well, whole or not at all; one
                that is there is replaced. Default (`None`): none.

        Returns:
            The bytes, for `restore`.

        Raises:
            OSError: If the file cannot be written.
        """
        state = self.state
        state = {name: state[name] for name in self._pure.layers}
        data = to_bytes(state, fingerprint(self._pure, state), self.rows)
        if path is not None:
            with replacing(path) as new:
                new.write_bytes(data)
        return data

    def restore(
        self, source: bytes | str | os.PathLike, *, any_weights: bool = False
    ) -> None:
        """Goes on from a snapshot.

        Args:
            source: What `snapshot` returned, or the path of its file.
            any_weights: Whether the model may have other weights than when the snapshot
                was made, because it has been trained since. Default: `False`.

        Raises:
            OSError: If the file cannot be read.
            TypeError: If `source` is neither bytes nor a path.
            ValueError: If the snapshot is damaged, or belongs to another model, other
                weights or another number of rows.
        """
        if isinstance(source, str | os.PathLike):
            source = Path(source).read_bytes()
        if not isinstance(source, bytes | bytearray | memoryview):
            raise TypeError(
                f"`source` must be what `snapshot` returned, or a path. Received: "
                f"source of type {type(source).__name__}."
            )
        expected = fingerprint(self._pure, self._template)
        state = from_bytes(
            bytes(source),
            expected,
            self.rows,
            names=list(self._pure.layers),
            any_weights=any_weights,
        )
        with self._lock:
            self._state = tf.nest.flatten(state)

    def _reset(self, state: list[Tensor], flags: np.ndarray) -> list[Tensor]:
        initial = tf.nest.flatten(self._pure.initial_state(self.rows))
        if flags.all():
            return initial
        return where_rows(tf.constant(flags), initial, state)

    def _chosen(self, rows: Any) -> np.ndarray:
        """Rows as booleans `(rows,)`."""
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            self._check_shape("rows", chosen, (self.rows,))
            return chosen
        if chosen.dtype.kind not in "iu" and chosen.size:
            raise TypeError(
                f"`rows` must be indices or booleans. Received: rows={rows!r}."
            )
        chosen = chosen.astype(int).reshape(-1)
        if ((chosen < 0) | (chosen >= self.rows)).any():
            raise ValueError(
                f"`rows` must lie between 0 and {self.rows - 1}. Received: "
                f"rows={rows!r}."
            )
        flags = np.zeros(self.rows, bool)
        flags[chosen] = True
        return flags

    def _flags(self, name: str, flags: Any, ranks: tuple[int, ...]) -> np.ndarray:
        flags = np.asarray(flags)
        if flags.dtype != bool:
            raise TypeError(
                f"`{name}` must be boolean. Received: {name} of dtype "
                f"{flags.dtype.name}. Compare or cast first: `{name}={name} != 0`."
            )
        if flags.ndim not in ranks:
            words = " or ".join({1: "(rows,)", 2: "(rows, time)"}[r] for r in ranks)
            raise ValueError(
                f"`{name}` must have the shape {words}. Received: {name} with shape "
                f"{flags.shape}."
            )
        if flags.ndim == 1:
            self._check_shape(name, flags, (self.rows,))
        return flags

    def _check_shape(self, name: str, flags: np.ndarray, wanted: tuple) -> None:
        if flags.shape != wanted:
            raise ValueError(
                f"`{name}` must have the shape {wanted}. Received: {name} with shape "
                f"{flags.shape}."
            )

    def _check_ids(self, in_range: dict[str, Tensor]) -> None:
        wrong = [name for name, fine in in_range.items() if not bool(fine)]
        if wrong:
            sizes = {
                layer.name: layer.input_dim
                for layer in all_layers(self.model)
                if isinstance(layer, keras.layers.Embedding)
            }
            raise ValueError(
                f"`x` must hold ids that the embedding has. Expected: ids from 0 to "
                f"{sizes[wrong[0]] - 1} for layer {wrong[0]!r}. Received: others."
            )
