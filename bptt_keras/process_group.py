"""The processes that train together, and what they compute together."""

from __future__ import annotations

import contextlib
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.tensorflow_internals import abort_collectives
from bptt_keras.types import Tensor

# Distinguishes these collectives from those of TensorFlow's own strategies.
_GROUP_KEY = 7_340_033
_FAILURES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
_TASK = re.compile(r"/task:(\d+)")
_COLLECTIVE = re.compile(r"collective|task|heartbeat|coordinat", re.IGNORECASE)
_SILENT = re.compile("heartbeat|unhealthy")
_COLLECTIVE_DIFFERS = re.compile("Shape mismatch|data type mismatch|inconsistent")


WISHES = ("end", "save")
DIGITS = 8


class DistributeError(RuntimeError):
    """Processes cannot train together, or no longer.

    Example:
        import bptt_keras as bk

        def joined(addresses, index):
            try:
                bk.distribute.initialize(addresses, index, timeout=10)
            except bk.distribute.DistributeError as error:
                raise SystemExit(f"Start all {len(addresses)} processes. {error}")
    """


class Share(NamedTuple):
    """What a process knows of the whole batch.

    Fields:
        rows: Number of rows of all processes, a scalar integer.
        counts: Scalar boolean: whether the rows of this process count. If there are
            fewer rows than processes, some have a row that stands for none.
        digits: `(DIGITS,)` small whole numbers, a digest of the batch.
    """

    rows: Tensor
    counts: Tensor
    digits: Tensor


class ProcessGroup:
    """Processes that train one model together, each with some rows of every batch.

    All of them run the same program. What one of them asks of the others, all ask at
    the same place of the program.

    Args:
        addresses: `host:port` of each process.
        index: The place of this process among them.
        timeout: Seconds after which a process that does not answer counts as lost.
        gradient_dtype: `"float32"` or `"bfloat16"`: how gradients travel.
        begin_fit: Function `(group, fit)`, called when a `fit` begins: arguments in
            place of those of the call.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        index: int,
        *,
        timeout: float,
        gradient_dtype: str = "float32",
        begin_fit: Callable[[ProcessGroup, Any], dict[str, Any]] = lambda *_: {},
    ):
        self.addresses = tuple(addresses)
        self.index = index
        self.timeout = timeout
        self.gradient_dtype = tf.as_dtype(gradient_dtype)
        self._begin_fit = begin_fit
        self._lost: int | None = None
        self._waits = 0
        with tf.init_scope():
            # Wishes of this process, and those of any that all know of.
            self.wishes = tf.Variable(tf.zeros(len(WISHES)), trainable=False)
            self.agreed = tf.Variable(tf.zeros(len(WISHES)), trainable=False)
            # Rows of the last batch of training, of all processes.
            self.rows = tf.Variable(0, trainable=False)

    @property
    def count(self) -> int:
        """Number of processes."""
        return len(self.addresses)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.index == 0

    def begin_fit(self, fit: Any) -> dict[str, Any]:
        """Called when a `fit` begins, with the call; arguments in place of its own."""
        return self._begin_fit(self, fit)

    def total(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes.

        Args:
            value: Tensor of numbers, of the same known shape and dtype everywhere.
        """
        return self._reduced(value, "Add")

    def totals(self, values: Sequence[Tensor]) -> list[Tensor]:
        """The sums of several tensors, which travel together.

        Args:
            values: Tensors of known shapes.
        """
        found: dict[int, Tensor] = {}
        for kind, exact in ((True, tf.float64), (False, tf.int64)):
            places = [i for i, v in enumerate(values) if v.dtype.is_floating == kind]
            if not places:
                continue
            flat = [tf.reshape(tf.cast(values[i], exact), [-1]) for i in places]
            sizes = [part.shape[0] for part in flat]
            parts = tf.split(self.total(tf.concat(flat, 0)), sizes)
            for place, part in zip(places, parts, strict=True):
                like = values[place]
                found[place] = tf.cast(tf.reshape(part, like.shape), like.dtype)
        return [found[place] for place in range(len(values))]

    def share_first(self, variables: Sequence[tf.Variable]) -> None:
        """Gives variables the values that they have in the first process.

        Args:
            variables: The same ones in every process.
        """
        known = [v for v in variables if v.dtype != tf.string]
        own = [tf.convert_to_tensor(v) for v in known]
        if not self.is_first:
            own = [tf.zeros_like(value) for value in own]
        # A sum of booleans is none.
        as_numbers = [tf.cast(v, tf.int32) if v.dtype == tf.bool else v for v in own]
        for variable, value in zip(known, self.totals(as_numbers), strict=True):
            variable.assign(tf.cast(value, variable.dtype))

    def wish(self, name: str, value: bool = True) -> None:
        """Says at the next window what this process would like all to do together.

        Args:
            name: One of `WISHES`.
            value: False: no longer.
        """
        place = WISHES.index(name)
        self.wishes.scatter_update(tf.IndexedSlices([float(value)], [place]))

    def has_agreed(self, name: str) -> bool:
        """Whether some process has wished that; all know of it at the same batch."""
        return bool(self.agreed.numpy()[WISHES.index(name)])

    def part_of(self, rows: Any) -> tuple[Any, Any]:
        """The rows of a batch that belong to this process; there may be none.

        Args:
            rows: Number of rows of the batch.
        """
        first, last = (rows * i // self.count for i in (self.index, self.index + 1))
        return first, last

    def held_part_of(self, rows: int) -> tuple[int, int]:
        """Like `part_of`, but one row at least, which stands for none, if there is any.

        Args:
            rows: Number of rows of the batch.
        """
        first, last = self.part_of(rows)
        first = max(min(first, rows - 1), 0)
        return first, max(last, min(first + 1, rows))

    def rows_of_all(self, value: Tensor) -> Tensor:
        """The rows of all processes, in the order of the last batch of training.

        Args:
            value: `(rows, ...)`, those of this process.
        """
        whole = int(self.rows) if int(self.total(tf.shape(value)[0])) else 0
        first, last = self.part_of(whole)
        own = tf.cast(value, tf.int32) if value.dtype == tf.bool else value
        around = [[first, whole - last], *([0, 0] for _ in value.shape[1:])]
        (found,) = self.totals([tf.pad(own[: last - first], around)])
        return tf.cast(found, value.dtype)

    def own_rows(self, value: Any) -> Any:
        """The rows of this process, one at least, of those of a whole batch.

        Args:
            value: `(rows, ...)`.
        """
        first, last = self.held_part_of(len(value))
        return value[first:last]

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        return bool(self.total(tf.constant(int(flag), tf.int64)) > 0)

    def require_same(self, facts: Mapping[str, str]) -> None:
        """Raises in every process unless facts are the same in all.

        Args:
            facts: Text by name, with the same names everywhere.

        Raises:
            DistributeError: Names what differs.
        """
        digests = [
            int(hashlib.blake2b(text.encode(), digest_size=7).hexdigest(), 16)
            for text in facts.values()
        ]
        # The lowest and the highest: one of them is another one's, if they differ.
        own = tf.constant([*digests, *(-digest for digest in digests)], tf.int64)
        highest = self._reduced(own, "Max").numpy()
        differ = [
            name
            for place, name in enumerate(facts)
            if highest[place] != -highest[place + len(facts)]
        ]
        if differ:
            here = "; ".join(f"{name}: {facts[name]:.300}" for name in differ)
            raise DistributeError(
                f"The {self.count} processes do not train the same: their "
                f"{' and '.join(differ)} differ. In process {self.index}: {here}. "
                f"Run the same program on the same data everywhere."
            )

    @contextlib.contextmanager
    def told_of_loss(self) -> Iterator[None]:
        """Within: that another process is lost is told in one sentence.

        Raises:
            DistributeError: In place of TensorFlow's errors.
        """
        if self._lost is not None:
            raise DistributeError(self._ended(self._named(self._lost)))
        self._waits += 1
        try:
            yield
        except _FAILURES as error:
            if self._lost is not None:
                lost = self._named(self._lost)
                raise DistributeError(self._ended(lost)) from None
            if not _COLLECTIVE.search(str(error)):
                raise
            raise DistributeError(self._words(error)) from None
        finally:
            self._waits -= 1

    def lose(self, index: int) -> None:
        """Notes that a process has ended; what waits for it fails at once.

        Args:
            index: Its place; called in another thread.
        """
        if self._lost is None:
            self._lost = index
            if self._waits:
                abort_collectives(self._ended(self._named(index)))

    def _named(self, index: int) -> str:
        return f"Process {index} ({self.addresses[index]})"

    def _ended(self, who: str) -> str:
        return (
            f"{who} has ended; process {self.index} cannot train without it. What it "
            f"printed last says why."
        )

    def _words(self, error: Exception) -> str:
        found = {int(task) for task in _TASK.findall(str(error))} - {self.index}
        known = sorted(task for task in found if task < self.count)
        one = known if len(known) == 1 and self.count > 2 else []
        if self.count == 2:
            one = [1 - self.index]
        who = self._named(one[0]) if one else "A process"
        if isinstance(error, tf.errors.DeadlineExceededError):
            return (
                f"{who} has not answered process {self.index} for {self.timeout:g} s. "
                f"If a step or a callback may take longer, give "
                f"`bptt_keras.distribute.initialize` a longer `timeout`."
            )
        if _SILENT.search(str(error)):
            return (
                f"{who} does not answer process {self.index} any more: it has been "
                f"stopped, or its host or the network has failed."
            )
        if _COLLECTIVE_DIFFERS.search(str(error)):
            return (
                f"{who} trains something else than process {self.index}. Run the same "
                f"program on the same data everywhere."
            )
        return self._ended(who)

    def _reduced(self, value: Tensor, by: str) -> Tensor:
        shape = value.shape.as_list()
        text = f"{by} {value.dtype.name} {shape}"
        # Gradients on an accelerator pass through the memory of their host.
        with tf.device("/device:CPU:0"):
            return tf.raw_ops.CollectiveReduceV2(
                input=value,
                group_size=self.count,
                group_key=_GROUP_KEY,
                instance_key=zlib.crc32(text.encode()) & 0x7FFFFFFF,
                ordering_token=[],
                merge_op=by,
                final_op="Id",
                communication_hint="RING",
                timeout_seconds=self.timeout,
            )


_joined: list[ProcessGroup] = []


# Whether what is made now is for this process alone, innermost last.
_alone: list[bool] = []


def current() -> ProcessGroup | None:
    """The group that this process has joined, or `None`: it trains alone."""
    return _joined[0] if _joined and not _alone else None


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Within: trainers that are made train and evaluate in this process alone.

    Example:
        import bptt_keras as bk

        with bk.distribute.alone():
            assert bk.distribute.process_count() == 1
    """
    _alone.append(True)
    try:
        yield
    finally:
        _alone.pop()


def join(group: ProcessGroup) -> None:
    """Makes every `fit` from now on one of a group."""
    _joined[:] = [group]


@contextlib.contextmanager
def together(group: ProcessGroup | None) -> Iterator[None]:
    """Within: errors of the group, if there is one, are plain."""
    if group is None:
        yield
    else:
        with group.told_of_loss():
            yield
