"""Spreads sequences over streams of nearly equal length: integers only."""

from __future__ import annotations

import heapq

import numpy as np

# Most exchanges of sequences after the first assignment. A few hundred are enough for
# streams of few sequences; streams of many need none.
_EXCHANGES = 2000


def balanced(steps: np.ndarray, count: int, window: int) -> list[np.ndarray]:
    """Spreads sequences over streams so that the longest stream needs few windows.

    Sequences are assigned from longest to shortest, each to the stream that is
    shortest so far. Then, as long as the longest stream needs more windows than the
    average,

        windows = ceil(max(ceil(sum(steps) / count), max(steps)) / window)

    it gives a sequence to a shorter stream, or exchanges one with it, so that the two
    lengths become as equal as possible.

    Args:
        steps: Timesteps of each sequence, a positive integer array `(n,)`.
        count: Number of streams, at most `n`.
        window: Timesteps in a window.

    Returns:
        A list of `count` integer arrays: the sequences of each stream, in ascending
        order.

    Example:
        import numpy as np
        from bptt_keras.data.balance import balanced

        streams = balanced(np.array([3, 3, 2, 2, 2]), count=2, window=1)
        assert [s.tolist() for s in streams] == [[2, 3, 4], [0, 1]]

    Source: the first assignment is that of Graham, "Bounds on multiprocessing timing
    anomalies" (1969), which shows that the longest stream is at most 4/3 of the
    shortest possible.
    """
    streams = _longest_first(steps, count)
    loads = np.array([steps[stream].sum() for stream in streams])
    goal = max(-(-int(steps.sum()) // count), int(steps.max()))
    goal = -(-goal // window) * window
    for _ in range(_EXCHANGES):
        longest = int(loads.argmax())
        if loads[longest] <= goal or not _relieve(streams, loads, steps, longest):
            break
    return [np.sort(stream) for stream in streams]


def redrawn(
    streams: list[np.ndarray], steps: np.ndarray, generator: np.random.Generator
) -> list[np.ndarray]:
    """Reorders streams at random without changing their lengths.

    Sequences of equal length trade places at random; then the sequences of each stream
    are shuffled, and the streams themselves.

    Args:
        streams: As from `balanced`.
        steps: Timesteps of each sequence, an integer array `(n,)`.
        generator: `numpy.random.Generator`.

    Returns:
        A list of integer arrays like `streams`.
    """
    permutation = generator.permutation(len(steps))
    by_length = np.argsort(steps, kind="stable")
    partner = np.empty(len(steps), np.int64)
    # At each position the two sides have sequences of the same length.
    partner[by_length] = permutation[np.argsort(steps[permutation], kind="stable")]
    return [
        generator.permutation(partner[streams[index]])
        for index in generator.permutation(len(streams))
    ]


def _longest_first(steps: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.argsort(-steps, kind="stable")
    heap = [(0, stream) for stream in range(count)]
    streams: list[list[int]] = [[] for _ in range(count)]
    for index, length in zip(order.tolist(), steps[order].tolist(), strict=True):
        load, stream = heap[0]
        streams[stream].append(index)
        heapq.heapreplace(heap, (load + length, stream))
    return [np.array(stream) for stream in streams]


def _relieve(
    streams: list[np.ndarray], loads: np.ndarray, steps: np.ndarray, longest: int
) -> bool:
    """Shortens the longest stream by one exchange; False if none shortens it."""
    for other in np.argsort(loads, kind="stable"):
        gap = int(loads[longest] - loads[other])
        if gap < 2:
            return False
        found = _exchange(steps[streams[longest]], steps[streams[other]], gap)
        if found is not None:
            give, take, moved = found
            given = streams[longest][give]
            streams[longest] = np.delete(streams[longest], give)
            if take is not None:
                taken = streams[other][take]
                streams[other] = np.delete(streams[other], take)
                streams[longest] = np.append(streams[longest], taken)
            streams[other] = np.append(streams[other], given)
            loads[longest] -= moved
            loads[other] += moved
            return True
    return False


def _exchange(
    ours: np.ndarray, theirs: np.ndarray, gap: int
) -> tuple[int, int | None, int] | None:
    """Finds the sequence to give, the one to take in return, and the difference.

    The sequence to take is `None` if none is taken. The difference is as close to half
    the gap as possible, and strictly between 0 and the gap: otherwise one of the two
    streams would be as long as the longest was.
    """
    order = np.argsort(theirs, kind="stable")
    prices = np.concatenate([[0], theirs[order]])
    wanted = ours - gap / 2
    above = np.searchsorted(prices, wanted).clip(1, len(prices) - 1)
    nearer_below = wanted - prices[above - 1] <= prices[above] - wanted
    chosen = np.where(nearer_below, above - 1, above)
    moved = ours - prices[chosen]
    distance = np.where((moved > 0) & (moved < gap), abs(moved - gap / 2), np.inf)
    give = int(distance.argmin())
    if np.isinf(distance[give]):
        return None
    take = None if chosen[give] == 0 else int(order[chosen[give] - 1])
    return give, take, int(moved[give])
