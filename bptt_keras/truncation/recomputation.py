"""Plans of which states of a window are kept and which are recomputed."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from bptt_keras.arguments import whole


class Action(NamedTuple):
    """One row of a recomputation plan, whose fields are carried out in order.

    Fields:
        restore: Slot whose state becomes the current state, or -1.
        begin: Segment that starts from the current state.
        end: Segment up to whose start the current state is then advanced.
        store: Slot in which the current state is then kept, or -1.
        backward: Whether the backward pass then runs through the segment `end`.
    """

    restore: int
    begin: int
    end: int
    store: int
    backward: bool


class Recomputation:
    """Decides which states of a window are kept; base class of all recomputations.

    Attributes:
        stepwise: False: a window runs in segments, not timestep by timestep as a
            `Schedule` may require.
    """

    stepwise = False

    def segment_length(self, window: int) -> int:
        """Timesteps of a segment; the last one may be shorter.

        Args:
            window: Timesteps of the window.
        """
        raise NotImplementedError

    def slots(self, segments: int) -> int:
        """States kept at a time for a window of this many segments."""
        raise NotImplementedError

    def plan(self, segments: int) -> list[Action]:
        """The actions, in order, for a window of this many segments."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Recomputation:
        """The recomputation that `get_config` described."""
        return cls(**config)


class Segments(Recomputation):
    """Keeps the state before each of `count` segments of a window.

    The window is run forward once, keeping one state per segment. Then each segment,
    from the last to the first, is run again, now with a tape, and differentiated.
    Memory holds at most `count` states and the tape of one segment at any time: with
    `count` = sqrt(window) it is of order sqrt(window), at the cost of one more forward
    pass.

    Args:
        count: Number of segments, an integer >= 1, or `"sqrt"`: the square root of
            the window's timesteps, rounded up.

    Raises:
        TypeError: If `count` is not an integer.
        ValueError: If `count` is less than 1 or a string other than `"sqrt"`.

    Example:
        from bptt_keras.truncation import Segments

        assert Segments("sqrt").segment_length(100) == 10
        assert [a.backward for a in Segments(2).plan(2)] == [False, True, True]

    Source: Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory
    cost" (2016).
    """

    count: int | Literal["sqrt"]

    def __init__(self, count: int | Literal["sqrt"] = "sqrt"):
        if isinstance(count, str) and count != "sqrt":
            raise ValueError(
                f"`count` must be 'sqrt' or an integer. Received: count={count!r}."
            )
        if count != "sqrt":
            count = whole("count", count, unit="segments")
        self.count = count

    def segment_length(self, window: int) -> int:
        """Timesteps of a segment; the last one may be shorter."""
        count = math.isqrt(window - 1) + 1 if self.count == "sqrt" else self.count
        return -(-window // min(count, window))

    def slots(self, segments: int) -> int:
        """States kept at a time."""
        return max(segments - 1, 1)

    def plan(self, segments: int) -> list[Action]:
        """The actions, in order, for a window of this many segments."""
        forward = [Action(-1, max(i - 1, 0), i, i, False) for i in range(segments - 1)]
        last = Action(-1, max(segments - 2, 0), segments - 1, -1, True)
        return (
            forward
            + [last]
            + [Action(i, i, i, -1, True) for i in reversed(range(segments - 1))]
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"count": self.count}


class Revolve(Recomputation):
    """Keeps at most `slots` states at a time, with the fewest forward steps.

    The window is cut into segments of `segment` timesteps. For `l` segments and `m`
    slots, including that of the state before the first segment, the number of segments
    that are run forward without a tape is the smallest possible,

        r * l - C(m + r, r - 1),    r the least with C(m + r, m) >= l

    (C: binomial coefficient). Each segment is run once more, with a tape, to be
    differentiated. For l = 1000 and m = 10 the number is 3636.

    Args:
        slots: States kept at a time, an integer >= 1.
        segment: Timesteps of a segment, an integer >= 1. Longer segments run faster and
            need more memory for their tape.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is less than 1.

    Example:
        from bptt_keras.truncation import Revolve

        schedule = Revolve(10)
        assert schedule.forward_steps(1000) == 3636
        assert sum(a.end - a.begin for a in schedule.plan(1000)) == 3636

    Source: Griewank & Walther, "Algorithm 799: revolve" (2000).
    """

    def __init__(self, slots: int, segment: int = 1):
        self.count = whole("slots", slots, unit="slots")
        self.segment = whole("segment", segment)

    def segment_length(self, window: int) -> int:
        """Timesteps of a segment; the last one may be shorter."""
        return min(self.segment, window)

    def slots(self, segments: int) -> int:
        """States kept at a time."""
        return min(self.count, segments)

    def forward_steps(self, segments: int) -> int:
        """Segments that are run forward without a tape, over the whole plan."""
        repeats = _repeats(segments, self.count)
        if repeats == 0:
            return 0
        return repeats * segments - math.comb(self.count + repeats, repeats - 1)

    def plan(self, segments: int) -> list[Action]:
        """The actions, in order, for a window of this many segments."""
        plan = [Action(-1, 0, 0, 0, False)]
        # (first segment, one past the last, free slots, slot of the state before the
        # first)
        tasks = [(0, segments, self.count - 1, 0)]
        while tasks:
            begin, end, free, slot = tasks.pop()
            if end - begin > 1 and free:
                middle = begin + _segments_to_advance(end - begin, free + 1)
                plan.append(Action(slot, begin, middle, slot + 1, False))
                tasks.append((begin, middle, free, slot))
                tasks.append((middle, end, free - 1, slot + 1))
            else:
                plan += [
                    Action(slot, begin, segment, -1, True)
                    for segment in reversed(range(begin, end))
                ]
        return plan

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"slots": self.count, "segment": self.segment}


def _repeats(segments: int, slots: int) -> int:
    """The smallest `r` with C(slots + r, slots) >= segments."""
    repeats = 0
    while math.comb(slots + repeats, slots) < segments:
        repeats += 1
    return repeats


def _segments_to_advance(segments: int, slots: int) -> int:
    """Segments to advance before the next state is kept.

    The segments before and after it can then both be done, each with the slots left to
    it, in the fewest repeats.
    """
    repeats = _repeats(segments, slots)
    second = math.comb(slots - 1 + repeats, repeats)
    first = math.comb(slots + repeats - 2, slots) if repeats >= 2 else 0
    return max(1, first, segments - second)
