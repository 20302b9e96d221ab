"""Percentiles of a band: for every evaluation point, quantiles of its column of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads

_SAMPLE = 31  # elements that a bound for a quantile is guessed from
_SAMPLED_FROM = 8 * _SAMPLE  # below so many elements a guess saves nothing
_COLUMNS = 8  # gathered at a time: a cache line of a row of samples


@inline
def select(values, rank):
    """Rearrange values so that values[rank] is in its sorted place, smaller ones before.

    Hoare's quickselect, the pivot being the median of three.
    """
    low, high = 0, len(values) - 1
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
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


@inline
def select_two(values, rank):
    """The order statistics `rank` and `rank` + 1 (or twice the last); rearranges values."""
    select(values, rank)
    lower = upper = values[rank]
    if rank + 1 < len(values):
        # What lies behind is not smaller: its minimum is the next order statistic.
        upper = values[rank + 1]
        for k in range(rank + 2, len(values)):
            upper = min(upper, values[k])
    return lower, upper


@inline
def _sorted_sample(values, sample):
    """Elements at even distances, sorted by insertion."""
    step = len(values) // _SAMPLE
    for k in range(_SAMPLE):
        value = values[k * step]
        place = k
        while place > 0 and sample[place - 1] > value:
            sample[place] = sample[place - 1]
            place -= 1
        sample[place] = value


@inline
def _candidates(values, rank, sample, some):
    """Copy into `some` what the order statistics `rank` and `rank` + 1 can be; their number and offset.

    All elements up to a bound, or from a bound on, that the sample suggests: rank's place among them is
    rank - offset. A pass without branches, after which few elements are left for 5% or 95% (the idea is
    Floyd and Rivest's, 1975). If the bound was too tight, all elements.
    """
    n = len(values)
    place = rank * _SAMPLE // n
    count = 0
    if n >= _SAMPLED_FROM:
        if 2 * rank < n:
            bound = sample[min(place + 2, _SAMPLE - 1)]
            for k in range(n):
                some[count] = values[k]
                count += values[k] <= bound
            if rank + 1 < count:
                return count, 0
        else:
            bound = sample[max(place - 2, 0)]
            for k in range(n):
                some[count] = values[k]
                count += values[k] >= bound
            if n - count <= rank:
                return count, n - count
    some[:n] = values
    return n, 0


@inline
def _two_neighbours(values, rank, sample, some):
    """The order statistics `rank` and `rank` + 1 (or twice the last)."""
    count, offset = _candidates(values, rank, sample, some)
    return select_two(some[:count], rank - offset)


@jit(parallel=True)
def _order_statistics(samples, ranks, scratch, lower, upper):
    """The order statistics ranks[q] and ranks[q] + 1 of each column of samples, at [q, column].

    # shape of scratch: (workers, _COLUMNS + 1, n + _SAMPLE + 1)
    """
    n, columns = samples.shape
    workers = scratch.shape[0]
    for worker in prange(workers):
        some = scratch[worker, _COLUMNS, : n + 1]  # a rejected element may stand behind the others
        sample = scratch[worker, _COLUMNS, n + 1 :]
        for start in range(worker * _COLUMNS, columns, workers * _COLUMNS):
            count = min(_COLUMNS, columns - start)
            for k in range(n):
                for c in range(count):
                    scratch[worker, c, k] = samples[k, start + c]
            for c in range(count):
                values = scratch[worker, c, :n]
                if n >= _SAMPLED_FROM:
                    _sorted_sample(values, sample)
                for q in range(len(ranks)):
                    pair = _two_neighbours(values, ranks[q], sample, some)
                    lower[q, start + c], upper[q, start + c] = pair


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
    >>> from fastkb.linalg.quantiles import column_quantiles
    >>> column_quantiles(np.arange(5.0)[:, None], [0.25, 0.9])
    array([[1. ],
           [3.6]])
    """
    n = len(samples)
    flat = np.ascontiguousarray(samples, dtype=np.float64).reshape(n, -1)
    virtual = (n - 1) * np.asarray(probabilities, dtype=np.float64)
    ranks = np.minimum(np.floor(virtual).astype(np.intp), n - 1)
    lower, upper = np.empty((2, len(ranks), flat.shape[1]))
    scratch = np.empty((n_threads(), _COLUMNS + 1, n + 1 + _SAMPLE))
    _order_statistics(flat, ranks, scratch, lower, upper)
    out = interpolate(lower, upper, (virtual - ranks)[:, None])
    return out.reshape(len(ranks), *samples.shape[1:])


def interpolate(lower: np.ndarray, upper: np.ndarray, part: Any) -> np.ndarray:
    """Between two order statistics as NumPy does it, from the nearer end, in their own type.

    Outside compiled code, where the multiplication and the addition would round once together. `part` is
    0 at the lower one and 1 at the upper one.
    """
    step = upper - lower
    return np.where(part >= 0.5, upper - step * (1.0 - part), lower + step * part)


def sorted_with_places(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row in ascending order, and the place of each of its elements there.  # shapes: as x"""
    order = np.argsort(x, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None, :], axis=1)
    return np.take_along_axis(x, order, axis=1), places
