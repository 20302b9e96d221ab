"""Percentiles of a band: for every evaluation point, quantiles of its column of predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads


@inline
def _select(values, first, rank):
    """Rearrange values[first:] so that values[rank] is in its sorted place, smaller ones before.

    Hoare's quickselect, the pivot being the median of three.
    """
    low, high = first, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        a, b, c = values[low], values[middle], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            return


@jit(parallel=True)
def _order_statistics(samples, ranks, scratch, lower, upper):
    """The order statistics ranks[q] and ranks[q] + 1 of each column of samples, at [q, column]."""
    n, columns = samples.shape
    workers = scratch.shape[0]
    for worker in prange(workers):
        values = scratch[worker]
        for i in range(worker, columns, workers):
            for k in range(n):
                values[k] = samples[k, i]
            sorted_up_to = 0
            for q in range(len(ranks)):
                rank = ranks[q]
                if rank >= sorted_up_to:
                    _select(values, sorted_up_to, rank)
                    sorted_up_to = rank + 1
                lower[q, i] = values[rank]
                if rank + 1 < n:
                    # What lies behind is not smaller: its minimum is the next order statistic.
                    place = rank + 1
                    for k in range(rank + 2, n):
                        if values[k] < values[place]:
                            place = k
                    values[rank + 1], values[place] = values[place], values[rank + 1]
                    sorted_up_to = rank + 2
                upper[q, i] = values[min(rank + 1, n - 1)]


def column_quantiles(samples: np.ndarray, probabilities: Sequence[float]) -> np.ndarray:
    """``numpy.quantile(samples, probabilities, axis=0)``, linear method, over all threads.

    Parameters
    ----------
    samples : ndarray of float64
        Finite.  # shape: (n, …)
    probabilities : sequence of float
        Ascending, from 0 to 1.

    Returns
    -------
    ndarray
        # shape: (len(probabilities), …)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.bootstrap.quantiles import column_quantiles
    >>> column_quantiles(np.arange(5.0)[:, None], [0.25, 0.9])
    array([[1. ],
           [3.6]])
    """
    n = len(samples)
    flat = np.ascontiguousarray(samples, dtype=np.float64).reshape(n, -1)
    virtual = (n - 1) * np.asarray(probabilities, dtype=np.float64)
    ranks = np.minimum(np.floor(virtual).astype(np.intp), n - 1)
    lower, upper = np.empty((2, len(ranks), flat.shape[1]))
    _order_statistics(flat, ranks, np.empty((n_threads(), n)), lower, upper)
    # NumPy's interpolation, from the nearer end: outside compiled code, where the multiplication and
    # the addition would round once together.
    t = (virtual - ranks)[:, None]
    step = upper - lower
    out = np.where(t >= 0.5, upper - step * (1.0 - t), lower + step * t)
    return out.reshape(len(ranks), *samples.shape[1:])
