"""Order statistics and trimmed means of a resample, from ranks.

Statistics that only compare observations look at *ranks* (places in the sorted data) in place of
values: the k-th smallest rank of a resample is found within a narrow window around k, where it nearly
always lies, and a resample's ranks outside that window are only counted. A trimmed mean needs how often
each rank occurs, and no more.
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.linalg.quantiles import select_two
from fastkb.runtime import inline

RANGE = int(Code.RANGE)

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


@inline
def _by_counting(ranks, indices, target, counts):
    """The order statistics `target` and `target` + 1 from how often each rank occurs."""
    counts[:] = 0
    for k in range(len(indices)):
        counts[ranks[indices[k]]] += 1
    before = 0
    for start in range(0, len(counts), _COUNTS):
        block = np.uint32(0)
        for count in counts[start : start + _COUNTS]:
            block = np.uint32(block + count)
        if before + block > target:
            break
        before += int(block)
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
def _rank_and_next(ranks, indices, target, spread, words):
    """The order statistics `target` and `target` + 1 (or twice the last) of the resampled ranks."""
    n = len(indices)
    if len(ranks) <= min(_COUNTED, _COUNTED_FOR_EACH_DRAW * n):
        return _by_counting(ranks, indices, target, words[: len(ranks)])
    low = np.uint32(max(0, target - spread))
    high = np.uint32(min(target + 1 + spread, n - 1))
    width = np.uint32(high - low)
    below = 0
    count = 0
    for k in range(n):
        rank = ranks[indices[k]]
        words[count] = rank
        below += rank < low
        # Those below wrap around, and are above all others.
        count += int(np.uint32(rank - low) <= width)
    at = target - below
    if at < 0 or at + (1 if target + 1 < n else 0) >= count:
        for k in range(n):
            words[k] = ranks[indices[k]]
        count = n
        at = target
    return select_two(words[:count], at)


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
def neighbours(ordered, ranks, indices, code, place, words):
    """The two order statistics that minimum and maximum, range, median or quantile are made of."""
    if code <= RANGE:
        smallest, largest = _extreme_ranks(ranks, indices)
        return ordered[smallest], ordered[largest]
    n = len(indices)
    target = min(int(place), n - 1)
    level = min(place / (n - 1), 1.0) if n > 1 else 0.5
    spread = int(_WINDOW * math.sqrt(n * level * (1.0 - level))) + 8
    low, high = _rank_and_next(ranks, indices, target, spread, words)
    return ordered[low], ordered[high]


@inline(any_order=True)
def _sum_of_counted(counts, ordered, centre):
    total = 0.0
    for r in range(len(counts)):
        # Signed, as not every vector unit converts unsigned words.
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
    # Of the two values at the ends a part may be trimmed; if they are one, it is the centre.
    total += (below - cut) * (np.float64(ordered[low]) - centre)
    total += (above - cut) * (np.float64(ordered[high]) - centre)
    return total, centre


@inline
def _kept_by_selecting(ordered, ranks, indices, cut, words):
    """As :func:`_kept_by_counting`, where few of many observations are drawn: most counts would be 0."""
    n = len(indices)
    for k in range(n):
        words[k] = ranks[indices[k]]
    low, _ = select_two(words, cut)
    high, _ = select_two(words[cut:], n - 2 * cut - 1)
    centre = np.float64(ordered[(low + high) // 2])
    return _sum_of_ranked(words[cut : n - cut], ordered, centre), centre


@inline
def trimmed_mean(ordered, ranks, indices, cut, words):
    """Mean without the `cut` smallest and the `cut` largest.

    Deviations from a value in the middle are added up, in double precision: the sum of their sizes is
    smallest there. They make a sum of all values before it is divided, so that sums which are exact
    (of whole numbers) give NumPy's mean to the last bit, and resamples that tie still do.
    """
    n = len(indices)
    if len(ranks) <= _COUNTED_FOR_EACH * n:
        total, centre = _kept_by_counting(ordered, ranks, indices, cut, words[: len(ranks)])
    else:
        total, centre = _kept_by_selecting(ordered, ranks, indices, cut, words[:n])
    kept = n - 2 * cut
    return ordered.dtype.type((total + kept * centre) / kept)
