"""Baselines for texts: their cost under simple rules, without gradients."""

from __future__ import annotations

import math

import numpy as np

from zoo.texts.ngrams import kneser_ney


def uniform(size: int) -> float:
    """Cross-entropy of guessing, `ln size`, in nats per character."""
    return math.log(size)


def unigram(train: np.ndarray, validation: np.ndarray, size: int) -> float:
    """Cross-entropy of a text under the frequencies of its characters (order 1).

        p(b) = (n(b) + 1) / (n + size)

    with counts n over the training part, plus one for each (Laplace).

    Args:
        train: Ids of shape `(n,)` in `[0, size)`.
        validation: Ids of shape `(m,)`, m >= 2. The first is not scored, as no model
            that predicts the next character can predict it.
        size: Number of ids.

    Returns:
        Mean over the m - 1 scored characters, in nats.
    """
    return float(-np.log(_unigram(train, size)[validation[1:]]).mean())


def ngram(train: np.ndarray, validation: np.ndarray, size: int, order: int) -> float:
    """Cross-entropy of a text under counts of its n-grams (`zoo.texts.ngrams`).

    Args:
        train: Ids of shape `(n,)` in `[0, size)`.
        validation: Ids of shape `(m,)`, m >= 2. The first is not scored.
        size: Number of ids.
        order: Length of the longest n-grams.

    Returns:
        Mean over the m - 1 scored ids, in nats.
    """
    return float(-np.log(kneser_ney(train, validation, size, order)[1:]).mean())


def _unigram(train: np.ndarray, size: int) -> np.ndarray:
    counts = np.bincount(train, minlength=size)
    return (counts + 1.0) / (len(train) + size)
