"""Where the data are: points that have a row about as near as rows have each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from fastkb.bands.coverage.levels import few_levels

# Rows that tell where the data are, at most, and points that are compared with them at a time.
_ROWS = 2000
# So many rows in ten have a neighbour within what counts as near.
_NEAR_QUANTILE = 0.9
# Half of a gap that is told, in such distances and in parts of the range.
_GAP_TIMES, _GAP_PART = 3.0, 0.05


def among_data(X: Any, points: Any) -> np.ndarray:
    """Which points have a row as near as most rows have one; all of them if none has.

    Of inputs of a few levels there is nothing between them: there it is the point that is nearest to each
    level.

    Parameters
    ----------
    X : ndarray or sparse matrix
        # shape: (n, d)
    points : ndarray or sparse matrix
        # shape: (m, d)

    Returns
    -------
    ndarray of bool
        # shape: (m,)
    """
    levels = few_levels(X)
    if levels is not None and isinstance(points, np.ndarray):
        among = np.zeros(len(points), bool)
        among[cdist(levels[0], points).argmin(axis=1)] = True
        return among
    among = near_rows(X, points)
    return among if among.any() else np.ones(len(among), bool)


def observed_nearby(X: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which points of a picture have an observation nearby, and which are extrapolated to.

    A gap of less than a tenth of the range is hardly seen.

    Parameters
    ----------
    X : ndarray
        Standardised.  # shape: (n, d)
    points : ndarray
        # shape: (m, d)

    Returns
    -------
    ndarray of bool
        # shape: (m,)
    """
    return near_rows(X, points, _GAP_TIMES, _GAP_PART * float(np.ptp(X, axis=0).max()))


def near_rows(X: Any, points: Any, times: float = 1.0, least: float = 0.0) -> np.ndarray:
    """Which points have a row within `times` the distance within which nine rows in ten have another.

    Parameters
    ----------
    X : ndarray or sparse matrix
        # shape: (n, d)
    points : ndarray or sparse matrix
        # shape: (m, d)
    times : float, default 1.0
    least : float, default 0.0
        What is within this distance is near, too.

    Returns
    -------
    ndarray of bool
        # shape: (m,)
    """
    if X.shape[0] > _ROWS:
        some = np.random.default_rng(1).choice(X.shape[0], _ROWS, replace=False)
        X = X[np.sort(some)]
    rows = np.unique(_dense(X), axis=0)
    between = cdist(rows, rows)
    np.fill_diagonal(between, np.inf)
    # A single row has no neighbour.
    nearest = between.min(axis=1) if len(rows) > 1 else np.zeros(1)
    near = max(least, times * np.quantile(nearest, _NEAR_QUANTILE, method="higher"))
    parts = [
        cdist(_dense(points[start : start + _ROWS]), rows).min(axis=1) <= near
        for start in range(0, points.shape[0], _ROWS)
    ]
    return np.concatenate(parts)


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if hasattr(X, "toarray") else np.asarray(X)
