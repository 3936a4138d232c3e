"""The step functions that `fit`, `evaluate` and `predict` call.

Keras traces one function for all data. When the rank of a tensor changes, for example
from one flag per row to one per timestep, TensorFlow relaxes it to an unknown rank, and
nothing can be cut along time any more. So there is one function here for each kind of
data, and within a kind only the numbers of rows and timesteps are relaxed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from bptt_keras.types import Structure, Tensor


class StepFunction:
    """Runs steps on the batches that Keras passes.

    Args:
        step: Function of the data of one batch.
        prepare: Function of the specification of such data, which is called before a
            step on data of that kind is traced.
        repeats: Function without arguments: how many batches of an iterator one call
            runs.
        eager: Function without arguments: whether steps run eagerly.
        variant: Function without arguments: what else a trace depends on.
    """

    def __init__(
        self,
        step: Callable[[Structure], Structure],
        prepare: Callable[[Structure], None],
        *,
        repeats: Callable[[], int],
        eager: Callable[[], bool],
        variant: Callable[[], Any],
    ):
        self._step = step
        self._prepare = prepare
        self._repeats = repeats
        self._eager = eager
        self._variant = variant
        self.clear()

    def clear(self) -> None:
        """Forgets all traces: the next batch is traced again."""
        self._traced: dict[Any, Any] = {}
        # Keras passes the iterator of an epoch again for each of its batches.
        self._iterator: Any = None
        self._of_iterator: Any = None

    def __call__(self, batches: Any) -> Structure:
        """Runs the next batches of an iterator; returns the outputs of the last one.

        Args:
            batches: `tf.data.Iterator`, or another iterator of batches.

        Raises:
            StopIteration: If no batch is left (or `tf.errors.OutOfRangeError`).
        """
        if not isinstance(batches, tf.data.Iterator):
            return [self.on_data(data) for _, data in self._numbered(batches)][-1]
        if self._eager():
            outputs = self._run(next(batches))
            for _ in range(self._repeats() - 1):
                following = batches.get_next_as_optional()
                if not following.has_value():
                    break
                outputs = self._run(following.get_value())
            return outputs
        if self._iterator is not batches:
            repeats = self._repeats()
            several = functools.partial(_several, self._run, repeats)
            self._of_iterator = self._function(batches.element_spec, several, repeats)
            self._iterator = batches
        return self._of_iterator(batches)

    def on_each(self, batches: Iterable[Structure]) -> Structure:
        """Runs a list of batches; returns their outputs, joined along rows."""
        outputs = [self.on_data(data) for data in batches]
        if len(outputs) == 1:
            return outputs[0]
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *outputs)

    def on_data(self, data: Structure) -> Structure:
        """Runs one batch, a structure of arrays, tensors or `None`; its outputs."""
        data = tf.nest.map_structure(_tensor, data)
        if self._eager():
            return self._run(data)
        spec = tf.nest.map_structure(_spec, data)
        return self._function(spec, self._run, None)(data)

    def _numbered(self, batches: Iterable[Structure]) -> Iterable[Any]:
        return zip(range(self._repeats()), batches, strict=False)

    def _function(
        self, spec: Structure, function: Callable[..., Any], repeats: int | None
    ) -> Callable[..., Any]:
        kind = repeats, self._variant(), _kind(spec)
        if kind not in self._traced:
            self._prepare(tf.nest.map_structure(_known, spec))
            # TensorFlow counts traces by a function's code object, which a `partial`
            # does not have. Without it, several models would look like one function
            # that is retraced too often, and TensorFlow would warn.
            self._traced[kind] = tf.function(
                functools.partial(function), autograph=False, reduce_retracing=True
            )
        return self._traced[kind]

    def _run(self, data: Structure) -> Structure:
        return self._step(tf.nest.map_structure(_known, data))


def _several(
    step: Callable[[Structure], Structure], repeats: int, iterator: Any
) -> Structure:
    """Runs several steps, fewer where the data end; the outputs of the last one."""
    outputs = step(iterator.get_next())
    if repeats == 1:
        return outputs

    def body(index: Tensor, _: Structure, following: Any) -> tuple[Any, Any, Any]:
        outputs = step(following.get_value())
        more = tf.cond(
            index + 1 < repeats, iterator.get_next_as_optional, lambda: following
        )
        return index + 1, outputs, more

    return tf.while_loop(
        lambda index, _, following: (index < repeats) & following.has_value(),
        body,
        (tf.constant(1), outputs, iterator.get_next_as_optional()),
    )[1]


def _tensor(part: Any) -> Any:
    kept = part is None or isinstance(part, tf.experimental.Optional)
    return part if kept else tf.convert_to_tensor(part)


def _spec(part: Any) -> Any:
    return None if part is None else tf.type_spec_from_value(part)


def _known(part: Any) -> Any:
    """`None` for the `Optional` that Keras' generators put in its place."""
    absent = isinstance(part, tf.experimental.Optional | tf.OptionalSpec)
    return None if absent else part


def _kind(spec: Structure) -> str:
    """What functions differ by: structure, dtypes, ranks, sizes after the time axis."""
    leaves = [
        (leaf.dtype.name, leaf.shape.rank, leaf.shape[2:])
        if isinstance(leaf, tf.TensorSpec)
        else repr(leaf)
        for leaf in tf.nest.flatten(spec)
    ]
    return repr((tf.nest.map_structure(lambda _: "", spec), leaves))
