"""Which Gram matrix an estimator's parameters name, and what is known about it beforehand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

from fastkb.gram import pairwise
from fastkb.gram.checks import is_kernel_object
from fastkb.gram.products import product
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import require
from fastkb.scalar.kernels import ELSEWHERE, named


class KernelChoice(NamedTuple):
    """The parameters of a kernel, as scikit-learn's estimators hold them."""

    kernel: Any = "linear"
    gamma: float | None = None
    degree: float = 3
    coef0: float = 1
    kernel_params: dict | None = None

    @classmethod
    def of(cls, estimator: Any) -> KernelChoice:
        """The kernel of an estimator; of one that chooses γ, without it."""
        gamma = getattr(estimator, "gamma", None)
        parameters = (estimator.degree, estimator.coef0, estimator.kernel_params)
        return cls(estimator.kernel, gamma, *parameters)

    def matrix(self, X: Any, Y: Any = None) -> Any:
        """The Gram matrix of the rows of `X` and `Y`; the very `X` where that is precomputed.

        Parameters
        ----------
        X : array or sparse matrix
            Rows to compare.  # shape: (n, d)
        Y : array or sparse matrix, optional
            The other rows; `X` where left out.  # shape: (m, d)

        Returns
        -------
        K : ndarray
            # shape: (n, m)
        """
        if is_kernel_object(self.kernel):
            return pairwise.gram(self.kernel, X, Y)
        if callable(self.kernel):
            parameters = self.kernel_params or {}
        else:
            parameters = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        return pairwise.pairwise_kernels(X, Y, metric=self.kernel, filter_params=True, **parameters)

    def product(self, X: Any, Y: Any, coefficients: Any) -> Any:
        """The Gram matrix times coefficients, without the matrix; None where that is not possible.

        Parameters
        ----------
        X, Y : array or sparse matrix, or device arrays
            # shapes: (n, d), (m, d)
        coefficients : ndarray, or device array
            # shape: (m, n_targets)

        Returns
        -------
        ndarray, device array or None
            # shape: (n, n_targets)
        """
        if not is_device_array(X) and not (isinstance(X, np.ndarray) and isinstance(Y, np.ndarray)):
            return None
        given = {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        return product(self.kernel, X, Y, coefficients, given)

    def fresh_matrix(self, X: Any, dtype: Any) -> np.ndarray:
        """The Gram matrix of `X` in memory of its own, for a solver to overwrite.

        Parameters
        ----------
        X : array or sparse matrix
            Rows; the Gram matrix where that is precomputed, which is copied.  # shape: (n, d)
        dtype : dtype
            float32 or float64; the matrix is of the wider of this and its own.

        Returns
        -------
        K : ndarray
            C-ordered and finite.  # shape: (n, n)

        Raises
        ------
        ValueError
            If the matrix is not square or not finite.
        """
        n = X.shape[0]
        require(n * n * np.dtype(dtype).itemsize, f"the Gram matrix of {n} samples")
        dense = to_dense(self.matrix(X))
        if dense.shape != (X.shape[0], X.shape[0]):
            raise ValueError(
                f"the Gram matrix of {X.shape[0]} samples must have shape {(X.shape[0],) * 2}, got "
                f"{dense.shape}"
            )
        # A callable kernel may give float64 for float32 rows.
        dtype = np.result_type(dense.dtype, dtype)
        shared = isinstance(X, np.ndarray) and np.may_share_memory(dense, X)
        if shared or dense.dtype != dtype or not dense.flags.writeable:
            K = np.array(dense, dtype=dtype, order="C")
        else:
            K = np.ascontiguousarray(dense)
        (lange,) = get_lapack_funcs(("lange",), (K,))
        if not np.isfinite(lange("M", K.T)):
            raise ValueError(
                f"the Gram matrix of {self} has NaN or infinity: it overflows {dtype.name}, or "
                f"the kernel is undefined on this data"
            )
        return K

    @property
    def takes_gamma(self) -> bool:
        """Whether `gamma` alters the matrix."""
        if not isinstance(self.kernel, str):
            return False
        row = named(self.kernel)
        known = ELSEWHERE.get(self.kernel, ((), False))[0] if row is None else row.parameters
        return any(parameter.name == "gamma" for parameter in known)

    @property
    def is_positive_semidefinite(self) -> bool:
        """Whether no data can give this kernel's Gram matrix a negative eigenvalue.

        False where that is not known. It decides what may be skipped, never what is right.
        """
        if is_kernel_object(self.kernel):
            return self.kernel.is_positive_semidefinite
        if not isinstance(self.kernel, str):
            return False
        row = named(self.kernel)
        if row is None:
            return ELSEWHERE.get(self.kernel, ((), False))[1]
        gamma = 1.0 if self.gamma is None else self.gamma
        values = {"gamma": gamma, "coef0": self.coef0, "degree": self.degree}
        return row.is_positive_semidefinite(*(values[p.name] for p in row.parameters))

    def diagonal(self, X: Any) -> np.ndarray | None:
        """K(x, x) for each row of `X`, without the matrix; None for a kernel that only gives matrices.

        Parameters
        ----------
        X : array or sparse matrix
            # shape: (n, d)

        Returns
        -------
        ndarray or None
            # shape: (n,)
        """
        if is_kernel_object(self.kernel):
            return self.kernel.diag(X)
        return pairwise.diagonal(
            self.kernel, X, {"gamma": self.gamma, "degree": self.degree, "coef0": self.coef0}
        )


def to_dense(K: Any) -> np.ndarray:
    """`K` as an array: scikit-learn hands a sparse precomputed matrix through as it is."""
    return K.toarray() if hasattr(K, "toarray") else np.asarray(K)
