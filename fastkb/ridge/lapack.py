"""Two LAPACK factorisations in place, during which other Python threads run.

SciPy's own wrappers of these hold the interpreter's lock from beginning to end, so that a pool of
threads would compute one matrix after another; NumPy's eigendecomposition lets it go, and takes five
matrices of memory instead of three. Called through :mod:`ctypes` by the addresses that SciPy publishes
for Cython, they run at the same time and where the matrix lies.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError

from fastkb.linalg.lapack import capsule


def eigh_in_place(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues in ascending order and eigenvectors of a symmetric matrix, by LAPACK's dsyevd.

    Divide and conquer takes two matrices of workspace, where relatively robust representations
    (dsyevr) take one; but its vectors are orthogonal to a few eps, theirs to some hundred, and
    small penalties magnify the difference. They are equally fast.

    Parameters
    ----------
    K : ndarray of float64
        C- or F-ordered; overwritten with the vectors.  # shape: (n, n)

    Returns
    -------
    values : ndarray
        # shape: (n,)
    vectors : ndarray
        A column for each value, in the memory of `K`.  # shape: (n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If the iteration does not converge, which only NaN or infinity can bring about.
    """
    n = _check(K)
    if n == 0:  # LAPACK takes no leading dimension of 0
        return np.empty(0), K
    integer = _integer("dsyevd")
    values = np.empty(n)
    size, info = integer(n), integer(0)

    def call(work: np.ndarray, lwork: int, iwork: np.ndarray, liwork: int) -> None:
        _function("dsyevd")(
            *(_byref(ctypes.c_char(b"V")), _byref(ctypes.c_char(b"L"))),
            *(_byref(size), _pointer(K), _byref(size), _pointer(values)),
            *(_pointer(work), _byref(integer(lwork)), _pointer(iwork), _byref(integer(liwork))),
            _byref(info),
        )

    work: np.ndarray = np.empty(1)
    iwork: np.ndarray = np.empty(1, dtype=integer)
    call(work, -1, iwork, -1)  # asks for the sizes
    work, iwork = np.empty(int(work[0])), np.empty(int(iwork[0]), dtype=integer)
    call(work, work.size, iwork, iwork.size)
    if info.value != 0:
        raise LinAlgError("the eigendecomposition of the Gram matrix did not converge")
    return values, K if K.flags.f_contiguous else K.T


def pivoted_cholesky_in_place(K: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Pivoted Cholesky factor of a positive semidefinite matrix, by LAPACK's dpstrf.

    Parameters
    ----------
    K : ndarray of float64
        C-ordered; its diagonal and its strictly upper triangle are overwritten, and the strictly
        lower triangle stays.  # shape: (n, n)
    tolerance : float
        Stops when no diagonal entry of the rest is larger.

    Returns
    -------
    factor : ndarray
        L, lower trapezoidal, of the matrix whose rows and columns are in the order of `pivots`; its
        strictly upper triangle is what `K` holds there.  # shape: (n, rank)
    pivots : ndarray of int
        # shape: (n,)
    """
    n = _check(K)
    integer = _integer("dpstrf")
    pivots: np.ndarray = np.empty(n, dtype=integer)
    work = np.empty(2 * max(1, n))
    rank, info = integer(0), integer(0)
    _function("dpstrf")(
        *(_byref(ctypes.c_char(b"L")), _byref(integer(n)), _pointer(K), _byref(integer(n))),
        *(_pointer(pivots), _byref(rank), _byref(ctypes.c_double(tolerance))),
        *(_pointer(work), _byref(info)),
    )
    # info is 1 where the tolerance stopped it, which is the purpose.
    return K.T[:, : rank.value], pivots - 1


_byref = ctypes.byref


def _check(K: np.ndarray) -> int:
    if K.dtype != np.float64 or not (K.flags.c_contiguous or K.flags.f_contiguous):
        raise TypeError("K must be a contiguous matrix of float64")
    if K.ndim != 2 or K.shape[0] != K.shape[1] or not K.flags.writeable:
        raise TypeError("K must be a square matrix that may be overwritten")
    return K.shape[0]


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    """The address of `array`, which the caller must keep alive: the pointer does not."""
    return ctypes.c_void_p(array.ctypes.data)


@functools.cache
def _function(name: str) -> Callable:
    address, signature = capsule(name)
    arguments = [ctypes.c_void_p] * (signature.count(",") + 1)
    return ctypes.CFUNCTYPE(None, *arguments)(address)


@functools.cache
def _integer(name: str) -> type:
    """LAPACK's integer in SciPy's library: of 32 bits, unless it was built with 64."""
    _, signature = capsule(name)
    return ctypes.c_int if " int *" in signature else ctypes.c_int64
