"""LAPACK inside compiled functions that are cached on disk.

SciPy publishes the addresses of its LAPACK for Cython. A raw address in compiled code could not be
cached: it differs from process to process. So each routine's address is registered at import under a
symbol of our own, compiled code calls the symbol, and the loader binds it anew in every process.

Inside a parallel region BLAS must run on one thread: hold :func:`fastkb.runtime.threads.limit_blas`.

>>> import numpy as np
>>> from fastkb.linalg.lapack import cholesky_factor, cholesky_solve
>>> from fastkb.runtime import jit
>>> @jit(cache=False)
... def solve(matrix, right):
...     failed = cholesky_factor(matrix)
...     return cholesky_solve(matrix, right) if failed == 0 else failed
>>> matrix, right = np.array([[4.0, 2.0], [2.0, 3.0]]), np.array([[2.0, 5.0]])
>>> solve(matrix, right)
0
>>> right.round(6)
array([[-0.5,  2. ]])
"""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding
import numpy as np
from numba.core import types
from numba.extending import overload
from scipy.linalg import cython_lapack

from fastkb.runtime import inline

_ROUTINES = ("dpotrf", "spotrf", "dpotrs", "spotrs")
_PREFIX = {types.float64: "d", types.float32: "s"}


def capsule(name: str) -> tuple[int, str]:
    """Address and C signature of a LAPACK routine in SciPy's library."""
    capsule = cython_lapack.__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(capsule)
    return get_pointer(capsule, signature), signature.decode()


def _register(name: str) -> Any:
    """The routine as a function that compiled code can call; its arguments are addresses."""
    address, signature = capsule(name)
    symbol = f"fastkb_{name}"
    llvmlite.binding.add_symbol(symbol, address)
    # An address is passed as an integer of its size: the same register, and no cast in the IR.
    count = signature.count(",") + 1
    return types.ExternalFunction(symbol, types.void(*[types.intp] * count))


_FUNCTIONS = {name: _register(name) for name in _ROUTINES}
# LAPACK's integer in SciPy's library: of 32 bits, unless it was built with 64.
_INTEGER = np.int32 if " int *" in capsule("dpotrf")[1] else np.int64
# The lower triangle of a C-ordered matrix is the upper one of LAPACK's column order.
_UPPER = np.frombuffer(b"U", np.uint8).copy()


def _potrf(kind, triangle, n, matrix, info):
    """?potrf by the element type of `kind`; all other arguments are addresses."""


def _potrs(kind, triangle, n, count, matrix, right, info):
    """?potrs likewise."""


@overload(_potrf)
def _potrf_compiled(kind, triangle, n, matrix, info):
    routine = _FUNCTIONS[_PREFIX[kind.dtype] + "potrf"]

    def call(kind, triangle, n, matrix, info):
        routine(triangle, n, matrix, n, info)

    return call


@overload(_potrs)
def _potrs_compiled(kind, triangle, n, count, matrix, right, info):
    routine = _FUNCTIONS[_PREFIX[kind.dtype] + "potrs"]

    def call(kind, triangle, n, count, matrix, right, info):
        routine(triangle, n, count, matrix, n, right, n, info)

    return call


@inline
def cholesky_factor(matrix):
    """Overwrite the lower triangle of a symmetric C-contiguous matrix by its Cholesky factor.

    Returns 0, or the number of the first column whose pivot is not positive, counted from 1. Only the
    lower triangle is read; the upper one stays.  # shape: (n, n)
    """
    integers = np.empty(2, _INTEGER)
    integers[0] = matrix.shape[0]
    integers[1] = 0
    start = integers.ctypes.data
    step = integers.itemsize
    _potrf(matrix, _UPPER.ctypes.data, start, matrix.ctypes.data, start + step)
    return np.int64(integers[1])


@inline
def cholesky_solve(factor, right):
    """Overwrite each row of `right` by the solution for it, given :func:`cholesky_factor`'s matrix.

    Returns 0.  # shapes: (n, n), (n_right, n), both C-contiguous
    """
    integers = np.empty(3, _INTEGER)
    integers[0] = factor.shape[0]
    integers[1] = right.shape[0]
    integers[2] = 0
    start = integers.ctypes.data
    step = integers.itemsize
    _potrs(
        factor,
        _UPPER.ctypes.data,
        start,
        start + step,
        factor.ctypes.data,
        right.ctypes.data,
        start + 2 * step,
    )
    return np.int64(integers[2])
