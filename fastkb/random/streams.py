"""Bootstrap resamples from a counter-based generator: (seed, replicate) names one resample.

Philox4x32-10 turns a 128-bit counter under a 64-bit key into four 32-bit words, so any part of any
stream is computed without the parts before it::

    key      = (k0, k1)                        from the seed
    counter  = (block, replicate, k2, k3)      words 4·block … 4·block + 3 of this replicate

(k0, k1, k2, k3) are 128 bits of a ``numpy.random.SeedSequence``. A resample of n rows with
replacement is n indices: word u becomes the high half of the 64-bit product u·n, and is skipped where
the low half is below 2³² mod n (Lemire's method: exactly uniform). Counting the indices gives the
resample's integer weights, which are multinomial(n; 1/n, …, 1/n).

Which thread computes a replicate, in which order and in what company, changes nothing. The plain
NumPy twin is :mod:`fastkb.reference.streams`.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11.
Lemire (2019), Fast random integer generation in an interval, ACM TOMACS 29(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkb.runtime import inline, jit, prange

# Blocks generated at a time: a few vectors of independent lanes, so that the ten dependent rounds
# of one lane hide behind those of the others.
LANES = 32

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)


def key_from_rng(rng: Any = None) -> np.ndarray:
    """Four 32-bit words that name a family of streams.

    Parameters
    ----------
    rng : None, int, numpy.random.SeedSequence, numpy.random.Generator or ndarray
        None draws fresh entropy from the system; a Generator is advanced by four draws. An array is a
        key already.

    Returns
    -------
    ndarray of uint32
        # shape: (4,)
    """
    if isinstance(rng, np.ndarray):
        return rng
    if isinstance(rng, np.random.Generator):
        return rng.integers(0, 2**32, size=4, dtype=np.uint32)
    sequence = rng if isinstance(rng, np.random.SeedSequence) else np.random.SeedSequence(rng)
    return sequence.generate_state(4, np.uint32)


def keys_of_members(key: np.ndarray, members: Sequence[int]) -> np.ndarray:
    """Keys of families whose streams are independent of each other, one for each member's number.

    They differ in k3 alone, and so in the counters that are encrypted.

    Parameters
    ----------
    key : ndarray of uint32
        # shape: (4,)
    members : sequence of int
        From 0 to 2**32 - 1.

    Returns
    -------
    ndarray of uint32
        # shape: (members, 4)

    Examples
    --------
    >>> from fastkb.random.streams import key_from_rng, keys_of_members
    >>> keys = keys_of_members(key_from_rng(0), range(3))
    >>> (keys[:, 3] - keys[0, 3]).tolist(), len(set(map(tuple, keys[:, :3].tolist())))
    ([0, 1, 2], 1)
    """
    keys = np.tile(key, (len(members), 1))
    keys[:, 3] += np.asarray(members, np.uint32)
    return keys


@inline
def philox_round(c0, c1, c2, c3, k0, k1):
    """One round of Philox4x32 on words held in 64-bit integers."""
    product_0 = _MULTIPLIER_0 * c0
    product_1 = _MULTIPLIER_1 * c2
    return (
        (product_1 >> _SHIFT) ^ c1 ^ k0,
        product_1 & _MASK,
        (product_0 >> _SHIFT) ^ c3 ^ k1,
        product_0 & _MASK,
    )


@inline
def philox_block(c0, c1, c2, c3, k0, k1):
    """The four words of one counter: ten rounds, the key stepping between them."""
    for _ in range(9):
        c0, c1, c2, c3 = philox_round(c0, c1, c2, c3, k0, k1)
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return philox_round(c0, c1, c2, c3, k0, k1)


@inline
def fill_words(words, key, replicate, first_block):
    """Words of LANES blocks from `first_block`: word 4·j + i stands at words[i, j]."""
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    k2, k3 = np.uint64(key[2]), np.uint64(key[3])
    c1 = np.uint64(replicate)
    for j in range(LANES):
        block = np.uint64(first_block + j) & _MASK
        w0, w1, w2, w3 = philox_block(block, c1, k2, k3, k0, k1)
        words[0, j] = np.uint32(w0)
        words[1, j] = np.uint32(w1)
        words[2, j] = np.uint32(w2)
        words[3, j] = np.uint32(w3)


@inline
def fill_words_across(words, key, first_replicate, block):
    """Words of one block of LANES replicates: word 4·block + i of the j-th stands at words[i, j]."""
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    k2, k3 = np.uint64(key[2]), np.uint64(key[3])
    c0 = np.uint64(block)
    for j in range(LANES):
        replicate = np.uint64(first_replicate + j) & _MASK
        w0, w1, w2, w3 = philox_block(c0, replicate, k2, k3, k0, k1)
        words[0, j] = np.uint32(w0)
        words[1, j] = np.uint32(w1)
        words[2, j] = np.uint32(w2)
        words[3, j] = np.uint32(w3)


@inline
def add_counts(key, replicate, n_draws, n, counts, words):
    """Add to counts[i] how often row i of n is drawn in `n_draws` draws of this replicate.

    `counts` may be of any number type; `words` is scratch.  # shapes: (n,), (4, LANES)
    """
    bound = np.uint64(n)
    threshold = np.uint64(2**32) % bound
    drawn = 0
    block = 0
    while drawn < n_draws:
        fill_words(words, key, replicate, block)
        block += LANES
        for j in range(LANES):
            for i in range(4):
                product = np.uint64(words[i, j]) * bound
                if (product & _MASK) >= threshold and drawn < n_draws:
                    counts[np.int64(product >> _SHIFT)] += 1
                    drawn += 1


@jit(parallel=True)
def _many_counts(key, first, n_draws, counts, words):
    for r in prange(counts.shape[0]):
        counts[r, :] = 0
        add_counts(key, first + r, n_draws, counts.shape[1], counts[r], words[r])


def bootstrap_counts(key: np.ndarray, first: int, n_replicates: int, n: int) -> np.ndarray:
    """How often each of n rows is drawn, for replicates `first`, `first` + 1, …

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`key_from_rng`.  # shape: (4,)
    first : int
        The first replicate, from 0.
    n_replicates : int
        How many replicates.
    n : int
        Number of rows, and of draws in each replicate.

    Returns
    -------
    ndarray of int32
        Each row sums to n.  # shape: (n_replicates, n)

    Raises
    ------
    ValueError
        If a replicate would not be below 2**32, or n is not from 1 to 2**31 - 1.

    Examples
    --------
    >>> from fastkb.random.streams import bootstrap_counts, key_from_rng
    >>> key = key_from_rng(0)
    >>> counts = bootstrap_counts(key, 0, 8, 5)
    >>> counts.sum(axis=1)
    array([5, 5, 5, 5, 5, 5, 5, 5])
    >>> bool((bootstrap_counts(key, 6, 1, 5) == counts[6]).all())
    True
    """
    _check_range(first, n_replicates, n)
    counts = np.empty((n_replicates, n), np.int32)
    _many_counts(key, first, n, counts, np.empty((n_replicates, 4, LANES), np.uint32))
    return counts


def _check_range(first: int, n_replicates: int, n: int) -> None:
    if first < 0 or n_replicates < 0 or first + n_replicates > 2**32:
        raise ValueError(
            f"replicates must be from 0 to 2**32 - 1, got {first} to {first + n_replicates - 1}"
        )
    if not 1 <= n < 2**31:
        raise ValueError(f"n must be from 1 to 2**31 - 1, got {n}")
