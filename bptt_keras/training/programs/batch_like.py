"""What the programs require of a batch; `training.batches.batch.Batch` has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from bptt_keras.types import Tensor

Size: TypeAlias = int | Tensor
"""A number of rows or timesteps: an integer if known while tracing, else a scalar."""

Self = TypeVar("Self", bound="BatchLike")
AnyBatch = TypeVar("AnyBatch", bound="BatchLike")


class BatchLike(Protocol):
    """A batch, or one window of it: a nested structure of tensors.

    Fields and methods are those of `training.batches.batch.Batch`, which describes
    them.
    """

    @property
    def inputs(self) -> list[Tensor]: ...

    @property
    def targets(self) -> Any: ...

    @property
    def weights(self) -> Any: ...

    @property
    def reset(self) -> Tensor | None: ...

    @property
    def valid(self) -> Tensor | None: ...

    @property
    def constants(self) -> Any: ...

    @property
    def known_length(self) -> int | None: ...

    @property
    def length(self) -> Size: ...

    @property
    def target_length(self) -> Size: ...

    @property
    def rows(self) -> Tensor: ...

    @property
    def resets_inside(self) -> bool: ...

    def cut(
        self: Self,
        start: Size,
        length: Size,
        *,
        new: Size | None = None,
        lead: Size = 0,
        cut_targets: bool = True,
    ) -> Self: ...

    def first_steps(self: Self, length: Size) -> Self: ...

    def new_steps(self, tensor: Tensor | None) -> Tensor | None: ...

    def padded_to(
        self: Self,
        length: Size,
        *,
        new: Size | None = None,
        rows: Size | None = None,
        timed_targets: bool = True,
        at_front: bool = False,
    ) -> Self: ...

    def take_rows(self: Self, start: Size, stop: Size) -> Self: ...

    def without_targets(self: Self) -> Self: ...

    def without_places(self: Self) -> Self: ...

    @property
    def _replace(self) -> Callable[..., Any]: ...
