"""Baselines for music: its cost under simple rules, without gradients."""

from __future__ import annotations

import numpy as np


def key_rates(train: list[np.ndarray], pieces: list[np.ndarray]) -> float:
    """Negative log likelihood of a frame under the frequency of each key.

        P(key k sounds) = (n(k) + 1) / (n + 2)

    with counts over the n frames of the training part.

    Args:
        train: Pieces `(frames, keys)` of 0 and 1.
        pieces: The pieces to score, each from its second frame.

    Returns:
        Mean over the frames of the sum over the keys, in nats.
    """
    sounds = sum(piece.sum(axis=0, dtype=float) for piece in train)
    frames = sum(map(len, train))
    rate = (sounds + 1) / (frames + 2)
    scored = [np.broadcast_to(rate, piece[1:].shape) for piece in pieces]
    return _cost_of_frames(scored, pieces)


def key_chains(train: list[np.ndarray], pieces: list[np.ndarray]) -> float:
    """Negative log likelihood of a frame under a Markov chain of each key.

        P(key k sounds | it sounded before: s) = (n(k, s, 1) + 1) / (n(k, s) + 2)

    where n(k, s) counts the frames of the training part before which key k sounded
    (s = 1) or not (s = 0), and n(k, s, 1) those of them in which it sounds.

    Args:
        train: Pieces `(frames, keys)` of 0 and 1.
        pieces: The pieces to score, each from its second frame.

    Returns:
        Mean over the frames of the sum over the keys, in nats.
    """
    before = np.concatenate([piece[:-1] for piece in train]) > 0
    after = np.concatenate([piece[1:] for piece in train]) > 0
    rates = []
    for state in (~before, before):
        times, sounds = state.sum(axis=0), (state & after).sum(axis=0)
        rates.append((sounds + 1) / (times + 2))
    scored = [np.where(piece[:-1] > 0, rates[1], rates[0]) for piece in pieces]
    return _cost_of_frames(scored, pieces)


def _cost_of_frames(rates: list[np.ndarray], pieces: list[np.ndarray]) -> float:
    total, frames = 0.0, 0
    for rate, piece in zip(rates, pieces, strict=True):
        sounds = piece[1:] > 0
        total -= np.where(sounds, np.log(rate), np.log1p(-rate)).sum()
        frames += len(sounds)
    return float(total / frames)
