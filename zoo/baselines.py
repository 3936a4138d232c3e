"""What a text costs without any learning by gradient: the lines to be below."""

from __future__ import annotations

import math

import numpy as np


def uniform(size: int) -> float:
    """Cross-entropy of guessing, `ln size`, in nats per character."""
    return math.log(size)


def unigram(train: np.ndarray, validation: np.ndarray, size: int) -> float:
    """Cross-entropy of a text under the frequencies of its characters (order 1).

        p(b) = (n(b) + 1) / (n + size)

    with counts n of the training part: one is added to each (Laplace).

    Args:
        train: Ids of shape `(n,)` in `[0, size)`.
        validation: Ids of shape `(m,)`, m >= 2. The first is not scored, as no model
            of the next character can.
        size: Number of ids.

    Returns:
        Mean over the m - 1 scored characters, in nats.
    """
    return float(-np.log(_unigram(train, size)[validation[1:]]).mean())


def bigram(train: np.ndarray, validation: np.ndarray, size: int) -> float:
    """Cross-entropy of a text under counts of pairs of characters (order 2).

        p(b | a) = (n(a, b) + d(a) p(b)) / (n(a) + d(a))

    where n(a, b) counts a followed by b in the training part, n(a) = sum_b n(a, b),
    d(a) is the number of distinct characters seen after a, and p(b) is that of
    `unigram`, which alone answers where a was never followed by anything. This
    smoothing needs no tuning and is stronger than adding one to each count, so the
    bar is higher.

    Args:
        train: Ids of shape `(n,)` in `[0, size)`.
        validation: Ids of shape `(m,)`, m >= 2.
        size: Number of ids.

    Returns:
        Mean over the m - 1 scored characters, in nats.

    Source: Witten and Bell 1991, method C, as interpolation.
    """
    pairs = np.zeros((size, size))
    np.add.at(pairs, (train[:-1], train[1:]), 1.0)
    distinct = (pairs > 0).sum(axis=1, keepdims=True)
    prior = np.broadcast_to(_unigram(train, size), (size, size))
    mixed = pairs + distinct * prior
    total = pairs.sum(axis=1, keepdims=True) + distinct
    seen = distinct > 0
    probability = np.where(seen, mixed / np.where(seen, total, 1.0), prior)
    return float(-np.log(probability[validation[:-1], validation[1:]]).mean())


def _unigram(train: np.ndarray, size: int) -> np.ndarray:
    counts = np.bincount(train, minlength=size)
    return (counts + 1.0) / (len(train) + size)
