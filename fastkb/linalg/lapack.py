"""LAPACK and BLAS inside compiled loops, in code that is kept on disk.

SciPy exports the Fortran routines of the BLAS that it is linked with (``scipy.linalg.cython_lapack`` and
``cython_blas``) as addresses. Such an address is valid in one process only, so code that holds it cannot
be cached. Here the address is given a *name* when this module is imported, and compiled code calls the
name: code loaded from the disk finds the address of its own process.

Fortran takes every argument by reference: :func:`by_reference` puts a number on the stack. Matrices
are in column order; a C-ordered symmetric matrix is its own transpose, so its upper triangle is
Fortran's lower one (``LOWER``).

BLAS's own threads must be off around parallel regions that call these functions
(:func:`fastkb.runtime.threads.limit_blas`).

Examples
--------
>>> import numpy as np
>>> from fastkb.linalg import lapack
>>> from fastkb.runtime import jit
>>> @jit(cache=False)
... def factor(a):
...     return lapack.factor_lower(a, len(a))
>>> a = np.array([[4.0, 2.0], [2.0, 5.0]])
>>> int(factor(a)), a
(0, array([[2., 1.],
       [2., 2.]]))
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

LOWER = np.uint8(ord("L"))


def capsule(name: str, module: str = "cython_lapack") -> tuple[int, str]:
    """Address and C signature of a routine, as SciPy states them."""
    exported = importlib.import_module(f"scipy.linalg.{module}").__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = get_name(exported)
    return get_pointer(exported, signature), signature.decode()


def routine(module: str, name: str, n_arguments: int) -> Any:
    """The routine as something that compiled code can call; all arguments are addresses."""
    symbol = f"fastkb_{name}"
    llvm.add_symbol(symbol, capsule(name, module)[0])
    return types.ExternalFunction(symbol, types.void(*[types.voidptr] * n_arguments))


# LAPACK's integer: of 32 bits, unless SciPy's library was built with 64.
Integer = np.int32 if " int *" in capsule("dpotrf")[1] else np.int64

dpotrf = routine("cython_lapack", "dpotrf", 5)  # uplo, n, a, lda, info
spotrf = routine("cython_lapack", "spotrf", 5)


@intrinsic
def by_reference(typing_context, value):
    """The address of a copy of `value` on the stack."""

    def codegen(context, builder, signature, arguments):
        slot = cgutils.alloca_once_value(builder, arguments[0])
        return builder.bitcast(slot, ir.IntType(8).as_pointer())

    return types.voidptr(value), codegen


@intrinsic
def _integer_at(typing_context, address):
    """LAPACK's integer at an address."""
    kind = numba.from_dtype(np.dtype(Integer))

    def codegen(context, builder, signature, arguments):
        pointer = ir.IntType(kind.bitwidth).as_pointer()
        return builder.load(builder.bitcast(arguments[0], pointer))

    return kind(address), codegen


def factor_lower(a, n):
    """Cholesky factor of the first n rows and columns, in compiled code only, in the other triangle.

    Parameters
    ----------
    a : array of float32 or float64 with contiguous rows
        Its upper triangle is overwritten by that of Lᵀ, A = L Lᵀ; the rest is left alone.
    n : int

    Returns
    -------
    int
        0, or the number (from 1) of the first pivot that is not positive.
    """
    raise NotImplementedError("lapack.factor_lower is for compiled code")


@overload(factor_lower)
def _factor_lower(a, n):
    potrf = dpotrf if a.dtype == types.float64 else spotrf

    def compiled(a, n):
        info = by_reference(Integer(0))
        lead = by_reference(Integer(a.strides[0] // a.itemsize))
        potrf(by_reference(LOWER), by_reference(Integer(n)), a.ctypes, lead, info)
        return np.intp(_integer_at(info))

    return compiled
