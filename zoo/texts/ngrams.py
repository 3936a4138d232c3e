"""N-gram probabilities of a text, in memory proportional to its length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def kneser_ney(
    train: np.ndarray, held_out: np.ndarray, size: int, order: int
) -> np.ndarray:
    """Probabilities of a text's ids with interpolated modified Kneser-Ney smoothing.

        p_k(w | h) = (max(c_k(h w) - D(c_k(h w)), 0) + g(h) p_{k-1}(w | h')) / c_k(h)
        g(h) = sum_w D(c_k(h w)),  c_k(h) = sum_w c_k(h w),  p_0(w) = 1 / size

    where h are the k - 1 ids before w, h' is h without its first id, and p_k(w | h) is
    p_{k-1}(w | h') if h never occurs. For the highest order, c_k counts occurrences in
    the training part; for the others, the number of different ids before h w, where the
    beginning of the text counts as one. With n_i the number of k-grams whose c_k is i,

        D(0) = 0,  Y = n_1 / (n_1 + 2 n_2),
        D(i) = i - (i + 1) Y n_{i+1} / n_i for i = 1, 2, and D(3) for 3 and above,

    clipped to [i / 20, i], and i / 2 if n_i is 0. The first ids of the held-out part
    have shorter contexts.

    Args:
        train: Ids of shape `(n,)` in `[0, size)`, n >= 1.
        held_out: Ids of shape `(m,)` in `[0, size)`.
        size: Number of ids.
        order: Length of the longest n-grams, at least 1.

    Returns:
        Array `(m,)`: the probability of each id given those before it. It takes time
        n log n for each order, and at most 120 bytes per id of the training part.

    Source: Chen and Goodman, "An empirical study of smoothing techniques for language
    modeling" (1999), section 3; there the discounts are not clipped.
    """
    train, held_out = train.astype(np.int64), held_out.astype(np.int64)
    order = min(order, len(train))
    probability = np.full(len(held_out), 1 / size)
    # Index of the context before each id, among those of an order; -1: never seen.
    context: np.ndarray = np.zeros(len(held_out), np.int64)
    contexts = 1
    grams = _sorted(train)
    for length in range(1, order + 1):
        longer = None
        if length < order:
            # The n-gram that begins at each position, and the id that follows it.
            longer = _sorted(grams.at[:-1].astype(np.int64) * size + train[length:])
        counts = grams.counts if longer is None else _continuations(grams, longer)
        found = _places(
            grams.keys, np.where(context < 0, -1, context * size + held_out)
        )
        probability = _mixed(
            probability, counts, grams.keys // size, contexts, context, found
        )
        context, contexts = np.append(-1, found[:-1]), len(grams.keys)
        grams = grams if longer is None else longer
    return probability


class _Grams(NamedTuple):
    """The different n-grams of one length.

    Fields:
        keys: Index of the context times `size` plus the last id, in ascending order;
            this is the order of all other fields.
        counts: Number of occurrences of each.
        somewhere: A position at which each begins.
        at: Index of the n-gram that begins at each position of the text.
    """

    keys: np.ndarray
    counts: np.ndarray
    somewhere: np.ndarray
    at: np.ndarray


def _sorted(keys: np.ndarray) -> _Grams:
    places = np.argsort(keys)
    ordered = keys[places]
    begins = np.append(True, ordered[1:] != ordered[:-1])
    first = np.flatnonzero(begins)
    at = np.empty(len(keys), np.int32)
    at[places] = np.cumsum(begins, dtype=np.int32) - 1
    counts = np.diff(np.append(first, len(keys))).astype(np.int32)
    return _Grams(ordered[first], counts, places[first].astype(np.int32), at)


def _continuations(grams: _Grams, longer: _Grams) -> np.ndarray:
    """The number of different ids before each n-gram."""
    ends = grams.at[longer.somewhere + 1]
    counts = np.bincount(ends, minlength=len(grams.keys))
    counts[grams.at[0]] += 1
    return counts


def _places(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The index of each of `wanted` in `keys`; -1 if missing."""
    places = np.searchsorted(keys, wanted)
    found = np.take(keys, places, mode="clip") == wanted
    return np.where(found, places, -1)


def _mixed(
    below: np.ndarray,
    counts: np.ndarray,
    context_of: np.ndarray,
    contexts: int,
    context: np.ndarray,
    found: np.ndarray,
) -> np.ndarray:
    """Probabilities of one order, from those of the order below."""
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(context_of, counts, minlength=contexts)
    freed = np.bincount(context_of, discounts, minlength=contexts)
    own = np.where(found < 0, 0, (counts - discounts)[found])
    # A context that occurs only at the end of the text has no successor.
    known = (context >= 0) & (total[context] > 0)
    mixed = own + freed[context] * below
    return np.where(known, mixed / np.where(known, total[context], 1), below)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D of 0, 1, 2 and 3."""
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
    discounts = [0.0]
    for i in (1, 2, 3):
        discount = i - (i + 1) * y * n[i + 1] / n[i] if n[i] else i / 2
        # Without a discount, an id that never occurs would have an infinite cost.
        discounts.append(min(max(discount, i / 20), i))
    return np.array(discounts)
