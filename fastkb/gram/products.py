"""A Gram matrix times coefficients, Σⱼ cⱼ K(x, yⱼ), without the matrix: what estimators predict by.

A kernel of the table is reduced tile by tile, while its values are in the cache. So are sums and
multiples of such kernels, as the product is linear in K, and kernels with length scales. Any other kernel
is not: its matrix is multiplied.

Arrays on a GPU give a product there, by the same rules. A matrix that must be multiplied is computed in
blocks there, which meet their coefficients one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.device import check_device_matrices
from fastkb.gram import engine, evaluate
from fastkb.gram.checks import check_matrices
from fastkb.gram.engine import Rows
from fastkb.gram.evaluate import Work
from fastkb.gram.kernels import Kernel, polynomial_row
from fastkb.gram.pairwise import checked_parameters, with_defaults
from fastkb.runtime import cuda
from fastkb.runtime.cuda import is_device_array
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import find, named
from fastkb.tile.sinks import Into, Sink

# Rows of X and of Y of a block of a matrix that is multiplied on a GPU: 128 MB in float64.
_BLOCK = (4096, 4096)


class _HasNone(Exception):
    """A kernel that is not reduced."""


class _Trial(Work):
    """Looks whether all parts of a kernel are reduced, and computes nothing."""

    def write_row(
        self, row: Row, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        if into.sink == Sink.MULTIPLY or (row.by_column and self.d > 1):
            raise _HasNone

    def write_formula(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        raise _HasNone

    def through_buffer(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        raise _HasNone


class _Reduced(_Trial):
    """The product, part by part."""

    def __init__(self, X: Any, Y: Any, coefficients: np.ndarray) -> None:
        super().__init__(X, Y)
        self._coefficients = coefficients

    def write_row(
        self, row: Row, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        rows = Rows(self.X, self.Y, lengths)
        engine.reduce(row, parameters, shift, rows, self._coefficients, into)


def product(metric: Any, X: Any, Y: Any, coefficients: Any, given: dict[str, Any]) -> Any:
    """K(X, Y) times coefficients; None for a kernel that is not reduced, if the data are on the CPU.

    Parameters
    ----------
    metric : str, callable or fastkb.kernels.Kernel
    X, Y : ndarrays, or device arrays
        # shapes: (n, d), (m, d)
    coefficients : ndarray or device array
        # shape: (m, targets)
    given : dict
        Parameters of a kernel that is named; those that it does not have are passed over.

    Returns
    -------
    ndarray, device array or None
        Of X's kind.  # shape: (n, targets)

    Raises
    ------
    TypeError, ValueError
        For arrays on a GPU: if not all are there, and of one type; or the kernel is a function of two
        rows, or has a formula of its own.
    """
    there = is_device_array(X)
    row = named(metric) if isinstance(metric, str) else None
    if row is None and not isinstance(metric, Kernel):
        if there:
            raise TypeError(
                "kernel must be one that fastkb computes, by name or of fastkb.kernels, for arrays on a "
                f"GPU; got {metric!r}"
            )
        return None
    X, other = check_matrices(X, Y)
    Z = X if other is None else other
    if there:
        rows = _rows_there(X, coefficients)
    elif coefficients.dtype != X.dtype:
        return None
    else:
        rows = np.ascontiguousarray(coefficients.T)
    if row is not None:
        given = checked_parameters(row, given)
        row = polynomial_row(given["degree"]) if "degree" in given else row
        return engine.reduce(row, with_defaults(row, given, X.shape[1]), 0, Rows(X, Z), rows)
    shape = (X.shape[0], rows.shape[0])
    out = cuda.empty_like(X, shape) if there else np.empty(shape, X.dtype)
    try:
        metric._write(_Trial(X, Z), None, Into(out))
    except _HasNone:
        return _multiplied(metric, X, Z, rows, out) if there else None
    metric._write(_Reduced(X, Z, rows), None, Into(out))
    return out


def _rows_there(X: Any, coefficients: Any) -> Any:
    """Coefficients on a GPU, those of a target in a row."""
    if not is_device_array(coefficients):
        raise TypeError(
            f"coefficients must be on the GPU too, as X is; got {type(coefficients).__name__}"
        )
    wanted, found = (np.dtype(cuda.interface(array)["typestr"]) for array in (X, coefficients))
    if wanted != found:
        raise ValueError(f"coefficients must have dtype {wanted}, that of X; got {found}")
    return cuda.transposed(coefficients)


def _multiplied(kernel: Kernel, X: Any, Y: Any, rows: Any, out: Any) -> Any:
    """The product with blocks of the matrix, on a GPU: those of a row of blocks in their order."""
    high, wide = _BLOCK
    target = cuda.view(out)
    X, Y = cuda.view(X), cuda.view(Y)
    for top in range(0, X.shape[0], high):
        some, result = X[top : top + high], target[top : top + high]
        for left in range(0, Y.shape[0], wide):
            K = evaluate.gram(kernel, some, Y[left : left + wide])
            sink = Sink.ADD if left else Sink.STORE
            with_its_coefficients = Rows(K, rows[:, left : left + wide])
            engine.accumulate(find("linear"), (), 0, with_its_coefficients, Into(result, sink))
    return out


class Function(NamedTuple):
    """A fitted function f(x) = b + Σᵢ aᵢ K(x, xᵢ), with copies of its arrays on devices."""

    product: Callable[[Any, Any, Any], Any]  # K(X, Y) times coefficients
    arrays: tuple[Any, ...]  # of the CPU: rows and coefficients, or what `laid_out` makes them of
    constants: Any  # b.  # shape: () or (targets,)
    copies: cuda.Copies
    laid_out: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of rows and coefficients."""
        return np.result_type(*self.arrays)

    def copied(self, dtype: Any) -> tuple[Any, Any]:
        """Rows and coefficients on the device.  # shapes: (m, d), (m, targets)"""
        rows, coefficients = self.copies.of(dtype, self.arrays, self.laid_out)
        return rows, coefficients

    def values(self, X: Any) -> Any:
        """f of each row of an array on a GPU, there; its kernels are launched and not waited for.

        Returns
        -------
        device array
            Of X's kind.  # shape: (n, targets)

        Raises
        ------
        TypeError, ValueError
            If X is not a finite matrix of the function's type and number of columns, the function's
            rows are sparse, or its kernel is not computed on a GPU.
        CudaUnavailableError
            If there is no device.
        """
        cuda.load()
        check_dense(self.arrays[0])
        check_device_matrices(X)
        width = self.arrays[0].shape[1]
        if X.shape[1] != width:
            raise ValueError(f"X must have {width} columns, as in fit; got {X.shape[1]}")
        dtype = np.dtype(cuda.interface(X)["typestr"])
        if dtype != self.dtype:
            raise ValueError(
                f"X must have dtype {self.dtype} on a GPU, that of the fitted model; got {dtype}: "
                "convert it"
            )
        rows, coefficients = self.copied(dtype)
        constants = np.atleast_1d(np.asarray(self.constants, np.float64))
        if not rows.shape[0]:
            shape = X.shape[0], coefficients.shape[1]
            return cuda.from_host(np.broadcast_to(constants, shape), X)
        found = self.product(X, rows, coefficients)
        if constants.any():
            from fastkb.tile import cuda_matrices

            cuda_matrices.add_constants(found, constants)
        return found


def check_dense(X: Any) -> None:
    """Refuse sparse rows on a GPU.

    Raises
    ------
    TypeError
        Naming their type.
    """
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X must be dense for a GPU; got {type(X).__name__}: take X.toarray()")
