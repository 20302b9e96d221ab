"""Jackknife values in O(n log n): every statistic with one observation left out.

From sums over all observations the one left out is taken away again. Where that would cancel, because
one observation makes up nearly the whole sum of squares, it is computed afresh.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fastkb.bootstrap.evaluate.statistics import Code, Statistic
from fastkb.linalg.quantiles import interpolate, sorted_with_places

# The fraction of a sum of squares that must remain when an observation's share is subtracted.
_REMAINS = 1e-3

# Values that are looked at together where one must be left out in earnest.
_PART = 2**20


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
        return _sums_without_each(x) / (n - 1)
    if statistic.code == Code.SUM:
        return _sums_without_each(x)
    if statistic.orders:
        return leave_one_rank_out(statistic, *sorted_with_places(x))
    if statistic.code == Code.TRIMMED_MEAN:
        return _trimmed_means(statistic, x)
    squares = _squares_without_each(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / max(n - 1 - statistic.parameter, 0.0)
    return variance if statistic.code == Code.VARIANCE else np.sqrt(variance)


def _squares_without_each(x: np.ndarray) -> np.ndarray:
    """Σ_{k≠i} (x_k - mean of the others)².  # shape: as x"""
    n = x.shape[1]
    deviations = _deviations(x)
    total = (deviations**2).sum(axis=1, keepdims=True)
    left = total - deviations**2 * (n / (n - 1))
    for s, i in _in_parts(left < _REMAINS * total):
        left[s, i] = (_others(deviations, s, i) ** 2).sum(axis=1)
    return left


def _deviations(x: np.ndarray) -> np.ndarray:
    """From the mean; twice, as the first mean is rounded."""
    deviations = x - x.mean(axis=1, keepdims=True)
    return deviations - deviations.mean(axis=1, keepdims=True)


def _sums_without_each(x: np.ndarray) -> np.ndarray:
    """Σ_{k≠i} x_k.  # shape: as x"""
    left = x.sum(axis=1, keepdims=True) - x
    # Where x_i is nearly the whole sum, the others are what comes before it and what comes after.
    afresh = np.abs(left) < _REMAINS * np.abs(x)
    if afresh.any():
        before = np.zeros_like(x)
        before[:, 1:] = np.cumsum(x[:, :-1], axis=1)
        after = np.zeros_like(x)
        after[:, :-1] = np.cumsum(x[:, :0:-1], axis=1)[:, ::-1]
        left = np.where(afresh, before + after, left)
    return left


def _in_parts(wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places (series, observation) where `wanted` is true, so many at a time that memory stays small."""
    places = np.argwhere(wanted)
    step = max(1, _PART // wanted.shape[1])
    for start in range(0, len(places), step):
        s, i = places[start : start + step].T
        yield s, i


def _others(x: np.ndarray, s: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Deviations of the others from their mean; zero in place of i.  # shape: (len(s), n)"""
    rows = x[s]
    one = np.arange(len(s)), i
    rows[one] = 0.0
    rows -= rows.sum(axis=1, keepdims=True) / (x.shape[1] - 1)
    rows[one] = 0.0
    return rows


def _scaled(rows: np.ndarray) -> np.ndarray:
    """Rows by a power of two, which rounds nothing, so that squares neither overflow nor vanish."""
    return np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1])


def leave_one_rank_out(statistic: Statistic, ordered: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Jackknife values of a statistic that only compares, from sorted observations.

    Parameters
    ----------
    statistic : Statistic
    ordered : ndarray
        Each row sorted.  # shape: (series, n)
    places : ndarray of int
        The place of each observation among them.  # shape: (series, n)
    """
    n = ordered.shape[1]

    def kth(k: int) -> np.ndarray:
        """The k-th smallest of the rest: one further on where the one left out stands before it."""
        return np.where(places <= k, ordered[:, k + 1 : k + 2], ordered[:, k : k + 1])

    if statistic.code <= Code.RANGE:
        return combine(statistic, [kth(0), kth(n - 2)], n - 1, 0)
    virtual = virtual_index(statistic, n - 1)
    k = min(int(virtual), n - 2)
    return combine(statistic, [kth(k), kth(min(k + 1, n - 2))], n - 1, virtual)


def _trimmed_means(statistic: Statistic, x: np.ndarray) -> np.ndarray:
    """Of the sorted data x_0 ≤ … ≤ x_{n-1} without x_i, c trimmed at each end of the n - 1.

    What is kept are x_c, …, x_{n-1-c} without x_i, or, if x_i lies outside, without the nearest of them:
    (Σ_{c≤k≤n-1-c} x_k - min(max(x_i, x_c), x_{n-1-c})) / (n - 1 - 2c).
    """
    n = x.shape[1]
    cut = trimmed(statistic, n - 1)
    ordered = np.sort(x, axis=1)
    # Deviations from the middle: a common offset does not cancel.
    centre = ordered[:, n // 2 : n // 2 + 1]
    kept = ordered[:, cut : n - cut] - centre
    nearest = np.clip(x - centre, kept[:, :1], kept[:, -1:])
    return centre + (kept.sum(axis=1, keepdims=True) - nearest) / (n - 1 - 2 * cut)


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
        return combine(statistic, [leave_one_out(mean, x), leave_one_out(mean, y)], 0, 0)
    n = x.shape[1]
    x, y = _scaled(x), _scaled(y)
    a, b = _deviations(x), _deviations(y)
    products = (a * b).sum(axis=1, keepdims=True) - a * b * (n / (n - 1))
    a_squares, b_squares = _squares_without_each(x), _squares_without_each(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = products / np.sqrt(a_squares) / np.sqrt(b_squares)
        # Where a square was computed afresh, so must the product be.
        afresh = a_squares < 2 * _REMAINS * (a**2).sum(axis=1, keepdims=True)
        afresh |= b_squares < 2 * _REMAINS * (b**2).sum(axis=1, keepdims=True)
        for s, i in _in_parts(afresh):
            # From the data: in the deviations a huge observation has rounded away all smaller ones.
            p, q = _scaled(_others(x, s, i)), _scaled(_others(y, s, i))
            r = (p * q).sum(axis=1) / np.sqrt((p**2).sum(axis=1)) / np.sqrt((q**2).sum(axis=1))
            constant = _constant_but(x, s, i) | _constant_but(y, s, i)
            values[s, i] = np.where(constant, np.nan, r)
    return np.clip(values, -1.0, 1.0)


def _constant_but(x: np.ndarray, s: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Whether all observations but one are equal.  # shape: (len(s),)"""
    rows = x[s]
    other = rows[np.arange(len(s)), (i + 1) % x.shape[1]]
    rows[np.arange(len(s)), i] = other
    return (rows == other[:, None]).all(axis=1)


def combine(statistic: Statistic, parts: Sequence[np.ndarray], n: int, place: float) -> np.ndarray:
    """The statistic, from the one or two numbers that it is made of.

    Parameters
    ----------
    statistic : Statistic
    parts : sequence of ndarray
        Two neighbouring order statistics, minimum and maximum, or two means; else the statistic itself.
    n : int
        Observations that they come from.
    place : float
        For a quantile, :func:`virtual_index`.
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
    return interpolate(low, high, place - math.floor(place))


def virtual_index(statistic: Statistic, n: int) -> float:
    """Where among n sorted observations a quantile lies."""
    if statistic.code == Code.MEDIAN:
        return (n - 1) / 2
    return (n - 1) * (statistic.parameter / 100 if statistic.percent else statistic.parameter)


def trimmed(statistic: Statistic, n: int) -> int:
    """How many of n observations a trimmed mean leaves out at each end; not all are left out."""
    return int(statistic.parameter * n)
