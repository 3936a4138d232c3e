"""`Schedule`, the base class of schedules of windows, with its defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

from bptt_keras.truncation.span import Span

T = TypeVar("T")


class default(Generic[T]):
    """A property that a subclass or an instance may replace with a plain attribute."""

    def __init__(self, compute: Callable[[Any], T]):
        self._compute = compute
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, schedule: None, owner: type) -> default[T]: ...

    @overload
    def __get__(self, schedule: object, owner: type) -> T: ...

    def __get__(self, schedule: object | None, owner: type) -> default[T] | T:
        # Without `__set__`, an instance attribute takes precedence.
        return self if schedule is None else self._compute(schedule)


class Schedule:
    """How sequences are cut into windows; the base class of all schedules.

    `TruncatedBPTT` asks its schedule for the windows of each batch, and never tests its
    class. To write a schedule, set `window` and override what differs from consecutive
    windows of that length:

    | override | to |
    |---|---|
    | `begin_epoch` | change `window` from epoch to epoch |
    | `draw` | choose the length of each window; set `uniform = False` |
    | `rate` | scale the learning rate by the length of a window |
    | `last` | choose the window of a loss at the end of a sequence |
    | `observe` | follow the measured decay of gradients; set `observes = True` |
    | `factors` | scale gradients between timesteps; set `stepwise = True` |
    | `get_config` | save a trainer: the arguments of the constructor |

    A schedule whose windows may become longer than the initial `window` gives their
    greatest length in `longest`. With a `stride` below `window`, windows overlap; both
    must then stay constant. To load a trainer that was saved with the schedule,
    register its class with `keras.saving.register_keras_serializable` or name it in
    `custom_objects`.

    Attributes:
        window: Timesteps that gradients currently flow back through, an integer >= 1,
            or `None` (default): all timesteps of a batch.
        stride: New timesteps of a window, an integer from 1 to `window`, or `None`
            (default): `window`.
        random: True (default): windows may differ from batch to batch, so each batch
            asks for its own. False: all windows have `window` timesteps, `stride`
            apart, and never change, like those of `FixedWindow`. They can then be
            compiled as one program, and `spans` is not called.
        uniform: True (default): all windows of a batch are `window` timesteps long,
            except those at its ends. False: lengths differ within a batch.
        observes: True if `observe` may ever be needed. Default: False.
        wants_norms: True if it is needed before the next batch. Default: False.
        stepwise: True if gradients are scaled by `factors` between timesteps, for
            which the model runs timestep by timestep. Default: False.

    Example:
        import keras, bptt_keras as bk

        @keras.saving.register_keras_serializable(package="mine")
        class Growing(bk.truncation.Schedule):
            def __init__(self, first, longest):
                self.first = self.window = first
                self.longest = longest

            def begin_epoch(self, epoch):
                self.window = min(self.first * 2**epoch, self.longest)

            def get_config(self):
                return {"first": self.first, "longest": self.longest}

        schedule = Growing(4, longest=16)
        schedule.begin_epoch(1)
        assert [span.stop for span in schedule.spans(20)] == [8, 16, 20]

        model = keras.Sequential([bk.layers.GRU(8, return_sequences=True)])
        trainer = bk.TruncatedBPTT(model, window=schedule)
    """

    window: int | None = None
    stride: int | None = None
    random: bool = True
    uniform: bool = True
    observes: bool = False
    wants_norms: bool = False
    stepwise: bool = False

    @default
    def longest(self) -> int | None:
        """Timesteps of the longest window; `None`: all timesteps of a batch."""
        return self.window

    @default
    def lead(self) -> int:
        """Timesteps before a batch that its windows may reach back into."""
        if self.window is None or self.stride is None:
            return 0
        return self.window - self.stride

    @default
    def mean_horizon(self) -> float | None:
        """Timesteps that the gradient of a loss reaches back, on average."""
        if self.window is None:
            return None
        return self.window - ((self.stride or self.window) - 1) / 2

    @default
    def evaluation_window(self) -> int | None:
        """Timesteps of a window in evaluation and prediction; `None`: all."""
        return self.longest

    def begin_epoch(self, epoch: int) -> None:
        """Called at the start of each epoch, counted from 0 in each call of `fit`."""

    def observe(self, norms: Sequence[float]) -> None:
        """Called with a measurement of how far gradients reach.

        Args:
            norms: Norms of the gradient of a loss with respect to the state 0, 1, ...
                timesteps earlier, up to `longest`; see `AdaptiveWindow`.
        """

    def factors(self) -> list[float]:
        """Factors by which gradients are multiplied between the timesteps of a window.

        Returns:
            List of `longest` numbers: entry `i` applies at the boundary before timestep
            `i` of a window, and entry 0, where every window starts, is 0.
        """
        return [0.0] + [1.0] * ((self.longest or 1) - 1)

    def reseed(self, seed: int | str) -> None:
        """Continues with the draws of a schedule created with this seed."""

    def draw(self) -> int | None:
        """Draws the new timesteps of the next window; `None`: all that are left."""
        return self.stride or self.window

    def rate(self, steps: int) -> float:
        """Factor of the learning rate after a window of `steps` new timesteps."""
        return 1.0

    def spans(self, length: int, lead: int = 0) -> list[Span]:
        """The windows of a sequence, in order.

        Args:
            length: Timesteps of the sequence, or of a batch that continues it.
            lead: Timesteps before it that windows may still reach.

        Returns:
            List of `Span`. Together their new timesteps are those of the sequence, and
            each span starts `self.lead` timesteps before its first new one, or as many
            as there are.
        """
        spans, first_new = [], 0
        while first_new < length:
            stop = min(first_new + (self.draw() or length), length)
            spans.append(
                Span(
                    start=max(-lead, first_new - self.lead),
                    first_new=first_new,
                    stop=stop,
                    resume=max(-lead, stop - self.lead),
                    rate=self.rate(stop - first_new),
                )
            )
            first_new = stop
        return spans

    def last(self, length: int) -> Span:
        """The window of a loss at the end of a sequence only."""
        start = 0 if self.window is None else max(0, length - self.window)
        return Span(start, start, length, length)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """The schedule that `get_config` described."""
        return cls(**config)


def checked_spans(schedule: Schedule, length: int, lead: int = 0) -> list[Span]:
    """The windows of a sequence, checked; see `Schedule.spans`.

    Raises:
        ValueError: If windows leave out timesteps, repeat some, do not start where the
            previous one resumes, or are longer than the schedule's `longest`.
    """
    spans, longest, done = schedule.spans(length, lead), schedule.longest, 0
    for span in spans:
        stop = span.stop
        places = (max(-lead, done - schedule.lead), done, stop)
        resume = max(-lead, stop - schedule.lead)
        if not done < stop <= length or tuple(span[:4]) != (*places, resume):
            raise ValueError(
                f"The `spans` of a schedule must go on from one another: each starts "
                f"`lead` timesteps before its first new one. Received: {span} from "
                f"{type(schedule).__name__} after {done} of {length} timesteps, with "
                f"lead={schedule.lead}."
            )
        if longest is not None and stop - span.start > longest:
            raise ValueError(
                f"The `spans` of a schedule must not exceed its `longest`. Received: "
                f"{span} from {type(schedule).__name__}, with longest={longest}."
            )
        done = stop
    if done != length:
        raise ValueError(
            f"The `spans` of a schedule must reach the end of a sequence. Received: "
            f"{done} of {length} timesteps from {type(schedule).__name__}."
        )
    return spans
