"""What all support vector machines share: data, kernel, the solution as scikit-learn holds it, values."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import (
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from fastkb.checks.numbers import check_kinds, naming
from fastkb.gram.products import Function
from fastkb.runtime.cuda import Copies
from fastkb.svm import checks
from fastkb.svm.kernel import KernelFunction, OfMatrix, OfRows, Source, called
from fastkb.svm.problem import Problem
from fastkb.svm.smo.several import solve_several
from fastkb.svm.smo.solver import MEGABYTE, Options, Solver

# Pairs of each problem that are moved side by side; a problem that needs more is slow, and solved alone.
_PAIRS_TOGETHER = 2000

# Seconds between two lines of progress.
_EVERY = 0.5


class Solution(NamedTuple):
    """A problem that was solved, or that the pairs did not suffice for."""

    beta: np.ndarray
    offsets: tuple[float, ...]  # of each group
    pairs: int
    ended: bool = True  # solved, or out of pairs


class Task(NamedTuple):
    """A problem on some of the rows, and where it begins."""

    problem: Problem
    rows: np.ndarray
    start: np.ndarray
    what: str


class Machine(BaseEstimator):
    """A function f(x) = Σᵢ cᵢ K(x, xᵢ) + b of few support vectors xᵢ."""

    kernel: Any
    degree: float
    gamma: Any
    coef0: float
    tol: float
    shrinking: bool
    cache_size: float
    verbose: Any
    max_iter: int
    warm_start: bool
    support_: np.ndarray
    support_vectors_: Any
    dual_coef_: Any
    intercept_: np.ndarray
    _n_support: np.ndarray
    _dual_coef_: Any
    _intercept_: np.ndarray
    _left: float  # the largest violation that is left
    _reached: list[np.ndarray]  # the coefficients of problems that Ctrl-C broke off

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        precomputed = isinstance(self.kernel, str) and self.kernel == "precomputed"
        tags.input_tags.pairwise = precomputed
        tags.input_tags.sparse = not precomputed
        return tags

    @property
    def _is_called(self) -> bool:
        """Whether the kernel is a function of the user's."""
        return callable(self.kernel) and not hasattr(self.kernel, "_is_fastkb_kernel")

    @property
    def _is_given(self) -> bool:
        """Whether kernel matrices are at hand, of the user's function or instead of rows."""
        return self._is_called or (isinstance(self.kernel, str) and self.kernel == "precomputed")

    def _validate(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X as float64, dense or CSR; what a function of the user's is to read as it is."""
        checks.check_parameters(self)
        checks.check_target_given(self, y)
        if isinstance(self.kernel, str) and self.kernel == "precomputed":
            checks.check_not_sparse(X)
        if self._is_called:
            if y is not None:
                with naming("y"):
                    column_or_1d(y)
                with naming("X", "y"):
                    check_consistent_length(X, y)
            return X, y
        check_kinds("X", X)
        what: dict[str, Any] = {} if y is None else {"y": y}
        with naming("X", "y"):
            found = validate_data(
                self,
                X,
                dtype=np.float64,
                order="C",
                accept_sparse="csr",
                accept_large_sparse=False,
                **what,
            )
        X, y = found if what else (found, None)
        if sparse.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X, y

    def _source(self, X: Any) -> Source:
        """Where the solver takes the kernel of the training rows from."""
        self._sparse = sparse.issparse(X) and not self._is_called
        self._X_fit = X if self._is_called else None
        self._gamma = 0.0
        if self._is_given:
            K = self._called(X) if self._is_called else X
            checks.check_square(K)
            self.shape_fit_ = X.shape if hasattr(X, "shape") else (len(X),)
            return OfMatrix(K)
        self.shape_fit_ = X.shape
        self._gamma = self._gamma_of(X)
        source = OfRows(self._function, X)
        with np.errstate(over="ignore", invalid="ignore"):
            checks.check_finite_kernel(source.diagonal())
        return source

    def _gamma_of(self, X: Any) -> float:
        if not isinstance(self.gamma, str):
            return float(self.gamma)
        if self.gamma == "auto":
            return 1.0 / X.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            spread = _sparse_variance(X) if self._sparse else X.var()
            gamma = 1.0 / (X.shape[1] * spread) if spread != 0.0 else 1.0
        checks.check_scaled_gamma(self.kernel, float(gamma))
        return float(gamma)

    def _called(self, X: Any) -> np.ndarray:
        """What the user's function returns for points and the training rows."""
        K = called(self.kernel, X, self._X_fit)
        checks.check_called(K, _num_samples(X), _num_samples(self._X_fit))
        return K

    @property
    def _function(self) -> KernelFunction:
        return KernelFunction(self.kernel, self._gamma, self.degree, self.coef0)

    def _solve(
        self, problem: Problem, source: Source, start: np.ndarray, what: str, moved: int = 0
    ) -> Solution:
        """Solve one problem; what is reached stays in `_reached` if it is interrupted.

        So many of `max_iter` pairs were `moved` before.
        """
        teller = _Teller(what, float(self.tol)) if self.verbose else None
        options = Options(
            tol=float(self.tol),
            cache_bytes=int(self.cache_size * MEGABYTE),
            shrinking=bool(self.shrinking),
            most=int(self.max_iter) - moved if self.max_iter >= 0 else -1,
            tell=teller,
        )
        with np.errstate(over="ignore", invalid="ignore"):
            solver = Solver(problem, source, options, start)
            try:
                solver.run()
                if teller is not None:
                    teller.finish(solver.pairs, solver.violation)
            except KeyboardInterrupt:
                self._reached = [solver.beta, *self._reached]
                raise
            self._note(solver.violation)
            return Solution(solver.beta, solver.offsets(), solver.pairs)

    def _solve_several(self, K: np.ndarray, tasks: list[Task]) -> list[Solution]:
        """Solve problems of one matrix side by side."""
        teller = _Teller("pairs of classes", float(self.tol)) if self.verbose else None

        def tell(done: int) -> None:
            if teller is not None:
                teller.count(done, len(tasks))

        with np.errstate(over="ignore", invalid="ignore"):
            found = solve_several(
                K,
                [task.problem for task in tasks],
                [task.rows for task in tasks],
                [task.start for task in tasks],
                float(self.tol),
                min(_PAIRS_TOGETHER, self.max_iter) if self.max_iter >= 0 else _PAIRS_TOGETHER,
                tell,
                self._reached,
            )
        out = (found.pairs >= self.max_iter) & (self.max_iter >= 0)
        ended = (found.violation <= self.tol) | out
        self._note(float(found.violation[ended].max(initial=0.0)))
        return [
            Solution(beta, offsets, int(pairs), bool(end))
            for beta, offsets, pairs, end in zip(
                found.beta, found.offsets, found.pairs, ended, strict=True
            )
        ]

    def _note(self, violation: float) -> None:
        """Remember what was not reached."""
        if not violation <= self.tol:
            self.fit_status_ = 1
            self._left = max(self._left, violation)

    def _begin(self) -> None:
        """Before anything is set that predictions read: a fit that ends early leaves no model."""
        self.__dict__.pop("_dual_coef_", None)
        self.fit_status_ = 0
        self._left = 0.0
        self._reached = []

    def _warn(self, pairs: Any) -> None:
        """Say what was not reached."""
        if not self.fit_status_:
            return
        if 0 <= self.max_iter <= np.max(pairs):
            warnings.warn(
                f"Solver terminated early (max_iter={self.max_iter}).  Consider pre-processing your "
                "data with StandardScaler or MinMaxScaler.",
                ConvergenceWarning,
                stacklevel=4,
            )
        else:
            warnings.warn(
                f"The optimality conditions are violated by {self._left:.2g}, more than "
                f"tol={self.tol:g}: the rest is below the rounding errors of the kernel. Scale the "
                "columns of X, or raise tol.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _keep(self, X: Any, support: np.ndarray, coefficients: np.ndarray) -> None:
        """Set support vectors and coefficients, of shape (rows of coefficients, n_support)."""
        self.support_ = support.astype(np.int32)
        if self._is_given:
            self.support_vectors_ = np.empty((0, 0))
        else:
            self.support_vectors_ = as_sparse(X[support]) if self._sparse else X[support]
        self._dual_coef_ = as_sparse(coefficients) if self._sparse else coefficients

    def _coefficients(self) -> np.ndarray:
        """Those that predictions are made of.  # shape: (rows, n_support)"""
        dual = self._dual_coef_
        return dual.toarray() if sparse.issparse(dual) else np.asarray(dual)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_dual_coef_")

    @property
    def n_support_(self) -> np.ndarray:
        """Number of support vectors, of each class for a classifier.  # shape: (n_classes,) or (1,)"""
        try:
            check_is_fitted(self)
        except NotFittedError:
            raise AttributeError(f"{type(self).__name__} has no n_support_ before fit") from None
        return self._n_support

    @property
    def coef_(self) -> Any:
        """Weights of the columns, of a linear kernel; read-only.  # shape: (functions, n_features)"""
        checks.check_coef_kernel(self.kernel)
        check_is_fitted(self)
        weights = self._weights()
        if sparse.issparse(weights):
            weights.data.flags.writeable = False
        else:
            weights.flags.writeable = False
        return weights

    def _weights(self) -> Any:
        return self._dual_coef_ @ self.support_vectors_

    def _points(self, X: Any) -> Any:
        """Points to evaluate at, checked; for a user's function their kernel with the training rows."""
        check_is_fitted(self)
        if self._is_called:
            return self._called(X)
        check_kinds("X", X)
        checks.check_predicted(self, X, self._sparse)
        with naming("X"):
            X = validate_data(
                self,
                X,
                dtype=np.float64,
                order="C",
                accept_sparse="csr",
                accept_large_sparse=False,
                reset=False,
            )
        if self._is_given:
            checks.check_given(X, self.shape_fit_[0])
        checks.check_untouched(self)
        if self._sparse and not sparse.issparse(X):
            X = sparse.csr_matrix(X)
        return X

    def _values(self, X: Any, some: slice, coefficients: np.ndarray) -> np.ndarray:
        """Σᵢ cᵢ K(x, xᵢ) over some support vectors.  # shapes: (n, d), (k, s) -> (n, k)"""
        columns = np.ascontiguousarray(coefficients.T)
        if not len(columns):
            return np.zeros((X.shape[0], columns.shape[1]))
        if self._is_given:
            return OfMatrix.times(X, self.support_[some], columns)
        return self._function.product(X, self.support_vectors_[some], columns)

    def _values_there(
        self, X: Any, constants: Any, laid_out: Callable[..., tuple[np.ndarray, np.ndarray]]
    ) -> Any:
        """Σᵢ cᵢ K(x, xᵢ) and constants, of points on a GPU.  # shapes: (n, d) -> (n, k)

        `laid_out` makes rows and columns of coefficients of the support vectors and `_dual_coef_`.
        """
        check_is_fitted(self)
        if self._is_given:
            raise TypeError(
                f"X must be an array of the CPU for kernel={self.kernel!r}; got one on a GPU"
            )
        checks.check_untouched(self)
        if not hasattr(self, "_copies"):
            self._copies = Copies()
        arrays = self.support_vectors_, self._dual_coef_
        product = self._function.product
        return Function(product, arrays, constants, self._copies, laid_out).values(X)


def as_sparse(X: Any) -> Any:
    """Rows as scikit-learn is set to return them: a csr_matrix, or a csr_array."""
    arrays = get_config().get("sparse_interface") == "sparray"
    return sparse.csr_array(X) if arrays else sparse.csr_matrix(X)


def _sparse_variance(X: Any) -> float:
    """X.var() of a sparse matrix, without the difference of two large numbers."""
    size = X.shape[0] * X.shape[1]
    mean = X.data.sum() / size
    return (((X.data - mean) ** 2).sum() + (size - X.data.size) * mean**2) / size


class _Teller:
    """Writes how far a fit is to standard error, twice a second."""

    def __init__(self, what: str, tol: float) -> None:
        self._what, self._tol = what, tol
        self._last = 0.0

    def __call__(self, pairs: int, violation: float, rows: int) -> None:
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._write(f"{pairs:,} pairs, violation {violation:.3g}, {rows:,} rows in play")

    def count(self, done: int, total: int) -> None:
        """Say how many problems are solved."""
        if time.monotonic() - self._last >= _EVERY or done == total:
            self._last = time.monotonic()
            self._write(f"{done:,} of {total:,} solved")

    def finish(self, pairs: int, violation: float) -> None:
        """Say what was reached."""
        self._write(f"{pairs:,} pairs, violation {violation:.3g} (tol {self._tol:g}), done")

    def _write(self, text: str) -> None:
        print(f"[fastkb] {self._what}: {text}", file=sys.stderr, flush=True)
