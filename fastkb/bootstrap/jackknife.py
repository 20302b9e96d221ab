"""Jackknife values in O(n log n): every statistic with one observation left out.

From sums over all observations the one left out is taken away again. Where that would cancel, because
one observation makes up nearly the whole sum of squares, it is computed afresh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastkb.bootstrap.statistics import Code, Statistic

# Of a sum of squares, the fraction that must remain when an observation's share is subtracted.
_REMAINS = 1e-3


def leave_one_out(statistic: Statistic, x: np.ndarray) -> np.ndarray:
    """The statistic of one sample without each of its observations in turn.

    Parameters
    ----------
    statistic : Statistic
        Of one sample.
    x : ndarray
        # shape: (series, n)

    Returns
    -------
    ndarray of float64
        # shape: (series, n)
    """
    x = np.asarray(x, np.float64)
    n = x.shape[1]
    if statistic.code == Code.MEAN:
        return (x.sum(axis=1, keepdims=True) - x) / (n - 1)
    if statistic.code == Code.SUM:
        return x.sum(axis=1, keepdims=True) - x
    if statistic.orders:
        return _order_statistics(statistic, x)
    squares = _squares_without_each(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / max(n - 1 - statistic.parameter, 0.0)
    return variance if statistic.code == Code.VARIANCE else np.sqrt(variance)


def _squares_without_each(x: np.ndarray) -> np.ndarray:
    """Σ_{k≠i} (x_k - mean of the others)².  # shape: as x"""
    n = x.shape[1]
    deviations = x - x.mean(axis=1, keepdims=True)
    total = (deviations**2).sum(axis=1, keepdims=True)
    left = total - deviations**2 * (n / (n - 1))
    for s, i in np.argwhere(left < _REMAINS * total):
        others = np.delete(x[s], i)
        left[s, i] = ((others - others.mean()) ** 2).sum()
    return left


def _order_statistics(statistic: Statistic, x: np.ndarray) -> np.ndarray:
    n = x.shape[1]
    order = np.argsort(x, axis=1, kind="stable")
    ordered = np.take_along_axis(x, order, axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(n)[None, :], axis=1)

    def kth(k: int) -> np.ndarray:
        """The k-th smallest of the others: one further on where the one left out stands before it."""
        return np.where(place <= k, ordered[:, k + 1 : k + 2], ordered[:, k : k + 1])

    if statistic.code <= Code.RANGE:
        return combine(statistic, [kth(0), kth(n - 2)], n - 1)
    k = min(int(statistic.probability * (n - 2)), n - 2)
    return combine(statistic, [kth(k), kth(min(k + 1, n - 2))], n - 1)


def leave_one_pair_out(statistic: Statistic, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A statistic of two samples without each pair of observations in turn.

    Parameters
    ----------
    statistic : Statistic
        Pearson's correlation, a difference or a ratio of means.
    x, y : ndarray
        # shape: (series, n)
    """
    if statistic.code in (Code.DIFFERENCE, Code.RATIO):
        mean = Statistic("mean", Code.MEAN)
        return combine(statistic, [leave_one_out(mean, x), leave_one_out(mean, y)], 0)
    n = x.shape[1]
    a = x - x.mean(axis=1, keepdims=True)
    b = y - y.mean(axis=1, keepdims=True)
    products = (a * b).sum(axis=1, keepdims=True) - a * b * (n / (n - 1))
    a_squares, b_squares = _squares_without_each(x), _squares_without_each(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = products / np.sqrt(a_squares) / np.sqrt(b_squares)
    # Where a square was computed afresh, so must the product be.
    for part, whole in ((a_squares, (a**2).sum(axis=1)), (b_squares, (b**2).sum(axis=1))):
        for s, i in np.argwhere(part < 2 * _REMAINS * whole[:, None]):
            values[s, i] = _pearson(np.delete(x[s], i), np.delete(y[s], i))
    return np.clip(values, -1.0, 1.0)


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    a, b = x - x.mean(), y - y.mean()
    norms = np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())
    constant = (x == x[0]).all() or (y == y[0]).all()
    return float("nan") if constant else float((a * b).sum() / norms)


def combine(statistic: Statistic, parts: Sequence[np.ndarray], n: int) -> np.ndarray:
    """The statistic, from the one or two numbers that it is made of.

    Parameters
    ----------
    statistic : Statistic
    parts : sequence of ndarray
        Two neighbouring order statistics, minimum and maximum, or two means; else the statistic itself.
    n : int
        Observations that they come from.
    """
    if statistic.alone:
        return parts[0]
    low, high = parts
    if statistic.code in (Code.DIFFERENCE, Code.RATIO):
        with np.errstate(divide="ignore", invalid="ignore"):
            return low - high if statistic.code == Code.DIFFERENCE else low / high
    if statistic.code in (Code.MINIMUM, Code.MAXIMUM):
        return low if statistic.code == Code.MINIMUM else high
    if statistic.code == Code.RANGE:
        return high - low
    if statistic.code == Code.MEDIAN:
        return low if n % 2 else (low + high) / 2
    # NumPy's interpolation, from the nearer end.
    virtual = statistic.probability * (n - 1)
    t = np.asarray(virtual - math.floor(virtual), low.dtype)[()]
    step = high - low
    return high - step * (1 - t) if t >= 0.5 else low + step * t
