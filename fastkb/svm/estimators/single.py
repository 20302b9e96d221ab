"""Machines of one function, fitted to all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d

from fastkb.checks.numbers import check_targets, naming
from fastkb.runtime.cuda import is_device_array
from fastkb.svm import checks
from fastkb.svm.estimators.machine import Machine, Solution
from fastkb.svm.problem import Problem, feasible


class SingleMachine(Machine):
    """One function, fitted to all rows."""

    def _problem(self, y: Any, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        """The problem of rows with these targets and weights, and where it begins."""
        raise NotImplementedError

    _state: np.ndarray | None  # coefficients to go on from.  # shape: (copies, n)

    def _rho(self, solution: Solution) -> float:
        return sum(solution.offsets) / len(solution.offsets)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        y = check_targets(y)
        X, y = self._validate(X, y)
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if y is not None:
            with naming("y"):
                y = column_or_1d(y, warn=True).astype(np.float64, copy=False)
                assert_all_finite(y, input_name="y")
        weight = checks.check_weights(sample_weight, n)
        state = getattr(self, "_state", None) if self.warm_start else None
        if state is not None:
            checks.check_same_problem(state.size // state.shape[0], n, "samples")
        self._begin()
        source = self._source(X)
        rows = np.flatnonzero(weight > 0.0)
        problem, start = self._problem(None if y is None else y[rows], weight[rows])
        if state is not None and len(state) == len(start) // len(rows):
            split = problem.split
            sums = (start[:split].sum(), start[split:].sum())[: 1 + problem.two_groups]
            start = feasible(problem, state[:, rows].reshape(-1), sums)
        part = source if len(rows) == n else source.part(rows)
        try:
            solution = self._solve(problem, part, start, type(self).__name__)
        except KeyboardInterrupt:
            for beta in self._reached:
                self._state = self._spread(beta, rows, n)
            raise
        self._state = self._spread(solution.beta, rows, n) if self.warm_start else None
        coefficients = problem.row_sums(solution.beta)
        used = np.flatnonzero(coefficients)
        self._intercept_ = np.array([-self._rho(solution)])
        checks.check_finite_result(coefficients, self._intercept_)
        self._keep(X, rows[used], coefficients[used][None, :])
        self._n_support = np.array([len(used)], np.int32)
        self.dual_coef_, self.intercept_ = self._dual_coef_, self._intercept_.copy()
        self.n_iter_ = int(solution.pairs)
        self._warn(solution.pairs)

    @staticmethod
    def _spread(beta: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
        """Coefficients of all rows, of each of the problem's copies.  # shape: (copies, n)"""
        found = np.zeros((len(beta) // len(rows), n))
        found[:, rows] = beta.reshape(len(found), -1)
        return found

    def _function_values(self, X: Any) -> Any:
        if is_device_array(X):
            return self._values_there(X, self._intercept_, _in_columns).reshape(-1)
        X = self._points(X)
        return self._values(X, slice(None), self._coefficients())[:, 0] + self._intercept_


def _in_columns(vectors: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return vectors, coefficients.T
