"""Fits of a machine to weighted rows, many at once, on the kernel matrix of its fit to all rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone

from fastkb.svm.checks import check_weights
from fastkb.svm.estimators.regression import SVR
from fastkb.svm.estimators.svc import SVC
from fastkb.svm.kernel import OfMatrix, called
from fastkb.svm.problem import Problem, c_classification, epsilon_regression, feasible
from fastkb.svm.smo.several import solve_several
from fastkb.svm.smo.solver import MEGABYTE, Options, Solver

# Rows at most: the matrix, and a copy of most of it for each thread, are in memory.
LARGEST = 2000

# Pairs of each problem that are moved side by side; what needs more is solved alone.
_PAIRS_TOGETHER = 20_000


class Functions(NamedTuple):
    """What the machine has become on each resample: f(x) = b + Σᵢ cᵢ K(x, xᵢ) over all rows."""

    coefficients: np.ndarray  # shape: (count, n)
    intercepts: np.ndarray  # shape: (count,)
    of_one_class: np.ndarray  # whether the resample had one class alone.  # shape: (count,)
    unfinished: np.ndarray  # whether `max_iter` ended the fit.  # shape: (count,)


def why_not(machine: Any, X: Any, n: int, n_classes: int | None) -> str:
    """Why fits of a machine cannot share a kernel matrix; "" if they can."""
    if type(machine) not in (SVC, SVR):
        return f"{type(machine).__name__} is neither SVC nor SVR"
    if sparse.issparse(X):
        return "X is sparse"
    if n_classes is not None and n_classes != 2:
        return f"there are {n_classes} classes"
    if n > LARGEST or 8 * n * n > machine.cache_size * MEGABYTE:
        return f"the kernel matrix of {n} rows is more than cache_size={machine.cache_size:g} MB grants"
    return ""


class Resampled:
    """A machine that has seen all rows.

    Parameters
    ----------
    machine : SVC or SVR
        Not fitted; :func:`why_not` has no objection.
    X, y : array-like
    sample_weight : array-like, optional
        Of the rows, beside those of resamples.
    """

    def __init__(self, machine: Any, X: Any, y: Any, sample_weight: Any = None) -> None:
        self.machine = clone(machine).fit(X, y, sample_weight)
        fitted = self.machine
        n = len(np.asarray(y))
        self._weight = check_weights(sample_weight, n)
        labels = None
        if isinstance(fitted, SVC):
            labels = np.searchsorted(fitted.classes_, np.asarray(y))
            self._weight = self._weight * fitted.class_weight_[labels]
        # Rows of the first class stand first, as a problem of two classes has them.
        self._order = np.arange(n) if labels is None else np.argsort(labels, kind="stable")
        self._first = n if labels is None else int(np.count_nonzero(labels == 0))
        self._targets = None if labels is not None else np.ravel(np.asarray(y, np.float64))
        if fitted._is_called:
            self._K = called(fitted.kernel, X, X)
        elif fitted._is_given:
            self._K = np.ascontiguousarray(X, np.float64)
        else:
            self._K = fitted._function.matrix(np.ascontiguousarray(X, np.float64))
        self._start = np.zeros(n)
        self._start[fitted.support_] = np.ravel(fitted._coefficients())
        self._X = X

    @property
    def gamma(self) -> float:
        """The kernel's γ, found from all rows."""
        return self.machine._gamma

    def fit(self, weights: np.ndarray) -> Functions:
        """The machine of each row of `weights`, of shape (count, n)."""
        count, n = weights.shape
        coefficients, intercepts = np.zeros((count, n)), np.zeros(count)
        one_class, unfinished = np.zeros(count, bool), np.zeros(count, bool)
        tasks: list[tuple[int, Problem, np.ndarray, np.ndarray]] = []
        for k, row in enumerate(weights * self._weight):
            rows = self._order[row[self._order] > 0.0]
            first = int(np.count_nonzero(row[self._order[: self._first]] > 0.0))
            if self._targets is None and not 0 < first < len(rows):
                # No error is left where f is the class's sign, and no function is smaller.
                one_class[k], intercepts[k] = True, -1.0 if first else 1.0
                continue
            problem = self._problem(rows, first, row[rows])
            tasks.append((k, problem, rows, feasible(problem, self._start[rows], (0.0,))))
        if tasks:
            self._solve(tasks, coefficients, intercepts, unfinished)
        return Functions(coefficients, intercepts, one_class, unfinished)

    def _problem(self, rows: np.ndarray, first: int, weight: np.ndarray) -> Problem:
        C = float(self.machine.C) * weight
        if self._targets is None:
            return c_classification(first, C)
        return epsilon_regression(self._targets[rows], C, float(self.machine.epsilon))

    def _solve(
        self,
        tasks: list[tuple[int, Problem, np.ndarray, np.ndarray]],
        coefficients: np.ndarray,
        intercepts: np.ndarray,
        unfinished: np.ndarray,
    ) -> None:
        places, problems, rows, starts = (list(part) for part in zip(*tasks, strict=True))
        tol, most = float(self.machine.tol), int(self.machine.max_iter)
        limit = _PAIRS_TOGETHER if most < 0 else min(most, _PAIRS_TOGETHER)
        found = solve_several(self._K, problems, rows, starts, tol, limit)
        sign = (
            -1.0 if self._targets is None else 1.0
        )  # a classifier's first class is the positive one
        for k, place in enumerate(places):
            beta, offsets = found.beta[k], found.offsets[k]
            if found.violation[k] > tol and not 0 <= most <= found.pairs[k]:
                rest = most - int(found.pairs[k]) if most >= 0 else -1
                part = OfMatrix(self._K).part(rows[k])
                solver = Solver(problems[k], part, Options(tol=tol, most=rest), beta)
                solver.run()
                beta, offsets = solver.beta, solver.offsets()
                unfinished[place] = not solver.converged
            else:
                unfinished[place] = found.violation[k] > tol
            coefficients[place, rows[k]] = sign * beta
            intercepts[place] = -sign * offsets[0]

    def values(self, functions: Functions, X: Any) -> np.ndarray:
        """f of each resample at each point.  # shape: (count, n_points)"""
        fitted = self.machine
        points = fitted._points(X)
        if fitted._is_given:
            kernel = OfMatrix.times(
                points, np.arange(len(self._order)), functions.coefficients.T.copy()
            )
        else:
            rows = np.ascontiguousarray(self._X, np.float64)
            kernel = fitted._function.product(points, rows, functions.coefficients.T.copy())
        return kernel.T + functions.intercepts[:, None]

    def values_at_rows(self, functions: Functions) -> np.ndarray:
        """f of each resample at each row of the data.  # shape: (count, n)"""
        columns = functions.coefficients.T.copy()
        kernel = OfMatrix.times(self._K, np.arange(len(self._order)), columns)
        return kernel.T + functions.intercepts[:, None]

    def answers(self, values: np.ndarray) -> np.ndarray:
        """What `predict` makes of values: labels of a classifier, the values of a regression."""
        if self._targets is not None:
            return values
        return self.machine.classes_[(values >= 0.0).astype(np.intp)]
