"""The compiled steps of a session, one for each kind of call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.kernels.native.place import never_saved
from bptt_keras.sessions.inputs import ModelInputs
from bptt_keras.state import PureStep, watched_ids
from bptt_keras.types import State, Structure, Tensor

# What XLA raises for a model that it cannot compile.
_REFUSED = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.UnimplementedError,
)


class Result(NamedTuple):
    """What one call returned.

    Fields:
        outputs: The outputs of the model, as it structures them.
        state: The new state, a flat list of tensors.
        in_range: `{layer: whether its ids were in range}`, booleans.
    """

    outputs: Structure
    state: list[Tensor]
    in_range: dict[str, Tensor]


class Kind(NamedTuple):
    """What one trace serves.

    Fields:
        xla: Whether XLA compiles it.
        steps: Number of timesteps; `None`: any.
        flags: Names of the flags that are given.
    """

    xla: bool
    steps: int | None
    flags: tuple[str, ...]


class Programs:
    """Compiles what a session runs, when it is first needed.

    A single timestep, which is what streams mostly are, is a program of XLA if that can
    compile the model. For several there is one graph for any number of them, because
    XLA would compile again for each number. All of them read the model's variables
    where they are, so they follow its training.

    Args:
        step: The model as a pure step.
        inputs: Its inputs.
        template: A state, for its structure.
        jit_compile: `True`, `False` or `"auto"`, see `Session`.
    """

    def __init__(
        self,
        step: PureStep,
        inputs: ModelInputs,
        template: State,
        jit_compile: bool | str,
    ):
        self._step = step
        self._inputs = inputs
        self._template = template
        self._jit_compile = jit_compile
        self._made: dict[Kind, Callable[..., Result]] = {}
        # Whether a layer must know the number of timesteps when it is traced.
        self._by_length = False

    def run(
        self, inputs: list[Tensor], state: list[Tensor], flags: dict[str, Tensor]
    ) -> Result:
        """Runs one piece of a sequence.

        Args:
            inputs: What `ModelInputs.read` returned.
            state: Flat list of tensors.
            flags: `reset` and `valid`, booleans `(rows, time)`, if given.

        Returns:
            `Result`.
        """
        arguments = [*inputs, *state, *flags.values()]
        kind = self._kind(self._inputs.steps_of(inputs), tuple(flags))
        try:
            return self._program(kind, arguments)(arguments)
        except _REFUSED:
            if not kind.xla or self._jit_compile is True:
                raise
            self._jit_compile = False
            return self.run(inputs, state, flags)

    def _kind(self, steps: int, flags: tuple[str, ...]) -> Kind:
        xla = steps == 1 if self._jit_compile == "auto" else bool(self._jit_compile)
        fixed = steps == 1 or xla or self._by_length
        return Kind(xla, steps if fixed else None, flags)

    def _program(self, kind: Kind, arguments: list[Tensor]) -> Callable[..., Result]:
        if kind not in self._made:
            try:
                self._made[kind] = self._traced(kind, arguments)
            except Exception:  # noqa: BLE001 - a layer can raise anything
                if kind.steps is not None:
                    raise
                steps = self._inputs.steps_of(arguments)
                known = kind._replace(steps=steps)
                self._made[known] = self._traced(known, arguments)
                self._by_length = True
                return self._made[known]
        return self._made[kind]

    def _traced(self, kind: Kind, arguments: list[Tensor]) -> Callable[..., Result]:
        entries, like = self._inputs.entries, self._template
        inputs, states = len(entries), len(tf.nest.flatten(like))
        found: dict[str, Any] = {}

        def body(*tensors: Tensor) -> list[Tensor]:
            flags = dict(zip(kind.flags, tensors[inputs + states :], strict=True))
            x = _without_padding(self._inputs, tensors[:inputs], flags.get("valid"))
            state = tf.nest.pack_sequence_as(like, tensors[inputs : inputs + states])
            with watched_ids(self._step.model) as in_range:
                outputs, new_state = self._step(self._inputs.pack(x), state, **flags)
            flat = [tf.convert_to_tensor(t) for t in tf.nest.flatten(outputs)]
            found.update(outputs=outputs, layers=list(in_range), count=len(flat))
            return [*flat, *tf.nest.flatten(new_state), *in_range.values()]

        timed = [entry.timed for entry in entries]
        timed += [False] * states + [True] * len(kind.flags)
        specs = [
            tf.TensorSpec(_opened(t.shape, is_timed and kind.steps is None), t.dtype)
            for t, is_timed in zip(arguments, timed, strict=True)
        ]
        run = tf.function(
            never_saved(body, xla=kind.xla),
            jit_compile=kind.xla or None,
            autograph=False,
        ).get_concrete_function(*specs)
        structure = tf.nest.map_structure(lambda _: None, found["outputs"])
        layers, count = found["layers"], found["count"]

        def program(arguments: list[Tensor]) -> Result:
            results = run(*arguments)
            return Result(
                tf.nest.pack_sequence_as(structure, results[:count]),
                results[count : count + states],
                dict(zip(layers, results[count + states :], strict=True)),
            )

        return program


def _opened(shape: tf.TensorShape, opened: bool) -> list[int | None]:
    """A shape, with any number of timesteps if `opened`."""
    sizes = list(shape)
    return [sizes[0], None, *sizes[2:]] if opened else sizes


def _without_padding(
    inputs: ModelInputs, tensors: tuple[Tensor, ...], valid: Tensor | None
) -> list[Tensor]:
    """The inputs with zeros at steps that are not valid: NaN and odd ids stay out."""
    if valid is None:
        return list(tensors)

    def cleared(tensor: Tensor, timed: bool) -> Tensor:
        if not timed or tensor.dtype == tf.string:
            return tensor
        ones = tf.ones([tensor.shape.rank - 2], tf.int32)
        flags = tf.reshape(valid, tf.concat([tf.shape(valid), ones], 0))
        return tf.where(flags, tensor, tf.zeros([], tensor.dtype))

    return [
        cleared(tensor, entry.timed)
        for tensor, entry in zip(tensors, inputs.entries, strict=True)
    ]
