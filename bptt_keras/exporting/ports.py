"""Names of what goes into an exported step and comes out of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.types import Structure


class Port(NamedTuple):
    """An input or an output of an exported step.

    Fields:
        name: Letters, digits and underscores; unique within the step.
        shape: `None`: any size.
        dtype: `tf.DType`.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: tf.DType

    @property
    def spec(self) -> tf.TensorSpec:
        """As a `tf.TensorSpec` with the name."""
        return tf.TensorSpec(self.shape, self.dtype, name=self.name)


class StatePort(NamedTuple):
    """One state, which leaves a step by one name and enters the next by another.

    Fields:
        layer: Name of the layer.
        state: Name of the state in the layer.
        enters: `Port` of the state before the step.
        leaves: `Port` of the state after it.
    """

    layer: str
    state: str
    enters: Port
    leaves: Port


class Names:
    """Gives out names that every format and programming language takes, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, wanted: str) -> str:
        """The wanted name, or one like it."""
        base = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_") or "x"
        base = base if base[0].isalpha() else f"x_{base}"
        name, number = base, 1
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        self._taken.add(name)
        return name


def paths(tree: Structure, stem: str) -> list[str]:
    """Names of the leaves of a structure, in the order of `tf.nest.flatten`.

    Args:
        tree: The structure.
        stem: The name of a single leaf, and of leaves that only a number tells apart.

    Example:
        from bptt_keras.exporting.ports import paths

        assert paths({"b": 1, "a": [2, 3]}, "outputs") == ["a_0", "a_1", "b"]
        assert paths([1, 2], "outputs") == ["outputs_0", "outputs_1"]
    """
    found = ["_".join(path) for path in _walk(tree)]
    numbered = (f"{stem}_{name}" if name[:1].isdigit() else name for name in found)
    return [name or stem for name in numbered]


def _walk(tree: Any) -> Iterator[tuple[str, ...]]:
    items: Iterable[tuple[Any, Any]]
    if isinstance(tree, dict):
        items = sorted(tree.items())
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        yield ()
        return
    for key, value in items:
        for rest in _walk(value):
            yield (str(key), *rest)
