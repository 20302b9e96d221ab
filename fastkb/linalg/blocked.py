"""Cholesky factorisation of one large matrix on all threads, with the same bits for any number of them.

LAPACK's own threads cut a matrix into as many parts as there are threads, and the last bits of its factor
depend on where. Here the matrix is cut into squares of fixed size, and a task is one call of
single-threaded BLAS on whole squares: which thread takes it changes nothing. For squares i ≥ j > k of the
lower triangle, one column k of them after the other,

    L_kk = cholesky(A_kk)      L_ik = A_ik L_kk⁻ᵀ      A_ij ← A_ij - L_ik L_jkᵀ.

Matrices are C-ordered. For Fortran they are transposed, so that the lower triangle above is the upper one
here; the other triangle is left alone, as LAPACK leaves it.
"""

from __future__ import annotations

import numpy as np
from numba.core import types
from numba.extending import overload

from fastkb.linalg.lapack import LOWER, Integer, by_reference, factor_lower, routine
from fastkb.runtime import jit, prange

# Rows of a square: a product of three of them is a task of about a millisecond.
SIZE = 256
# Up to so many rows LAPACK's own takes about ten milliseconds on one thread.
WORTH = 4 * SIZE


_NO, _YES, _RIGHT = (np.uint8(ord(letter)) for letter in "NTR")

# side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb
_dtrsm, _strsm = (routine("cython_blas", name, 11) for name in ("dtrsm", "strsm"))
# uplo, trans, n, k, alpha, a, lda, beta, c, ldc
_dsyrk, _ssyrk = (routine("cython_blas", name, 10) for name in ("dsyrk", "ssyrk"))
# transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc
_dgemm, _sgemm = (routine("cython_blas", name, 13) for name in ("dgemm", "sgemm"))


def _divide(a, i, rows, k, columns):
    """L_ik = A_ik L_kk⁻ᵀ for the square that begins in row i and column k."""
    raise NotImplementedError("for compiled code")


def _subtract(a, i, rows, j, columns, k, terms):
    """A_ij ← A_ij - L_ik L_jkᵀ; of a square on the diagonal the lower triangle."""
    raise NotImplementedError("for compiled code")


@overload(_divide)
def _divide_compiled(a, i, rows, k, columns):
    double = a.dtype == types.float64
    trsm, kind = (_dtrsm, np.float64) if double else (_strsm, np.float32)

    def compiled(a, i, rows, k, columns):
        lead = by_reference(Integer(a.shape[1]))
        triangle, target = a[k:, k:], a[k:, i:]
        trsm(
            by_reference(_RIGHT),
            by_reference(LOWER),
            by_reference(_YES),
            by_reference(_NO),
            by_reference(Integer(rows)),
            by_reference(Integer(columns)),
            by_reference(kind(1.0)),
            triangle.ctypes,
            lead,
            target.ctypes,
            lead,
        )

    return compiled


@overload(_subtract)
def _subtract_compiled(a, i, rows, j, columns, k, terms):
    double = a.dtype == types.float64
    gemm, syrk = (_dgemm, _dsyrk) if double else (_sgemm, _ssyrk)
    kind = np.float64 if double else np.float32

    def compiled(a, i, rows, j, columns, k, terms):
        lead = by_reference(Integer(a.shape[1]))
        m = by_reference(Integer(rows))
        n = by_reference(Integer(columns))
        depth = by_reference(Integer(terms))
        minus = by_reference(kind(-1.0))
        plus = by_reference(kind(1.0))
        no, yes = by_reference(_NO), by_reference(_YES)
        left, right, target = a[k:, i:], a[k:, j:], a[j:, i:]
        if i == j:
            uplo = by_reference(LOWER)
            syrk(uplo, no, m, depth, minus, left.ctypes, lead, plus, target.ctypes, lead)
        else:
            gemm(
                no,
                yes,
                m,
                n,
                depth,
                minus,
                left.ctypes,
                lead,
                right.ctypes,
                lead,
                plus,
                target.ctypes,
                lead,
            )

    return compiled


@jit
def _factor_square(a, k, size):
    return factor_lower(a[k:, k:], size)


@jit(parallel=True, chunk=1)
def _divide_rows(a, k, size):
    n = a.shape[0]
    for task in prange((n - k - 1) // size):
        i = k + (task + 1) * size
        _divide(a, i, min(size, n - i), k, size)


@jit(parallel=True, chunk=1)
def _subtract_squares(a, k, size):
    n = a.shape[0]
    across = (n - k - 1) // size
    for task in prange(across * (across + 1) // 2):
        # The squares of the triangle, row by row.
        row = int((np.sqrt(8.0 * task + 1.0) - 1.0) / 2.0)
        column = task - row * (row + 1) // 2
        i, j = k + (row + 1) * size, k + (column + 1) * size
        _subtract(a, i, min(size, n - i), j, min(size, n - j), k, size)


def cholesky_in_place(a: np.ndarray, size: int = SIZE) -> int:
    """Overwrite the upper triangle of `a` by Lᵀ, A = L Lᵀ; the strictly lower one stays.

    BLAS must be limited to one thread (:func:`fastkb.runtime.threads.limit_blas`).

    Parameters
    ----------
    a : ndarray of float32 or float64
        Symmetric, C-contiguous.  # shape: (n, n)
    size : int
        Rows of a square.

    Returns
    -------
    int
        0, or the number (from 1) of the first pivot that is not positive: the rest is not factored.
    """
    for k in range(0, len(a), size):
        info = int(_factor_square(a, k, min(size, len(a) - k)))
        if info:
            return k + info
        if k + size < len(a):
            _divide_rows(a, k, size)
            _subtract_squares(a, k, size)
    return 0
