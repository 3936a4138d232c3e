"""Prediction intervals from the errors of the validation part."""

from __future__ import annotations

import numpy as np

LEVEL = 0.9


def half_widths(errors: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """How far from a forecast the values lie in so many of all cases (split conformal).

        q_kj = the ceil((n + 1) level)-th smallest of |e_1kj|, ..., |e_nkj|

    the largest if n is smaller than that. If the errors to come are exchangeable with
    these, a value lies within `forecast +- q` at least with the probability `level`;
    errors of neighbouring timesteps are alike, and times change, so that measured
    coverage differs.

    Args:
        errors: `(n, horizon, targets)`.
        level: In (0, 1).

    Returns:
        `(horizon, targets)`.

    Source: Vovk, Gammerman & Shafer (2005); Lei et al. (2018), algorithm 2.
    """
    n = len(errors)
    rank = min(n, int(np.ceil((n + 1) * level)))
    return np.sort(np.abs(errors), axis=0)[rank - 1]


def coverage(errors: np.ndarray, widths: np.ndarray) -> float:
    """The fraction of errors that lie within.

    Args:
        errors: `(n, horizon, targets)`.
        widths: `(horizon, targets)`.
    """
    return float((np.abs(errors) <= widths).mean())
