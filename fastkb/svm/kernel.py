"""The kernel of a machine, between any of the rows that it was fitted to: blocks, products, diagonal.

Blocks are computed in float32 or float64, as the solver asks; products and the diagonal in float64. Rows
are checked before they come here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from fastkb.checks.numbers import check_kinds
from fastkb.gram import engine, evaluate, pairwise, products
from fastkb.gram.checks import is_kernel_object
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import empty
from fastkb.runtime.threads import limit_blas
from fastkb.scalar.kernels import Form, named

# Numbers of a block of a kernel that is multiplied, where it cannot be reduced: 64 MB.
_TOGETHER = 2**23

# Sparse rows of so many numbers, zeros among them, become arrays: 64 MB.
_DENSE = 2**23

# Of rows of so many columns a value is computed in about a nanosecond. To gather it takes as long,
# because the processor reads whole cache lines.
_FEW_COLUMNS = 128


class KernelFunction(NamedTuple):
    """A kernel with all its parameters, as a function of two matrices."""

    kernel: Any  # a name, or a kernel of fastkb.kernels
    gamma: float = 1.0
    degree: float = 3.0
    coef0: float = 0.0

    @property
    def _parameters(self) -> dict[str, float]:
        return {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}

    @property
    def _row(self) -> tuple[Any, tuple[float, ...]] | None:
        """Its row of the table and the row's parameters; None if it has none."""
        row = named(self.kernel) if isinstance(self.kernel, str) else None
        if row is None:
            return None
        parameters = tuple(self._parameters[known.name] for known in row.parameters)
        if "degree" in (known.name for known in row.parameters):
            row = pairwise.polynomial_row(self.degree)
        return row, parameters

    @property
    def of_differences(self) -> bool:
        """Whether a constant added to all rows changes nothing."""
        found = self._row
        return found is not None and found[0].form in (Form.SQDIFF, Form.ABSDIFF)

    @property
    def keeps_precision(self) -> bool:
        """Whether it can be computed in float32 as well as in float64."""
        return self._row is not None or is_kernel_object(self.kernel)

    def matrix(self, X: Any, Y: Any = None, out: np.ndarray | None = None) -> np.ndarray:
        """K(X, Y), or K(X, X), of the type of X.  # shapes: (n, d), (m, d) -> (n, m)"""
        found = self._row
        if found is not None and isinstance(X, np.ndarray):
            return engine.compute(*found, X, Y, out)
        if (
            found is not None
            and found[0].form in (Form.DOT, Form.SQDIFF)
            and not found[0].unit_rows
        ):
            return _of_sparse(*found, X, Y, out)
        if is_kernel_object(self.kernel) and isinstance(X, np.ndarray):
            return evaluate.gram(self.kernel, X, Y, out)
        parameters: dict[str, Any] = self._parameters
        K = pairwise.pairwise_kernels(X, Y, metric=self.kernel, filter_params=True, **parameters)
        if out is None:
            return np.asarray(K)
        out[...] = K
        return out

    def product(self, X: Any, Y: Any, coefficients: Any) -> Any:
        """K(X, Y) times coefficients; on a GPU if they are there.

        # shapes: (n, d), (m, d), (m, k) -> (n, k)
        """
        if is_device_array(X):
            return products.product(self.kernel, X, Y, coefficients, self._parameters)
        X, Y = dense_if_small(X), dense_if_small(Y)
        if isinstance(X, np.ndarray) != isinstance(Y, np.ndarray):
            X, Y = sparse.csr_matrix(X), sparse.csr_matrix(Y)
        if isinstance(X, np.ndarray) and isinstance(Y, np.ndarray):
            values = products.product(self.kernel, X, Y, coefficients, self._parameters)
            if values is not None:
                return values
        values = empty(
            (X.shape[0], coefficients.shape[1]), np.float64, "values of the decision function"
        )
        step = max(1, _TOGETHER // max(1, Y.shape[0]))
        with limit_blas():
            for start in range(0, X.shape[0], step):
                values[start : start + step] = (
                    self.matrix(X[start : start + step], Y) @ coefficients
                )
        return values

    def diagonal(self, X: Any) -> np.ndarray:
        """K(x, x) of each row.  # shape: (n,)"""
        if is_kernel_object(self.kernel):
            return np.asarray(self.kernel.diag(X), np.float64)
        found = pairwise.diagonal(self.kernel, X, self._parameters)
        if found is not None:
            return np.asarray(found, np.float64)
        step = max(1, int(_TOGETHER**0.5))
        parts = [
            np.diagonal(self.matrix(X[start : start + step]))
            for start in range(0, X.shape[0], step)
        ]
        return np.concatenate(parts).astype(np.float64)


class Source(Protocol):
    """Where a solver takes the values of the kernel from."""

    n: int
    # Whether blocks of float32 cost less than those of float64, and are as good at first.
    has_single: bool
    # Whether values are sooner computed than gathered from rows that are kept.
    is_quick: bool

    def diagonal(self) -> np.ndarray:
        """K(x, x) of every row.  # shape: (n,)"""

    def block(self, rows: np.ndarray, columns: np.ndarray | None, out: np.ndarray) -> None:
        """The kernel of some rows with some columns, or all, into `out` and in its type."""

    def square(self, rows: np.ndarray, out: np.ndarray) -> None:
        """The kernel of some rows with the same rows, into `out` and in its type."""

    def product(
        self, rows: np.ndarray | None, columns: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray:
        """The kernel of some rows, or all, with some columns times their coefficients."""

    def whole(self) -> np.ndarray | None:
        """The matrix, if it is there already."""

    def matrix(self, dtype: Any) -> np.ndarray:
        """All of it.  # shape: (n, n)"""

    def part(self, rows: np.ndarray) -> Source:
        """The same of some rows alone."""


class OfRows:
    """A kernel function of rows of data."""

    def __init__(self, function: KernelFunction, X: Any) -> None:
        X = dense_if_small(X)
        self.n = X.shape[0]
        self.has_single = function.keeps_precision and isinstance(X, np.ndarray)
        self.is_quick = self.has_single and X.shape[1] <= _FEW_COLUMNS
        self._function, self._X = function, X
        self._single: np.ndarray | None = None

    def _rows(self, dtype: Any) -> Any:
        if dtype != np.float32:
            return self._X
        if self._single is None:
            # Float32 has few digits: none are spent on what all rows share.
            X = self._X
            with np.errstate(over="ignore"):
                if self._function.of_differences:
                    X = X - X.mean(axis=0)
                limit = float(np.finfo(np.float32).max)
                self._single = np.clip(X, -limit, limit).astype(np.float32)
        return self._single

    def diagonal(self) -> np.ndarray:
        """See :class:`Source`."""
        return self._function.diagonal(self._X)

    def block(self, rows: np.ndarray, columns: np.ndarray | None, out: np.ndarray) -> None:
        """See :class:`Source`."""
        X = self._rows(out.dtype)
        self._function.matrix(X[rows], X if columns is None else X[columns], out)

    def square(self, rows: np.ndarray, out: np.ndarray) -> None:
        """See :class:`Source`."""
        self._function.matrix(self._rows(out.dtype)[rows], None, out)

    def product(
        self, rows: np.ndarray | None, columns: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray:
        """See :class:`Source`."""
        X = self._X if rows is None else self._X[rows]
        return self._function.product(X, self._X[columns], coefficients[:, None])[:, 0]

    def matrix(self, dtype: Any) -> np.ndarray:
        """All of it.  # shape: (n, n)"""
        X = self._rows(dtype)
        out = empty((self.n, self.n), dtype, f"the Gram matrix of {self.n} samples")
        return self._function.matrix(X, None, out)

    def whole(self) -> np.ndarray | None:
        """See :class:`Source`."""
        return None

    def part(self, rows: np.ndarray) -> OfRows:
        """See :class:`Source`."""
        return OfRows(self._function, self._X[rows])


class OfMatrix:
    """A Gram matrix that was given."""

    has_single = False
    is_quick = False

    def __init__(self, K: np.ndarray) -> None:
        self.n = len(K)
        self._K = K

    def diagonal(self) -> np.ndarray:
        """See :class:`Source`."""
        return np.ascontiguousarray(np.diagonal(self._K))

    def block(self, rows: np.ndarray, columns: np.ndarray | None, out: np.ndarray) -> None:
        """See :class:`Source`."""
        out[...] = self._K[rows] if columns is None else self._K[np.ix_(rows, columns)]

    def square(self, rows: np.ndarray, out: np.ndarray) -> None:
        """See :class:`Source`."""
        out[...] = self._K[np.ix_(rows, rows)]

    def product(
        self, rows: np.ndarray | None, columns: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray:
        """See :class:`Source`."""
        K = self._K if rows is None else self._K[rows]
        return OfMatrix.times(K, columns, coefficients[:, None])[:, 0]

    @staticmethod
    def times(K: np.ndarray, columns: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Some columns of a matrix times coefficients.  # shapes: (n, m), (k,), (k, t) -> (n, t)"""
        found = np.empty((len(K), coefficients.shape[1]))
        step = max(1, _TOGETHER // max(1, len(columns)))
        with limit_blas():
            for start in range(0, len(K), step):
                found[start : start + step] = K[start : start + step, columns] @ coefficients
        return found

    def matrix(self, dtype: Any) -> np.ndarray:
        """All of it.  # shape: (n, n)"""
        return np.ascontiguousarray(self._K, dtype)

    def whole(self) -> np.ndarray | None:
        """See :class:`Source`."""
        return self._K if self._K.flags.c_contiguous else None

    def part(self, rows: np.ndarray) -> OfMatrix:
        """See :class:`Source`."""
        return OfMatrix(self._K[np.ix_(rows, rows)])


def dense_if_small(X: Any) -> Any:
    """Sparse rows as an array, unless that would take much memory."""
    if sparse.issparse(X) and X.shape[0] * X.shape[1] <= _DENSE:
        return X.toarray()
    return X


def _of_sparse(
    row: Any, parameters: tuple[float, ...], X: Any, Y: Any, out: np.ndarray | None
) -> np.ndarray:
    """A kernel of the table of sparse rows, from their inner products."""
    Z = X if Y is None else Y
    sums = np.asarray((X @ Z.T).toarray(), np.float64)
    if row.form == Form.SQDIFF:
        left, right = (np.asarray(A.multiply(A).sum(axis=1)).reshape(-1) for A in (X, Z))
        sums = np.maximum(left[:, None] + right - 2.0 * sums, 0.0)
        if Y is None:
            np.fill_diagonal(sums, 0.0)
    found = engine.values(row, parameters, sums.reshape(-1)).reshape(sums.shape)
    if out is None:
        return found
    out[...] = found
    return out


def called(kernel: Callable, X: Any, Y: Any) -> np.ndarray:
    """The Gram matrix that a function of the user's returns.  # shape: (rows of X, rows of Y)"""
    K = kernel(X, Y)
    K = K.toarray() if hasattr(K, "toarray") else K
    check_kinds("the matrix that kernel returns", K)
    K = np.asarray(K, dtype=np.float64, order="C")
    if K.ndim != 2:
        raise ValueError(
            f"kernel must return a matrix of two dimensions for two matrices, got shape {K.shape}"
        )
    return K
