"""Random orders, addressable by (seed, replicate): Fisher and Yates's shuffle of the package's stream."""

from __future__ import annotations

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.runtime import jit, prange


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
