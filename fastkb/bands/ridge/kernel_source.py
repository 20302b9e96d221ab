"""The kernel of an estimator on the data of a band: its Gram matrix, or single columns of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bands.ridge.checks import check_gram
from fastkb.checks.scalars import check_flag
from fastkb.ridge.kernel_matrix import KernelChoice, to_dense

# Rows at a time that a diagonal is computed of: sparse ones become dense. Of a kernel that gives matrices
# alone fewer: a call costs as much as a few thousand values.
_DIAGONAL_ROWS = 4096
_MATRIX_ROWS = 64

# Points up to which the kernel between all of them is computed at once when columns are wanted: the whole
# then costs less (1500 points: 1 ms) than the calls for a few dozen columns (60 µs each).
_WHOLE = 1500


class KernelSource:
    """K(X, X), K(X_eval, X), and columns over the stacked points Z = (X, X_eval).

    Parameters
    ----------
    estimator : KernelRidge
        Only its parameters are read.
    X, X_eval : array or sparse matrix
        Training and evaluation points; Gram matrices for ``kernel="precomputed"``.

    Attributes
    ----------
    fit_intercept : bool
        Whether a constant without penalty is fitted beside the kernel's functions.
    """

    def __init__(self, estimator: Any, X: Any, X_eval: Any) -> None:
        self._estimator = estimator
        self._choice = KernelChoice.of(estimator)
        # Our own functions stand in for scikit-learn's; a subclass may know a kernel of its own.
        known = type(estimator).__module__.split(".")[0] in ("sklearn", "fastkb")
        self._matrix = self._choice.matrix if known else estimator._get_kernel
        self._known = known
        # scikit-learn's estimator has no such parameter.
        fit_intercept = getattr(estimator, "fit_intercept", False)
        check_flag("fit_intercept", fit_intercept)
        self.fit_intercept = bool(fit_intercept)
        self._X, self._X_eval = X, X_eval
        self._stacked: Any = None
        self._gram: np.ndarray | None = None
        self._whole: np.ndarray | None = None

    @property
    def is_precomputed(self) -> bool:
        """Whether the data are Gram matrices."""
        return isinstance(self._choice.kernel, str) and self._choice.kernel == "precomputed"

    @property
    def is_positive_semidefinite(self) -> bool:
        """Whether the kernel is known to be so, for any data."""
        return self._known and self._choice.is_positive_semidefinite

    @property
    def n(self) -> int:
        """Number of training points."""
        return self._X.shape[0]

    @property
    def n_eval(self) -> int:
        """Number of evaluation points."""
        return self._X_eval.shape[0]

    def part(self, rows: np.ndarray) -> KernelSource:
        """The same kernel on a part of the training points, and on one evaluation point."""
        return KernelSource(self._estimator, self._X[rows], self._X_eval[:1])

    def gram(self) -> np.ndarray:
        """K(X, X), computed once.  # shape: (n, n)"""
        if self._gram is None:
            if self._whole is not None:
                K = self._whole[: self.n, : self.n]
            else:
                K = self._X if self.is_precomputed else self._matrix(self._X)
            self._gram = check_gram("K(X, X)", np.ascontiguousarray(to_dense(K), dtype=np.float64))
        return self._gram

    def cross(self) -> np.ndarray:
        """K(X_eval, X).  # shape: (n_eval, n)"""
        K = self._X_eval if self.is_precomputed else self._matrix(self._X_eval, self._X)
        return check_gram("K(X_eval, X)", np.ascontiguousarray(to_dense(K), dtype=np.float64))

    def _points(self) -> Any:
        if self._stacked is None:
            if isinstance(self._X, np.ndarray) and isinstance(self._X_eval, np.ndarray):
                self._stacked = np.concatenate([self._X, self._X_eval])
            else:
                from scipy import sparse

                self._stacked = sparse.vstack([self._X, self._X_eval], format="csr")
        return self._stacked

    def column(self, i: int) -> np.ndarray:
        """K(Z, zᵢ).  # shape: (n + n_eval,)"""
        Z = self._points()
        if Z.shape[0] <= _WHOLE and self.is_positive_semidefinite:
            if self._whole is None:
                K = np.asarray(to_dense(self._matrix(Z)), dtype=np.float64)
                self._whole = check_gram("K(Z, Z)", K)
            return self._whole[i]
        return check_gram("a column of the kernel", to_dense(self._matrix(Z, Z[i : i + 1]))[:, 0])

    def rows(self, indices: np.ndarray) -> np.ndarray:
        """K(zᵢ, X) for a part of the stacked points.  # shape: (len(indices), n)"""
        K = to_dense(self._matrix(self._points()[indices], self._X))
        return check_gram("rows of the kernel", np.asarray(K, dtype=np.float64))

    def diagonal(self) -> np.ndarray:
        """K(zᵢ, zᵢ) for all stacked points.  # shape: (n + n_eval,)"""
        Z = self._points()
        parts = [
            self._diagonal(Z[start : start + _DIAGONAL_ROWS])
            for start in range(0, Z.shape[0], _DIAGONAL_ROWS)
        ]
        return check_gram("the kernel's diagonal", np.concatenate(parts).astype(np.float64))

    def _diagonal(self, rows: Any) -> np.ndarray:
        found = self._choice.diagonal(rows) if self._known else None
        if found is not None:
            return found
        starts = range(0, rows.shape[0], _MATRIX_ROWS)
        parts = (rows[start : start + _MATRIX_ROWS] for start in starts)
        return np.concatenate([np.diagonal(to_dense(self._matrix(part, part))) for part in parts])
