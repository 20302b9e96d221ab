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
Knuth (1998), The Art of Computer Programming 3, section 5.2.5 (radix sorting). Floyd, Rivest (1975),
Expected time bounds for selection, CACM 18(3).
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.linalg.quantiles import select, select_two
from fastkb.runtime import inline, jit

__all__ = ["median", "quantile", "sort", "trimmed_mean"]

_SIGN = np.uint64(2**63)
_DIGIT = 8  # bits that one pass of the radix sort orders
_DIGITS = 64 // _DIGIT
_VALUES = 2**_DIGIT
_INSERTED = 48  # up to so many elements are sorted by insertion

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
def _insert(values):
    """Sort by insertion; NaN comes last."""
    for k in range(1, len(values)):
        value = values[k]
        place = k
        while place > 0 and (values[place - 1] > value or math.isnan(values[place - 1])):
            if math.isnan(value):
                break
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@inline
def _to_keys(keys):
    """Bits of floats to whole numbers in the same order; NaN above all."""
    for k in range(len(keys)):
        bits = keys[k]
        if bits & ~_SIGN > np.uint64(0x7FF0000000000000):
            bits = np.uint64(0x7FF8000000000000)  # whatever its sign
        keys[k] = ~bits if bits & _SIGN else bits | _SIGN


@inline
def _from_keys(keys):
    for k in range(len(keys)):
        bits = keys[k]
        keys[k] = bits & ~_SIGN if bits & _SIGN else ~bits


@inline
def _order_by_digits(keys, others):
    """Sort whole numbers by their digits, the lowest first; digits that all share take no pass."""
    n = len(keys)
    counts = np.zeros((_DIGITS, _VALUES), np.int64)
    for k in range(n):
        key = keys[k]
        for digit in range(_DIGITS):
            counts[digit, (key >> np.uint64(_DIGIT * digit)) & np.uint64(_VALUES - 1)] += 1
    for digit in range(_DIGITS):
        shift, mine = np.uint64(_DIGIT * digit), counts[digit]
        if mine[(keys[0] >> shift) & np.uint64(_VALUES - 1)] == n:
            continue
        begin = 0
        for value in range(_VALUES):
            count = mine[value]
            mine[value] = begin
            begin += count
        for k in range(n):
            key = keys[k]
            value = (key >> shift) & np.uint64(_VALUES - 1)
            others[mine[value]] = key
            mine[value] += 1
        keys, others = others, keys
    return keys


@inline
def _copied(x):
    values = np.empty(len(x), np.float64)
    for k in range(len(x)):
        values[k] = x[k]
    return values


@jit
def sort(x):
    """A sorted copy; NaN comes last.

    Parameters
    ----------
    x : ndarray
        Real.  # shape: (n,)

    Returns
    -------
    ndarray of float64
        # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import statistics
    >>> statistics.sort(np.array([3.0, np.nan, -1.0]))
    array([-1.,  3., nan])
    """
    values = _copied(x)
    if len(values) <= _INSERTED:
        _insert(values)
        return values
    keys = values.view(np.uint64)
    _to_keys(keys)
    ordered = _order_by_digits(keys, np.empty(len(keys), np.uint64))
    _from_keys(ordered)
    return ordered.view(np.float64)


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
    _insert(told)
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
    return select_two(_copied(x), rank)


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
def _sum(values):
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


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
    return _sum(values[cut : n - cut])


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
        values = _copied(x)
        total = _sum(values) if cut == 0 else _kept_by_selection(values, cut)
    return total / (n - 2 * cut)
