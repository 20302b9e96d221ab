"""Resamples as runs: stretches of neighbouring rows, each a start and a length.

Starts are places in an *arrangement* of the observations, which a scheme makes once: the observations of
a cluster stand side by side in it, and those of a circle stand in it twice. A block of a series, a
cluster and all observations but one group are few runs, whatever the number of observations: statistics
that are made of sums need no more than the runs, and everything else gets them as rows of indices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.random.dirichlet import log
from fastkb.random.streams import LANES, fill_words, fill_words_across
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads

_SHIFT = np.uint64(32)

# Resamples of so few geometric runs on average are drawn side by side: one fill makes 64 of them.
_SHORT = 48


class Runs(NamedTuple):
    """The runs of some resamples; behind those of a resample its row is not initialised."""

    starts: np.ndarray  # places in the arrangement, uint32.  shape: (rows, most)
    lengths: (
        np.ndarray
    )  # uint32.                            shape: (rows, most), or (1, most) for all
    used: np.ndarray  # runs of each resample, intp.          shape: (rows,)
    sizes: np.ndarray  # observations of each resample, intp. shape: (rows,)


_WORDS, _PLACES = types.Array(types.uint32, 2, "C"), types.Array(types.intp, 1, "C")
RUNS = types.NamedTuple((_WORDS, _WORDS, _PLACES, _PLACES), Runs)


def equal_runs(starts: np.ndarray, length: int, n: int) -> Runs:
    """Runs of `length` observations each, the last one cut off so that a resample has n.

    Parameters
    ----------
    starts : ndarray of uint32
        # shape: (rows, ⌈n / length⌉)
    length, n : int
    """
    rows, most = starts.shape
    lengths = np.full((1, most), length, np.uint32)
    lengths[0, -1] = n - length * (most - 1)
    return Runs(starts, lengths, np.full(rows, most), np.full(rows, n))


@jit(parallel=True, signature=lambda T: (_WORDS, _PLACES, _PLACES, _WORDS, _WORDS, _PLACES))
def _group_runs(groups, starts, sizes, out_starts, out_lengths, totals):
    for r in prange(len(groups)):
        total = 0
        for k in range(groups.shape[1]):
            group = groups[r, k]
            out_starts[r, k] = starts[group]
            out_lengths[r, k] = sizes[group]
            total += sizes[group]
        totals[r] = total


def group_runs(groups: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Runs:
    """Whole groups, each a run of the arrangement.

    Parameters
    ----------
    groups : ndarray of uint32
        Which groups a resample has.  # shape: (rows, most)
    starts, sizes : ndarray of intp
        Where each group begins, and how many observations it has.  # shape: (groups,)
    """
    out = np.empty(groups.shape, np.uint32), np.empty(groups.shape, np.uint32)
    totals = np.empty(len(groups), np.intp)
    _group_runs(groups, starts, sizes, *out, totals)
    return Runs(*out, np.full(len(groups), groups.shape[1]), totals)


@inline
def _starts_and_lengths(words, n, rate, starts, lengths):
    """Of the pairs of words of one fill; how many starts are rejected."""
    rejected = np.intp(0)
    threshold = np.uint32(np.uint64(2**32) % np.uint64(n))
    most = np.float64(n)
    for i in range(2):
        one, other = words[2 * i], words[2 * i + 1]
        start, length = starts[i], lengths[i]
        for j in range(LANES):
            product = np.uint64(one[j]) * np.uint64(n)
            start[j] = np.uint32(product >> _SHIFT)
            rejected += np.uint32(product) < threshold
            # A word has 32 bits, which AVX2 converts as signed integers alone.
            half = np.float64(np.int32(other[j] >> np.uint32(1)))
            u = (half + (half + (np.float64(np.int32(other[j] & np.uint32(1))) + 0.5))) * 2.0**-32
            length[j] = np.int32(min(1.0 + math.floor(log(u) * rate), most))
    return rejected


@inline
def _row_of_geometric(key, replicate, n, rate, words, starts, lengths):
    """The runs of one replicate, a fill of words at a time; how many they are."""
    mine, fill_starts, fill_lengths = words[:4], words[4:6], words[6:8]
    threshold = np.uint32(np.uint64(2**32) % np.uint64(n))
    missing, count, block = n, 0, 0
    while missing > 0:
        fill_words(mine, key, replicate, block)
        block += LANES
        rejected = _starts_and_lengths(mine, n, rate, fill_starts, fill_lengths)
        for j in range(LANES):
            for i in range(2):
                if missing <= 0:
                    break
                if rejected and np.uint32(mine[2 * i, j] * np.uint32(n)) < threshold:
                    continue
                length = min(int(fill_lengths[i, j]), missing)
                if count < len(starts):
                    starts[count] = fill_starts[i, j]
                    lengths[count] = length
                count += 1
                missing -= length
    return count


@inline
def _rows_of_geometric(key, first, n, rate, words, starts, lengths, used):
    """The runs of LANES replicates or fewer, a block of words of each at a time."""
    mine, fill_starts, fill_lengths = words[:4], words[4:6], words[6:8]
    missing = words[8]
    threshold = np.uint32(np.uint64(2**32) % np.uint64(n))
    missing[:] = n
    used[:] = 0
    left, block, most = len(used), 0, starts.shape[1]
    while left > 0:
        fill_words_across(mine, key, first, block)
        block += 1
        rejected = _starts_and_lengths(mine, n, rate, fill_starts, fill_lengths)
        for i in range(2):
            for j in range(len(used)):
                if missing[j] == 0:
                    continue
                if rejected and np.uint32(mine[2 * i, j] * np.uint32(n)) < threshold:
                    continue
                length = min(fill_lengths[i, j], missing[j])
                count = used[j]
                if count < most:
                    starts[j, count] = fill_starts[i, j]
                    lengths[j, count] = length
                used[j] = count + 1
                missing[j] -= length
                left -= int(missing[j] == 0)


@jit(parallel=True)
def _geometric_runs(keys, first, n, rate, across, words, out):
    starts, lengths, used = out
    workers, count = len(words), len(starts) // len(keys)
    together = LANES if across else 1
    groups = -(-count // together)  # of each key
    for worker in prange(workers):
        mine = words[worker]
        for group in range(worker, groups * len(keys), workers):
            key, start = keys[group // groups], group % groups * together
            at = group // groups * count + start
            if across:
                end = at + min(together, count - start)
                _rows_of_geometric(
                    key, first + start, n, rate, mine, starts[at:end], lengths[at:end], used[at:end]
                )
            else:
                used[at] = _row_of_geometric(
                    key, first + start, n, rate, mine, starts[at], lengths[at]
                )


def most_geometric_runs(n: int, mean: float) -> int:
    """Runs that hardly ever are exceeded: ten standard deviations more than on average, n at most."""
    average = n / mean
    return min(n, math.ceil(average + 10.0 * math.sqrt(average)) + 10)


def geometric_runs(key: np.ndarray, first: int, count: int, n: int, mean: float) -> Runs:
    """Runs that begin anywhere on a circle, with geometrically distributed lengths.

    Two words of the stream make a run: its start by Lemire's method, and if that accepts, its length
    1 + ⌊log u / log(1 - 1/mean)⌋. The last run ends where a resample has n observations.

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`fastkb.random.streams.key_from_rng`; of several keys, the resamples of one stand
        after those of the other.  # shape: (4,) or (keys, 4)
    first, count : int
        Replicates.
    n : int
    mean : float
        From 1 on.
    """
    # 0 where every length is 1: the logarithm of 0 has no place in a product.
    rate = 0.0 if mean == 1 else 1.0 / math.log1p(-1.0 / mean)
    keys = np.ascontiguousarray(key.reshape(-1, 4))
    rows = len(keys) * count
    words = np.empty((max(1, min(n_threads(), rows)), 9, LANES), np.uint32)
    used = np.empty(rows, np.intp)
    for most in (most_geometric_runs(n, mean), n):
        starts, lengths = np.empty((rows, most), np.uint32), np.empty((rows, most), np.uint32)
        _geometric_runs(keys, first, n, rate, n <= _SHORT * mean, words, (starts, lengths, used))
        if used.max(initial=0) <= most:
            break
    return Runs(starts, lengths, used, np.full(rows, n))


@jit(parallel=True)
def _row_of_runs(starts, lengths, used, order, out):
    for r in prange(len(out)):
        row, mine = out[r], lengths[np.intp(r) % len(lengths)]
        at = 0
        for k in range(used[r]):
            start = starts[r, k]
            for i in range(mine[k]):
                row[at + i] = order[start + i]
            at += mine[k]


def rows_of_runs(runs: Runs, order: np.ndarray) -> np.ndarray:
    """The observations of each resample; behind them a row is not initialised.

    # shape: (rows, longest), uint32
    """
    out = np.empty((len(runs.used), int(runs.sizes.max(initial=0))), np.uint32)
    _row_of_runs(runs.starts, runs.lengths, runs.used, order, out)
    return out


def parts_of_runs(runs: Runs, largest: int) -> Iterator[Runs]:
    """A few resamples at a time, of roughly `largest` observations."""
    together = max(1, largest // max(1, int(runs.sizes.max(initial=0))))
    for first in range(0, len(runs.used), together):
        yield chosen_runs(runs, slice(first, first + together))


def chosen_runs(runs: Runs, places: slice | np.ndarray) -> Runs:
    """Some of the resamples."""
    lengths = runs.lengths if len(runs.lengths) == 1 else runs.lengths[places]
    return Runs(runs.starts[places], lengths, runs.used[places], runs.sizes[places])


@jit(parallel=True)
def _counts_of_runs(starts, lengths, used, order, changes, out):
    workers = len(changes)
    for worker in prange(workers):
        change = changes[worker]
        for r in range(worker, len(out), workers):
            mine = lengths[np.intp(r) % len(lengths)]
            change[:] = 0
            for k in range(used[r]):
                change[starts[r, k]] += 1
                change[starts[r, k] + mine[k]] -= 1
            row = out[r]
            row[:] = 0
            covered = 0
            for place in range(len(order)):
                covered += change[place]
                row[order[place]] += covered


def counts_of_runs(runs: Runs, order: np.ndarray, n: int) -> np.ndarray:
    """How often each of n observations is in each resample.  # shape: (rows, n), int64"""
    out = np.empty((len(runs.used), n), np.int64)
    changes = np.empty((max(1, min(n_threads(), len(out))), len(order) + 1), np.int64)
    _counts_of_runs(runs.starts, runs.lengths, runs.used, order, changes, out)
    return out


def runs_without(starts: np.ndarray, lengths: np.ndarray, n: int) -> Runs:
    """All of n observations but one stretch: what is before it and what is after it.

    Parameters
    ----------
    starts, lengths : ndarray of intp
        The stretches that are left out, one for each resample.  # shape: (rows,)
    n : int
    """
    ends = starts + lengths
    before_and_after = np.stack([starts, n - ends], axis=1).astype(np.uint32)
    begins = np.stack([np.zeros_like(ends), ends], axis=1).astype(np.uint32)
    return Runs(begins, before_and_after, np.full(len(starts), 2), n - lengths)
