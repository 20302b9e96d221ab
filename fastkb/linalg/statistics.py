"""Sorting, quantiles and trimmed means for functions that users compile with Numba.

Numba sorts by comparisons whose branches a processor guesses wrongly: 55 ns an element for 10,000, where
NumPy's vector instructions take 3. A jitted statistic that calls these instead keeps its speed::

    @numba.njit
    def spread(x):
        return fastkb.statistics.quantile(x, 0.9) - fastkb.statistics.quantile(x, 0.1)

They take one-dimensional arrays of any real type, leave them as they are, and work in float64. Called
from Python they give the same numbers.

References
----------
Floyd, Rivest (1975), Expected time bounds for selection, CACM 18(3).
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.linalg.quantiles import select, select_two
from fastkb.linalg.sorting import copied, insert, sort
from fastkb.runtime import inline, jit
from fastkb.scalar.sums import quick_sum

__all__ = ["median", "quantile", "sort", "trimmed_mean"]

# Elements at even distances that tell where an order statistic lies, and how far, in their places, it may
# be from there: two standard deviations or so. What lies so near is an eighth of all elements, and
# memory for a quarter is taken. (Memory for all would come from the system, and go back, each time.)
_TOLD = 64
_OFF = 4
_NEAR = 4
_TOLD_FROM = 8 * _TOLD
# They are counted in so many intervals of equal width, and the order statistic looked for in its own. A
# selection among all of them would take a wrong guess of the processor for every third comparison.
_INTERVALS = 64
_NARROWED_FROM = 4 * _INTERVALS


@inline
def _has_nan(x):
    found = 0
    for k in range(len(x)):
        found += x[k] != x[k]
    return found > 0


@inline
def _told(x):
    """Elements at even distances, sorted."""
    told, step = np.empty(_TOLD, np.float64), len(x) // _TOLD
    for k in range(_TOLD):
        told[k] = x[k * step]
    insert(told)
    return told


@inline
def _bounds(told, rank, n):
    """What an order statistic lies between, if the told elements do not mislead."""
    place = rank * _TOLD // n
    first = told[place - _OFF] if place >= _OFF else -math.inf
    second = told[place + _OFF] if place + _OFF < _TOLD else math.inf
    return first, second


@inline
def _below(x, bound):
    count = 0
    for k in range(len(x)):
        count += x[k] < bound
    return count


@inline
def _gather(x, bounds, some):
    """Copy what lies between the bounds, or on them, without a branch; how many there are.

    No more than all but one of `some` are copied.
    """
    first, second = bounds
    count, last = 0, len(some) - 1
    for k in range(len(x)):
        value = x[k]
        some[min(count, last)] = value
        count += (first <= value) & (value <= second)
    return count


@inline
def _narrowed(some, bounds, at, others):
    """Copy those of `some` into `others` that share an interval with the order statistic `at`.

    How many there are, and the place of the order statistic among them; all, if nothing is gained.
    """
    first, second = bounds
    scale = _INTERVALS / (second - first)
    if len(some) >= _NARROWED_FROM and 0.0 < scale < math.inf:
        counts = np.zeros(_INTERVALS, np.int64)
        for k in range(len(some)):
            counts[min(int((some[k] - first) * scale), _INTERVALS - 1)] += 1
        mine, before = 0, 0
        while before + counts[mine] <= at:
            before += counts[mine]
            mine += 1
        count = 0
        for k in range(len(some)):
            others[count] = some[k]
            count += min(int((some[k] - first) * scale), _INTERVALS - 1) == mine
        return count, at - before
    others[: len(some)] = some
    return len(some), at


@inline
def _two(x, rank):
    """The order statistics `rank` and `rank` + 1 (or twice the last)."""
    n = len(x)
    if n >= _TOLD_FROM:
        bounds, some = _bounds(_told(x), rank, n), np.empty(n // _NEAR, np.float64)
        at, count = rank - _below(x, bounds[0]), _gather(x, bounds, some)
        if at >= 0 and at + (1 if rank + 1 < n else 0) < count and count < len(some):
            others = np.empty(count + 1, np.float64)
            few, place = _narrowed(some[:count], bounds, at, others)
            if place + 1 < few or rank + 1 == n:
                return select_two(others[:few], place)
            return select_two(some[:count], at)
    return select_two(copied(x), rank)


@jit
def quantile(x, q):
    """``numpy.quantile(x, q)`` of one level q, by the linear method.

    Parameters
    ----------
    x : ndarray
        Real, one element at least.  # shape: (n,)
    q : float
        From 0 to 1.

    Returns
    -------
    float
        NaN if an element is.

    Raises
    ------
    ValueError
        If x is empty, or q is not from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import statistics
    >>> statistics.quantile(np.array([4.0, 1.0, 2.0]), 0.25)
    1.5
    """
    n = len(x)
    if n == 0:
        raise ValueError("x must have one element at least")
    if not 0.0 <= q <= 1.0:
        raise ValueError("q must be from 0 to 1")
    if _has_nan(x):
        return math.nan
    place = (n - 1) * q
    rank = min(int(place), n - 1)
    part = place - rank
    lower, upper = _two(x, rank)
    if lower == upper:  # infinities too
        return lower
    if part >= 0.5:
        return upper - (upper - lower) * (1.0 - part)
    return lower + (upper - lower) * part


@jit
def median(x):
    """``numpy.median(x)``.

    Parameters
    ----------
    x : ndarray
        Real, one element at least.  # shape: (n,)

    Returns
    -------
    float
        NaN if an element is.

    Raises
    ------
    ValueError
        If x is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import statistics
    >>> statistics.median(np.array([4.0, 1.0, 2.0, 7.0]))
    3.0
    """
    n = len(x)
    if n == 0:
        raise ValueError("x must have one element at least")
    if _has_nan(x):
        return math.nan
    lower, upper = _two(x, (n - 1) // 2)
    if n % 2:
        return lower
    return lower + (upper - lower) / 2.0 if lower != upper else lower


@inline(any_order=True)
def _sum_between(values, low, high):
    """The sum of what lies strictly between the two."""
    total = 0.0
    for k in range(len(values)):
        value = values[k]
        total += value if low < value and value < high else 0.0
    return total


@inline
def _kept_by_selection(values, cut):
    """The sum of all but the `cut` smallest and largest; rearranges values."""
    n = len(values)
    select(values, cut)
    select(values[cut:], n - 2 * cut - 1)
    return quick_sum(values[cut : n - cut])


@inline(any_order=True)
def _sum_beyond(values, bound, sign):
    """The sum of what is above the bound, or below it for a sign of -1; and how many there are."""
    total, count = 0.0, 0
    for k in range(len(values)):
        beyond = sign * (values[k] - bound) > 0.0
        total += values[k] if beyond else 0.0
        count += beyond
    return total, count


@inline
def _kept_of_end(x, bounds, rank, sign, some):
    """The sum of the order statistic `rank` and those above it (sign 1) or below it (-1) in the bounds.

    NaN where the bounds mislead.
    """
    at, count = rank - _below(x, bounds[0]), _gather(x, bounds, some)
    if at < 0 or at >= count or count >= len(some):
        return math.nan
    others = np.empty(count + 1, np.float64)
    few, place = _narrowed(some[:count], bounds, at, others)
    select(others[:few], place)
    end = others[place]
    total, beyond = _sum_beyond(some[:count], end, sign)
    kept = count - at if sign > 0 else at + 1
    return total + (kept - beyond) * end


@inline
def _kept_by_ends(x, cut):
    """The same from the elements near the two ends alone; NaN where the told ones mislead."""
    n = len(x)
    told, some = _told(x), np.empty(n // _NEAR, np.float64)
    low, high = _bounds(told, cut, n), _bounds(told, n - 1 - cut, n)
    if low[1] >= high[0]:
        return math.nan
    total = _kept_of_end(x, low, cut, 1.0, some)
    if math.isnan(total):
        return total
    total += _sum_between(x, low[1], high[0])
    return total + _kept_of_end(x, high, n - 1 - cut, -1.0, some)


@jit
def trimmed_mean(x, proportion):
    """``scipy.stats.trim_mean(x, proportion)``: the mean without the smallest and the largest.

    Parameters
    ----------
    x : ndarray
        Real, one element at least.  # shape: (n,)
    proportion : float
        How much is left out at each end, from 0 to below 0.5.

    Returns
    -------
    float
        NaN if an element is.

    Raises
    ------
    ValueError
        If x is empty, or the proportion is not from 0 to below 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import statistics
    >>> statistics.trimmed_mean(np.array([100.0, 1.0, 2.0, 3.0, -50.0]), 0.2)
    2.0
    """
    n = len(x)
    if n == 0:
        raise ValueError("x must have one element at least")
    if not 0.0 <= proportion < 0.5:
        raise ValueError("proportion must be from 0 to below 0.5")
    if _has_nan(x):
        return math.nan
    cut = int(proportion * n)
    total = math.nan
    if n >= _TOLD_FROM and cut > 0:
        total = _kept_by_ends(x, cut)
    if math.isnan(total):
        values = copied(x)
        total = quick_sum(values) if cut == 0 else _kept_by_selection(values, cut)
    return total / (n - 2 * cut)
