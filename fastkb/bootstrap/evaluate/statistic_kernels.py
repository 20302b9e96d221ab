"""The compiled statistics over blocks of resamples, each given by a row of indices.

A replicate's result depends on its own indices alone, so that neither threads nor blocks can be seen in
it. Sums are NumPy's to the last bit: those of a contiguous row (:mod:`fastkb.scalar.pairwise`) for data
of one series; for several, whose resamples NumPy adds up row by row, term after term.

Statistics that only compare observations look at *ranks* (places in the sorted data) in place of
values: the k-th smallest rank of a resample is found within a narrow window around k, where it nearly
always lies, and a resample's ranks outside that window are only counted. A trimmed mean needs how often
each rank occurs, and no more.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import types

from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.linalg.quantiles import select_two
from fastkb.runtime import inline, jit, prange
from fastkb.scalar.pairwise import LEAF, pairwise_sum_of

MEAN, VARIANCE, DEVIATION = int(Code.MEAN), int(Code.VARIANCE), int(Code.DEVIATION)
MINIMUM, MAXIMUM, RANGE = int(Code.MINIMUM), int(Code.MAXIMUM), int(Code.RANGE)
QUANTILE, MEDIAN, SUM = int(Code.QUANTILE), int(Code.MEDIAN), int(Code.SUM)
TRIMMED_MEAN, PEARSON = int(Code.TRIMMED_MEAN), int(Code.PEARSON)

# Half the window's width, in standard deviations of a rank's place.
_WINDOW = 4.5
# Up to so many observations, as long as the counts stay in the first-level cache, counting every rank is
# quicker: 0.2 to 0.3 ns a draw on two threads, against 2.3 (257 observations) to 0.25 (8,000).
_COUNTED = 8192
# Where few of many are drawn, most counts are zero and looking through them takes longer.
_COUNTED_FOR_EACH_DRAW = 8
# Counts that are added up at a time, by vector instructions.
_COUNTS = 64
# A trimmed mean counts up to so many observations for each one drawn: 0.6 ns a draw where n = 10,000 are
# drawn of n, against 13 ns for selecting; it is as slow for n/30 (45% trimmed at each end) to n/80 (10%).
_COUNTED_FOR_EACH = 32
# The root of a sum of squares that may have lost digits below the smallest number.
_SMALL = 2.0**-400


@inline
def _gather(values, indices, out):
    for k in range(len(indices)):
        out[k] = values[indices[k]]


@inline
def _take(values, indices, _, sample, start, count):
    """A part of the resample, kept in its place in the sample."""
    part, rows = sample[start : start + count], indices[start : start + count]
    for k in range(count):
        part[k] = values[rows[k]]
    return start


@inline
def _take_once(values, indices, _, buffer, start, count):
    """A part of the resample that is needed once, where the part before stood."""
    part, rows = buffer[:count], indices[start : start + count]
    for k in range(count):
        part[k] = values[rows[k]]
    return 0


@inline
def _take_squares(sample, _, mean, buffer, start, count):
    """Squared deviations of a part of the resample."""
    part, squares = sample[start : start + count], buffer[:count]
    for k in range(count):
        deviation = part[k] - mean
        squares[k] = deviation * deviation
    return 0


@inline
def _sum_in_turn(values):
    total = values[0]
    for k in range(1, len(values)):
        total += values[k]
    return total


@inline
def _moment(values, indices, code, ddof, leaves, merges, scratch):
    """Mean, sum, variance or standard deviation, each operation rounded to the data's type."""
    n = len(indices)
    sample, buffer = scratch[:n], scratch[n : n + LEAF]
    in_turn = len(leaves) == 0
    if in_turn:
        _gather(values, indices, sample)
        total = _sum_in_turn(sample)
    elif code in (SUM, MEAN):
        # A row that is written would drive the values out of the caches.
        total = pairwise_sum_of(_take_once, values, indices, 0, buffer, leaves, merges)
    else:
        total = pairwise_sum_of(_take, values, indices, 0, sample, leaves, merges)
    if code == SUM:
        return total
    mean = sample.dtype.type(total / n)
    if code == MEAN:
        return mean
    if in_turn:
        for k in range(n):
            deviation = sample[k] - mean
            sample[k] = deviation * deviation
        squares = _sum_in_turn(sample)
    else:
        squares = pairwise_sum_of(_take_squares, sample, 0, mean, buffer, leaves, merges)
    variance = sample.dtype.type(squares / max(n - ddof, 0.0))
    return variance if code == VARIANCE else sample.dtype.type(math.sqrt(variance))


@inline
def _by_counting(ranks, indices, target, counts):
    """The same from how often each rank occurs."""
    counts[:] = 0
    for k in range(len(indices)):
        counts[ranks[indices[k]]] += 1
    before = 0
    for start in range(0, len(counts), _COUNTS):
        some = np.uint32(0)
        for count in counts[start : start + _COUNTS]:
            some = np.uint32(some + count)
        if before + some > target:
            break
        before += int(some)
    lower = start
    seen = before + counts[lower]
    while seen <= target:
        lower += 1
        seen += counts[lower]
    upper = lower
    if target + 1 < len(indices):
        while seen <= target + 1:
            upper += 1
            seen += counts[upper]
    return np.uint32(lower), np.uint32(upper)


@inline
def _rank_and_next(ranks, indices, target, spread, some):
    """The order statistics `target` and `target` + 1 (or twice the last) of the resampled ranks."""
    n = len(indices)
    if len(ranks) <= min(_COUNTED, _COUNTED_FOR_EACH_DRAW * n):
        return _by_counting(ranks, indices, target, some[: len(ranks)])
    low = np.uint32(max(0, target - spread))
    high = np.uint32(min(target + 1 + spread, n - 1))
    width = np.uint32(high - low)
    below = 0
    count = 0
    for k in range(n):
        rank = ranks[indices[k]]
        some[count] = rank
        below += rank < low
        # (Those below wrap around, and are above all others.)
        count += int(np.uint32(rank - low) <= width)
    at = target - below
    if at < 0 or at + (1 if target + 1 < n else 0) >= count:
        for k in range(n):
            some[k] = ranks[indices[k]]
        count = n
        at = target
    return select_two(some[:count], at)


@inline
def _extreme_ranks(ranks, indices):
    smallest = ranks[indices[0]]
    largest = smallest
    for k in range(len(indices)):
        rank = ranks[indices[k]]
        smallest = min(smallest, rank)
        largest = max(largest, rank)
    return smallest, largest


@inline
def _neighbours(ordered, ranks, indices, code, place, some):
    """The two order statistics that minimum and maximum, range, median or quantile are made of."""
    if code <= RANGE:
        smallest, largest = _extreme_ranks(ranks, indices)
        return ordered[smallest], ordered[largest]
    n = len(indices)
    target = min(int(place), n - 1)
    level = min(place / (n - 1), 1.0) if n > 1 else 0.5
    spread = int(_WINDOW * math.sqrt(n * level * (1.0 - level))) + 8
    low, high = _rank_and_next(ranks, indices, target, spread, some)
    return ordered[low], ordered[high]


@inline(any_order=True)
def _sum_of_counted(counts, ordered, centre):
    total = 0.0
    for r in range(len(counts)):
        # (Signed, as not every vector unit converts unsigned words.)
        total += np.int32(counts[r]) * (np.float64(ordered[r]) - centre)
    return total


@inline(any_order=True)
def _sum_of_ranked(ranks, ordered, centre):
    total = 0.0
    for k in range(len(ranks)):
        total += np.float64(ordered[ranks[k]]) - centre
    return total


@inline
def _kept_by_counting(ordered, ranks, indices, cut, counts):
    """What is left without the `cut` smallest and largest: the sum of deviations from its centre."""
    counts[:] = 0
    for k in range(len(indices)):
        counts[ranks[indices[k]]] += 1
    low, below = 0, np.intp(counts[0])
    while below <= cut:
        low += 1
        below += counts[low]
    high = len(counts) - 1
    above = np.intp(counts[high])
    while above <= cut:
        high -= 1
        above += counts[high]
    centre = np.float64(ordered[(low + high) // 2])
    total = _sum_of_counted(counts[low + 1 : high], ordered[low + 1 : high], centre)
    # Of the two values at the ends a part may be trimmed. (If they are one, it is the centre.)
    total += (below - cut) * (np.float64(ordered[low]) - centre)
    total += (above - cut) * (np.float64(ordered[high]) - centre)
    return total, centre


@inline
def _kept_by_selecting(ordered, ranks, indices, cut, some):
    """The same where few of many observations are drawn, and counts would nearly all be zero."""
    n = len(indices)
    for k in range(n):
        some[k] = ranks[indices[k]]
    low, _ = select_two(some, cut)
    high, _ = select_two(some[cut:], n - 2 * cut - 1)
    centre = np.float64(ordered[(low + high) // 2])
    return _sum_of_ranked(some[cut : n - cut], ordered, centre), centre


@inline
def _trimmed_mean(ordered, ranks, indices, cut, some):
    """Mean without the `cut` smallest and the `cut` largest.

    Deviations from a value in the middle are added up, in double precision: the sum of their sizes is
    smallest there. They make a sum of all values before it is divided, so that sums which are exact
    (of whole numbers) give NumPy's mean to the last bit, and resamples that tie still do.
    """
    n = len(indices)
    if len(ranks) <= _COUNTED_FOR_EACH * n:
        total, centre = _kept_by_counting(ordered, ranks, indices, cut, some[: len(ranks)])
    else:
        total, centre = _kept_by_selecting(ordered, ranks, indices, cut, some[:n])
    kept = n - 2 * cut
    return ordered.dtype.type((total + kept * centre) / kept)


@inline
def _is_constant(values):
    different = 0
    for k in range(len(values)):
        different += values[k] != values[0]
    return different == 0


@inline(any_order=True)
def _sum(values):
    total = 0.0
    for k in range(len(values)):
        total += values[k]
    return total


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
    a_mean, b_mean = _sum(a) / n, _sum(b) / n
    a_norm = math.sqrt(_sum_of_products(a, a_mean, a, a_mean))
    b_norm = math.sqrt(_sum_of_products(b, b_mean, b, b_mean))
    if min(a_norm, b_norm) < _SMALL:
        # A huge observation was not drawn: beside it the squares of all others are nearly nothing.
        _enlarge(a, a_mean)
        _enlarge(b, b_mean)
        a_mean, b_mean = _sum(a) / n, _sum(b) / n
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
def _correlation(x, y, x_groups, y_groups, rows, y_rows, code, scratch, some):
    n, most = len(rows), max(len(x_groups), len(y_groups))
    a, b, table = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 2 * n + most]
    if code == PEARSON:
        _gather(x, rows, a)
        _gather(y, y_rows, b)
    else:
        _resampled_ranks(x_groups, rows, some[:most], table, a)
        _resampled_ranks(y_groups, y_rows, some[:most], table, b)
    return _pearson(a, b)


def _signature(T):
    words = types.Array(types.uint32, 2, "C")
    values = types.Array(T, 2, "C")
    order = types.Array(types.intp, 1, "C")
    data = (values, values, words, words, words, words)
    return (*data, types.intp, types.float64, order, order, values, words, types.Array(T, 3, "C"))


@jit(parallel=True, signature=_signature)
def resample(
    x,
    y,
    x_ranks,
    y_ranks,
    x_indices,
    y_indices,
    code,
    parameter,
    leaves,
    merges,
    scratch,
    some,
    out,
):
    """out[:, series, replicate] = the statistic of one series over the rows of one resample.

    Parameters
    ----------
    x, y : array of shape (series, n), (series, m)
        Values; sorted along the last axis for statistics that only compare and for the trimmed mean; y
        is x for those of one sample; float64 for correlations.
    x_ranks, y_ranks : array of uint32
        Place of each observation among the sorted ones, or, for Spearman's correlation, among the
        different ones.  # shapes as x and y; (series, any) if unused
    x_indices, y_indices : array of uint32
        # shapes: (replicates, n), (replicates, m)
    code : int
        :class:`fastkb.bootstrap.evaluate.statistics.Code`
    parameter : float
        ddof, a quantile's place among n sorted observations, from 0 to n - 1, or how many of them are
        trimmed at each end.
    leaves, merges : array of int
        :func:`fastkb.scalar.pairwise.summation_tree` of a row's length; empty: term after term.
    scratch, some : array as x, array of uint32
        # shapes: (workers, 3·longest + LEAF), (workers, longest), the longest row of values or indices
    out : array as x
        Two numbers for statistics that only compare: the neighbouring order statistics, or minimum and
        maximum; else one.  # shape: (1 or 2, series, replicates)
    """
    workers = len(scratch)
    for worker in prange(workers):
        mine, words = scratch[worker], some[worker]
        for b in range(worker, len(x_indices), workers):
            rows, y_rows = x_indices[b], y_indices[b]
            for s in range(len(x)):
                if code <= DEVIATION or code == SUM:
                    out[0, s, b] = _moment(x[s], rows, code, parameter, leaves, merges, mine)
                elif code <= MEDIAN:
                    low, high = _neighbours(x[s], x_ranks[s], rows, code, parameter, words)
                    out[0, s, b] = low
                    out[1, s, b] = high
                elif code == TRIMMED_MEAN:
                    out[0, s, b] = _trimmed_mean(x[s], x_ranks[s], rows, int(parameter), words)
                else:
                    out[0, s, b] = _correlation(
                        x[s], y[s], x_ranks[s], y_ranks[s], rows, y_rows, code, mine, words
                    )
