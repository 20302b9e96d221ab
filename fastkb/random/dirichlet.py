"""Weights of the Bayesian bootstrap: uniform on the simplex, addressable by (seed, replicate).

Unit exponentials over their sum are Dirichlet(1, …, 1)::

    u = (k + ½)·2⁻⁵²            k: the upper 26 bits of one word, then of the next
    e = -log u
    w = e / (e₁ + … + e_n)

u is symmetric about ½ and strictly between 0 and 1, and so every weight is positive and finite. (A
53rd bit would round (2⁵³ - ½)·2⁻⁵³ to 1, and the weight to 0.) The streams are those of
:mod:`fastkb.random.streams`: which thread draws a row, and in what company, changes nothing.

References
----------
Rubin (1981), The Bayesian bootstrap, Annals of Statistics 9. Devroye (1986), Non-Uniform Random Variate
Generation, section V.2 (normalised exponentials). Tang (1990), ACM TOMS 16, and Ng's e_log.c of
FDLIBM (1993), for the logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastkb.random.streams import LANES, fill_words
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads
from fastkb.scalar.sums import quick_sum

# Exponentials that the words of one fill make: two words for each.
_AT_A_TIME = 2 * LANES

# The upper words of the float64 1.0 and of √½, and what lies between them.
_SQRT_HALF = np.int64(0x3FE6A09E << 32)
_TO_ONE = np.int64((0x3FF00000 - 0x3FE6A09E) << 32)
_MANTISSA = np.int64(2**52 - 1)


@inline
def log(x):
    """The natural logarithm of a positive normal float64, at most 1 ulp from the truth.

    x = 2ᵏ·(1 + f) with √½ < 1 + f < √2, and with s = f / (2 + f)::

        log(1 + f) = 2·atanh(s) = f - (f²/2 - s·(f²/2 + R(s²)))

    Straight-line code as in :mod:`fastkb.scalar.elementary`, which LLVM widens: 0.5 ns an element
    (AVX-512), where a call of the C library's takes 5. ln 2 = high + low, where k·high is exact.
    """
    bits = np.float64(x).view(np.int64) + _TO_ONE
    k = np.float64(np.int32((bits >> 52) - 1023))
    f = np.int64((bits & _MANTISSA) + _SQRT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    odd = 0.1818357216161805012 + w * 0.1479819860511658591
    odd = z * (0.6666666666666735130 + w * (0.2857142874366239149 + w * odd))
    half = 0.5 * f * f
    low = s * (half + (even + odd)) + k * 1.90821492927058770002e-10
    return k * 6.93147180369123816490e-1 - ((half - low) - f)


@inline
def _exponential(high, low):
    """A unit exponential of two words, of 26 bits each, which AVX2 converts as 32-bit integers."""
    upper, lower = np.float64(np.int32(high >> 6)), np.float64(np.int32(low >> 6))
    return -log(upper * 2.0**-26 + (lower + 0.5) * 2.0**-52)


@jit(parallel=True)
def _dirichlet(key, first, ends, words, scratch, out):
    workers = len(words)
    for worker in prange(workers):
        mine, some = words[worker], scratch[worker]
        for r in range(worker, len(out), workers):
            row = out[r]
            for start in range(0, len(row), _AT_A_TIME):
                fill_words(mine, key, first + r, start // 2)  # a block is two exponentials
                for j in range(LANES):
                    some[2 * j] = _exponential(mine[0, j], mine[1, j])
                    some[2 * j + 1] = _exponential(mine[2, j], mine[3, j])
                for i in range(min(_AT_A_TIME, len(row) - start)):
                    row[start + i] = some[i]
            begin = 0
            for end in ends:
                part = row[begin:end]
                total = quick_sum(part)
                for i in range(len(part)):
                    part[i] /= total
                begin = end


def dirichlet_rows(
    key: np.ndarray, first: int, count: int, lengths: Sequence[int]
) -> list[np.ndarray]:
    """Row r of each array holds the weights of one sample in replicate `first` + r.

    Parameters
    ----------
    key : ndarray of uint32
        From :func:`fastkb.random.streams.key_from_rng`.  # shape: (4,)
    first, count : int
    lengths : sequence of int
        Observations of each sample, at most 2**33 together.

    Returns
    -------
    list of ndarray
        Positive weights that sum to one along each row; the samples' are independent. They are parts
        of one array, which is C-contiguous along the rows.  # shapes: (count, n_j), float64

    Examples
    --------
    >>> from fastkb.random.dirichlet import dirichlet_rows
    >>> from fastkb.random.streams import key_from_rng
    >>> x, y = dirichlet_rows(key_from_rng(0), 0, 100, [3, 5])
    >>> x.shape, y.shape
    ((100, 3), (100, 5))
    >>> bool((x > 0).all()), bool(abs(y.sum(axis=1) - 1).max() < 1e-15)
    (True, True)
    """
    ends = np.cumsum(np.asarray(lengths, np.int64))
    total = int(ends[-1]) if len(ends) else 0
    workers = max(1, min(n_threads(), count))
    words = np.empty((workers, 4, LANES), np.uint32)
    out = np.empty((count, total))
    if out.size:
        _dirichlet(key, first, ends, words, np.empty((workers, _AT_A_TIME)), out)
    return np.split(out, ends[:-1], axis=1)
