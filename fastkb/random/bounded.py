"""Rows of independent whole numbers, each below a bound of its own, addressable by (seed, replicate).

The streams are those of :mod:`fastkb.random.streams`: which thread draws a row, and in what company,
changes nothing.
"""

from __future__ import annotations

import numpy as np

from fastkb.random.streams import LANES, fill_words
from fastkb.runtime import jit, prange
from fastkb.runtime.threads import n_threads

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@jit(parallel=True)
def _bounded(keys, first, bounds, thresholds, words, out):
    workers, count = len(words), len(out) // len(keys)
    for worker in prange(workers):
        mine = words[worker]
        for r in range(worker, len(out), workers):
            row, key, replicate = out[r], keys[r // count], first + r % count
            drawn = 0
            block = 0
            while drawn < len(bounds):
                fill_words(mine, key, replicate, block)
                block += LANES
                for j in range(LANES):
                    for i in range(4):
                        if drawn < len(bounds):
                            product = np.uint64(mine[i, j]) * np.uint64(bounds[drawn])
                            if (product & _MASK) >= np.uint64(thresholds[drawn]):
                                row[drawn] = np.uint32(product >> _SHIFT)
                                drawn += 1


def bounded_rows(key: np.ndarray, first: int, count: int, bounds: np.ndarray) -> np.ndarray:
    """Row r holds numbers from 0 to bounds - 1 of replicate `first` + r, for each key.

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`fastkb.random.streams.key_from_rng`.  # shape: (4,) or (keys, 4)
    first, count : int
    bounds : ndarray
        From 1 to 2**32 - 1.  # shape: (k,)

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
    thresholds = (2**32 % bounds.astype(np.uint64)).astype(np.uint32)
    keys = np.ascontiguousarray(key.reshape(-1, 4))
    rows = len(keys) * count
    words = np.empty((max(1, min(n_threads(), rows)), 4, LANES), np.uint32)
    out = np.empty((rows, len(bounds)), np.uint32)
    if out.size:
        _bounded(keys, first, bounds, thresholds, words, out)
    return out.reshape(*key.shape[:-1], count, len(bounds))
