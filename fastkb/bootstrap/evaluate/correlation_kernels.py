"""Pearson's and Spearman's correlation of a resample of pairs."""

from __future__ import annotations

import math

from fastkb.bootstrap.evaluate.moment_kernels import gather
from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.runtime import inline
from fastkb.scalar.sums import quick_sum

PEARSON = int(Code.PEARSON)

# The root of a sum of squares that may have lost digits below the smallest number.
_SMALL = 2.0**-400


@inline
def _is_constant(values):
    different = 0
    for k in range(len(values)):
        different += values[k] != values[0]
    return different == 0


@inline(any_order=True)
def _sum_of_products(a, a_mean, b, b_mean):
    total = 0.0
    for k in range(len(a)):
        total += (a[k] - a_mean) * (b[k] - b_mean)
    return total


@inline
def _enlarge(values, mean):
    """Replace values, which are not all equal, by their deviations over the largest one."""
    largest = 0.0
    for k in range(len(values)):
        values[k] -= mean
        largest = max(largest, abs(values[k]))
    for k in range(len(values)):
        values[k] /= largest


@inline
def _pearson(a, b):
    n = len(a)
    if _is_constant(a) or _is_constant(b):
        return math.nan
    a_mean, b_mean = quick_sum(a) / n, quick_sum(b) / n
    a_norm = math.sqrt(_sum_of_products(a, a_mean, a, a_mean))
    b_norm = math.sqrt(_sum_of_products(b, b_mean, b, b_mean))
    if min(a_norm, b_norm) < _SMALL:
        # The deviations were scaled by a huge observation that was not drawn: their squares vanish.
        _enlarge(a, a_mean)
        _enlarge(b, b_mean)
        a_mean, b_mean = quick_sum(a) / n, quick_sum(b) / n
        a_norm = math.sqrt(_sum_of_products(a, a_mean, a, a_mean))
        b_norm = math.sqrt(_sum_of_products(b, b_mean, b, b_mean))
    r = _sum_of_products(a, a_mean, b, b_mean) / a_norm / b_norm
    return min(max(r, -1.0), 1.0)


@inline
def _resampled_ranks(groups, indices, sizes, table, out):
    """Ranks within the resample, equal values sharing their mean; `groups` number the values' order."""
    sizes[:] = 0
    for k in range(len(indices)):
        sizes[groups[indices[k]]] += 1
    before = 0
    for g in range(len(sizes)):
        table[g] = before + (sizes[g] + 1) / 2.0
        before += sizes[g]
    for k in range(len(indices)):
        out[k] = table[groups[indices[k]]]


@inline
def correlation(x, y, series, replicate, code, scratch, words):
    """Of one series of two samples, over one resample of pairs."""
    rows, y_rows = x.indices[replicate], y.indices[replicate]
    x_ranks, y_ranks = x.ranks[series], y.ranks[series]
    n, most = len(rows), max(len(x_ranks), len(y_ranks))
    a, b, table = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 2 * n + most]
    if code == PEARSON:
        gather(x.values[series], rows, a)
        gather(y.values[series], y_rows, b)
    else:
        _resampled_ranks(x_ranks, rows, words[:most], table, a)
        _resampled_ranks(y_ranks, y_rows, words[:most], table, b)
    return _pearson(a, b)
