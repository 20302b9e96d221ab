"""Random orders and choices by Fisher and Yates's shuffle, addressable by (seed, replicate)."""

from __future__ import annotations

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.runtime import jit, prange
from fastkb.runtime.threads import n_threads


@jit(parallel=True)
def _shuffle(draws, out):
    n = out.shape[1]
    for r in prange(len(out)):
        row, drawn = out[r], draws[r]
        for k in range(n):
            row[k] = k
        for k in range(n - 1):
            other = k + np.int64(drawn[k])
            row[k], row[other] = row[other], row[k]


def permutations(key: np.ndarray, first: int, count: int, n: int) -> np.ndarray:
    """Orders of n things, all equally likely, for replicates `first`, `first` + 1, ….

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`fastkb.random.streams.key_from_rng`.  # shape: (4,) or (keys, 4)
    first, count : int
    n : int
        From 1 to 2**32 - 1.

    Returns
    -------
    ndarray of int64
        # shape: (count, n), or (keys, count, n)

    References
    ----------
    Durstenfeld (1964), Algorithm 235: random permutation, CACM 7(7).

    Examples
    --------
    >>> from fastkb.random.orders import permutations
    >>> from fastkb.random.streams import key_from_rng
    >>> orders = permutations(key_from_rng(0), 0, 4, 10)
    >>> sorted(orders[2].tolist()) == list(range(10))
    True
    >>> bool((permutations(key_from_rng(0), 2, 1, 10)[0] == orders[2]).all())
    True
    """
    drawn = bounded_rows(key, first, count, np.arange(n, 0, -1))
    out = np.empty(drawn.shape, np.int64)
    _shuffle(drawn.reshape(-1, n), out.reshape(-1, n))
    return out


@jit(parallel=True)
def _partial_shuffle(drawn, places, touched):
    workers = len(places)
    for worker in prange(workers):
        mine, others = places[worker], touched[worker]
        for k in range(len(mine)):
            mine[k] = k
        for r in range(worker, len(drawn), workers):
            row = drawn[r]
            for k in range(len(row)):
                other = row[k] + np.uint32(k)
                others[k] = other
                row[k] = mine[other]
                mine[other] = mine[k]
            for k in range(len(row)):  # the places that were written to, as they were
                mine[others[k]] = others[k]


def partial_shuffles(drawn: np.ndarray, n: int) -> np.ndarray:
    """The first places of a shuffle of n things, in place: for each row of draws, different things.

    It takes time for what is drawn, whatever n is.

    Parameters
    ----------
    drawn : ndarray of uint32
        In column k numbers below n - k.  # shape: (rows, m)
    n : int

    Returns
    -------
    ndarray of uint32
        # shape: (rows, m)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.random.orders import partial_shuffles
    >>> partial_shuffles(np.array([[0, 0, 0], [3, 2, 0]], np.uint32), 4)
    array([[0, 1, 2],
           [3, 0, 2]], dtype=uint32)
    """
    workers = max(1, min(n_threads(), len(drawn)))
    places = np.empty((workers, n), np.uint32)
    _partial_shuffle(drawn, places, np.empty((workers, drawn.shape[1]), np.uint32))
    return drawn
