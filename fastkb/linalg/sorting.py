"""Sorting in compiled code, by digits: no comparison whose outcome a processor could guess wrongly.

References
----------
Knuth (1998), The Art of Computer Programming 3, section 5.2.5 (radix sorting).
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.runtime import inline, jit

_SIGN = np.uint64(2**63)
_DIGIT = 8  # bits that one pass of the radix sort orders
_DIGITS = 64 // _DIGIT
_VALUES = 2**_DIGIT
_INSERTED = 48  # up to so many elements are sorted by insertion


@inline
def insert(values):
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
def copied(x):
    """A copy in float64."""
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
    values = copied(x)
    if len(values) <= _INSERTED:
        insert(values)
        return values
    keys = values.view(np.uint64)
    _to_keys(keys)
    ordered = _order_by_digits(keys, np.empty(len(keys), np.uint64))
    _from_keys(ordered)
    return ordered.view(np.float64)
