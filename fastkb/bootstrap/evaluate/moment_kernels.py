"""Mean, sum, variance and standard deviation of a resample, with NumPy's own rounding.

Sums are NumPy's to the last bit: those of a contiguous row (:mod:`fastkb.scalar.pairwise`) for data of
one series; for several, whose resamples NumPy adds up row by row, term after term.
"""

from __future__ import annotations

import math

from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.runtime import inline
from fastkb.scalar.pairwise import LEAF, pairwise_sum_of

MEAN, VARIANCE, SUM = int(Code.MEAN), int(Code.VARIANCE), int(Code.SUM)


@inline
def gather(values, indices, out):
    """The values of a resample."""
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
def moment(values, indices, formula, scratch):
    """Mean, sum, variance or standard deviation, each operation rounded to the data's type."""
    n = len(indices)
    code, leaves, merges = formula.code, formula.leaves, formula.merges
    sample, buffer = scratch[:n], scratch[n : n + LEAF]
    in_turn = len(leaves) == 0
    if in_turn:
        gather(values, indices, sample)
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
    variance = sample.dtype.type(squares / max(n - formula.parameter, 0.0))
    return variance if code == VARIANCE else sample.dtype.type(math.sqrt(variance))
