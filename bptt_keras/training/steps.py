"""The step functions that `fit`, `evaluate` and `predict` call.

Keras traces one function for all data. When the rank of a tensor changes, for example
from one flag per row to one per timestep, TensorFlow relaxes it to an unknown rank, and
nothing can be cut along time any more. So there is one function here for each kind of
data, and within a kind only the numbers of rows and timesteps are relaxed.

A callback that is a `Lead`, as `bptt_keras.callbacks.Resume` is, may pass over batches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.kernels.native.place import never_saved
from bptt_keras.process_group import ProcessGroup
from bptt_keras.types import Structure, Tensor


class Apart(NamedTuple):
    """Variables of which several processes that train together have a part each.

    Those with any number of rows are parts of rows, too.

    Fields:
        counts: Numbers of rows.
        sums: Sums over rows.
    """

    counts: list[tf.Variable]
    sums: list[tf.Variable]


class Fit(NamedTuple):
    """One call of `fit`, for the callback that leads it.

    Fields:
        trainer: The `TruncatedBPTT`.
        x: Inputs, or data in batches, as passed on to Keras.
        arguments: The other arguments of `fit`, as passed on to Keras.
        prepare: Function of the specification of a batch: creates everything that
            training on such batches needs, variables included.
        holders: Function without arguments: the objects in which training keeps its
            state, variables and others, once `prepare` has been called.
        schedule: Function without arguments: the current schedule of windows.
        apart: Function without arguments: `Apart`, once `prepare` has been called.
        group: The processes that train together, or `None`.
    """

    trainer: Any
    x: Any
    arguments: dict[str, Any]
    prepare: Callable[[Structure], None]
    holders: Callable[[], list[Any]]
    schedule: Callable[[], Any]
    apart: Callable[[], Apart]
    group: ProcessGroup | None


class Lead(keras.callbacks.Callback):
    """A callback that may pass over batches of a `fit` that have been trained before.

    `fit` then runs Keras' loop as ever, with `callbacks` of its choice, batches from
    the iterable that `follow` returns, and `step` in place of each training step.
    """

    @property
    def passes_over(self) -> bool:
        """Whether nothing is trained or validated at the moment."""
        raise NotImplementedError

    def begin(self, fit: Fit) -> dict[str, Any]:
        """Called before a `fit` begins.

        Args:
            fit: The call.

        Returns:
            Arguments that are passed on to Keras in place of those of the call.
        """
        raise NotImplementedError

    def follow(self, dataset: tf.data.Dataset) -> Iterable[Any]:
        """The batches of training: what Keras iterates in place of a dataset."""
        raise NotImplementedError

    def step(self, run: Callable[[Any], Structure], batches: Any) -> Structure:
        """Trains on the next batches, or passes over them.

        Args:
            run: Function of a `tf.data.Iterator` that trains on its next batches.
            batches: An iterator of what `follow` returned.
        """
        raise NotImplementedError

    def end(self) -> None:
        """Called after a `fit` has ended, by an error too."""


def find_lead(callbacks: Any) -> Lead | None:
    """The callback that leads a `fit`, or `None`.

    Args:
        callbacks: As for `fit`.

    Raises:
        ValueError: If there are several.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    found = [c for c in keras.tree.flatten(callbacks or []) if isinstance(c, Lead)]
    if len(found) > 1:
        names = [type(c).__name__ for c in found]
        raise ValueError(
            f"Only one callback can say where a `fit` resumes. Received: {names}."
        )
    return found[0] if found else None


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
        lead: Function without arguments: a `Lead` that decides what happens with the
            next batches, or `None`.
    """

    def __init__(
        self,
        step: Callable[[Structure], Structure],
        prepare: Callable[[Structure], None],
        *,
        repeats: Callable[[], int],
        eager: Callable[[], bool],
        variant: Callable[[], Any],
        lead: Callable[[], Lead | None],
    ):
        self._step = step
        self._prepare = prepare
        self._repeats = repeats
        self._eager = eager
        self._variant = variant
        self._lead = lead
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
        lead = self._lead()
        return (
            self._run_next(batches)
            if lead is None
            else lead.step(self._run_next, batches)
        )

    def _run_next(self, batches: Any) -> Structure:
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
            self._prepare(known_spec(spec))
            self._traced[kind] = tf.function(
                never_saved(function, xla=False),
                autograph=False,
                reduce_retracing=True,
            )
        return self._traced[kind]

    def _run(self, data: Structure) -> Structure:
        return self._step(tf.nest.map_structure(_known, data))


def known_spec(spec: Structure) -> Structure:
    """The specification of a batch, with `None` for what a generator leaves out."""
    return tf.nest.map_structure(_known, spec)


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
