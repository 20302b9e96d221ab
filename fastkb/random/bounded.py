"""Rows of independent whole numbers, each below a bound of its own, addressable by (seed, replicate).

The streams are those of :mod:`fastkb.random.streams`: which thread draws a row, and in what company,
changes nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numba.core import types

from fastkb.random.streams import LANES, fill_words, fill_words_across
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads

_SHIFT = np.uint64(32)

# Numbers that the words of one fill make, if none is rejected.
_AT_A_TIME = 4 * LANES
# Rows are drawn side by side where fills of their own would make so many times the words that they take:
# a number takes 0.63 ns then, against 0.47 ns for each word of a fill.
_WASTE = 1.25


@inline
def _all_at_once(words, bounds, thresholds, offsets, highs, out):
    """The numbers of one fill, in the order of the stream; how many words are rejected."""
    rejected = 0
    for i in range(4):
        word, bound, threshold, high = words[i], bounds[i], thresholds[i], highs[i]
        offset = offsets[i]
        for j in range(LANES):
            product = np.uint64(word[j]) * np.uint64(bound[j])
            high[j] = np.uint32(product >> _SHIFT) + offset[j]
            rejected += np.uint32(product) < threshold[j]
    first, second, third, fourth = highs
    for j in range(LANES):
        out[4 * j] = first[j]
        out[4 * j + 1] = second[j]
        out[4 * j + 2] = third[j]
        out[4 * j + 3] = fourth[j]
    return rejected


@inline
def _one_by_one(words, bounds, thresholds, offsets, row, drawn):
    """The numbers of one fill until the row is full; how many the row then has."""
    period = bounds.size
    for j in range(LANES):
        for i in range(4):
            if drawn < len(row):
                at = drawn % period
                part, lane, place = at // _AT_A_TIME, at % 4, at % _AT_A_TIME // 4
                product = np.uint64(words[i, j]) * np.uint64(bounds[part, lane, place])
                if np.uint32(product) >= thresholds[part, lane, place]:
                    row[drawn] = np.uint32(product >> _SHIFT) + offsets[part, lane, place]
                    drawn += 1
    return drawn


@inline
def _whole_row(key, replicate, numbers, words, last, row):
    """One row, a fill at a time."""
    bounds, thresholds, offsets = numbers
    mine, highs = words[:4], (words[4], words[5], words[6], words[7])
    drawn = 0
    block = 0
    while drawn < len(row):
        fill_words(mine, key, replicate, block)
        block += LANES
        # After a rejection the words and the bounds of a fill no longer stand side by side, unless all
        # bounds are one.
        if len(bounds) == 1 or drawn % _AT_A_TIME == 0:
            part = drawn // _AT_A_TIME % len(bounds)
            missing = len(row) - drawn
            some = row[drawn:] if missing >= _AT_A_TIME else last
            limits, least = bounds[part], thresholds[part]
            if _all_at_once(mine, limits, least, offsets[part], highs, some) == 0:
                for k in range(missing if missing < _AT_A_TIME else 0):
                    row[drawn + k] = last[k]
                drawn += _AT_A_TIME
                continue
        drawn = _one_by_one(mine, bounds, thresholds, offsets, row, drawn)


@inline
def _side_by_side(key, replicate, numbers, words, rows):
    """Rows of LANES replicates or fewer, as if no word were rejected; words[8] counts those that are."""
    bounds, thresholds, offsets = numbers
    mine, high, rejected = words[:4], words[4], words[8]
    rejected[:] = 0
    for k in range(rows.shape[1]):
        part, i, place = k // _AT_A_TIME % len(bounds), k % 4, k % _AT_A_TIME // 4
        if i == 0:
            fill_words_across(mine, key, replicate, k // 4)
        bound, threshold = np.uint64(bounds[part, i, place]), thresholds[part, i, place]
        word, offset = mine[i], offsets[part, i, place]
        for j in range(LANES):
            product = np.uint64(word[j]) * bound
            high[j] = np.uint32(product >> _SHIFT) + offset
            rejected[j] += np.uint32(np.uint32(product) < threshold)
        for j in range(len(rows)):
            rows[j, k] = high[j]


def _signature(T):
    one, rows, fills = (types.Array(T, ndim, "C") for ndim in (1, 2, 3))
    return rows, types.intp, types.UniTuple(fills, 3), fills, rows, one, rows


@jit(parallel=True, signature=_signature)
def _bounded(keys, first, numbers, words, lasts, order, out):
    workers, count = len(words), len(out) // len(keys)
    fills = -(-out.shape[1] // _AT_A_TIME)
    together = LANES if fills * _AT_A_TIME > _WASTE * out.shape[1] else 1
    groups = -(-count // together)  # of each key
    for worker in prange(workers):
        mine, last = words[worker], lasts[worker]
        for group in range(worker, groups * len(keys), workers):
            key, start = keys[group // groups], group % groups * together
            rows = min(together, count - start)
            at = group // groups * count + start
            if together > 1:
                _side_by_side(key, first + start, numbers, mine, out[at : at + rows])
            for j in range(rows):
                if together == 1 or mine[8, j] > 0:
                    _whole_row(key, first + start + j, numbers, mine, last, out[at + j])
                if len(order) > 0:  # now, while the row is in the first-level cache
                    row = out[at + j]
                    for k in range(len(row)):
                        row[k] = order[row[k]]


def _laid_out(values: np.ndarray, fills: int) -> np.ndarray:
    """The values of one fill after another, in the order of its words; one fill holds equal ones.

    # shape: (fills, 4, LANES)
    """
    padded = np.full(fills * _AT_A_TIME, values[0])
    if fills > 1:
        padded[: len(values)] = values
    return np.ascontiguousarray(padded.reshape(fills, LANES, 4).transpose(0, 2, 1))


_NONE = np.empty(0, np.uint32)


def bounded_rows(
    key: np.ndarray,
    first: int,
    count: int,
    bounds: np.ndarray,
    buffer: np.ndarray | None = None,
    places: tuple[np.ndarray, np.ndarray] = (_NONE, _NONE),
) -> np.ndarray:
    """Row r holds numbers from 0 to bounds - 1 of replicate `first` + r, for each key.

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`fastkb.random.streams.key_from_rng`.  # shape: (4,) or (keys, 4)
    first, count : int
    bounds : ndarray
        From 1 to 2**32 - 1.  # shape: (k,)
    buffer : ndarray of uint32, optional
        Where the numbers go, if they are to: fresh memory takes a fifth of the time that they take.
        # shape: (count·k or more,)
    places : tuple of two ndarrays of uint32, optional
        Order and offsets: instead of the number d of column j stands order[offsets[j] + d], or
        offsets[j] + d if the order is empty.  # shapes: (any,), (k,)

    Returns
    -------
    ndarray of uint32
        # shape: (count, k), or (keys, count, k)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.random.bounded import bounded_rows
    >>> from fastkb.random.streams import key_from_rng
    >>> rows = bounded_rows(key_from_rng(0), 0, 100, np.array([1, 2, 3]))
    >>> rows.max(axis=0)
    array([0, 1, 2], dtype=uint32)
    """
    bounds = np.ascontiguousarray(bounds, np.uint32)
    keys = np.ascontiguousarray(key.reshape(-1, 4))
    shape = len(keys) * count, len(bounds)
    if buffer is None:
        buffer = np.empty(math.prod(shape), np.uint32)
    out = buffer[: math.prod(shape)].reshape(shape)
    if out.size:
        order, offsets = places
        alike = (bounds == bounds[0]).all() and (offsets == offsets[:1]).all()
        fills = 1 if alike else max(2, -(-len(bounds) // _AT_A_TIME))
        limits = _laid_out(bounds, fills)
        thresholds = (2**32 % limits.astype(np.uint64)).astype(np.uint32)
        added = _laid_out(offsets, fills) if len(offsets) else np.zeros_like(limits)
        numbers = limits, thresholds, added
        words = np.empty((min(n_threads(), len(out)), 9, LANES), np.uint32)
        lasts = np.empty((len(words), _AT_A_TIME), np.uint32)
        _bounded(keys, first, numbers, words, lasts, order, out)
    return out.reshape(*key.shape[:-1], count, len(bounds))
