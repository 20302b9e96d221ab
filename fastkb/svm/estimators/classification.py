"""Classifiers: a machine for each pair of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastkb.checks.numbers import naming
from fastkb.runtime.cuda import from_host, is_device_array, to_host
from fastkb.svm import checks
from fastkb.svm.estimators import one_vs_one
from fastkb.svm.estimators.machine import Machine, Solution, Task, as_sparse
from fastkb.svm.kernel import OfMatrix, OfRows, Source
from fastkb.svm.problem import Problem, feasible
from fastkb.svm.smo.several import LARGEST
from fastkb.svm.smo.solver import MEGABYTE

# Rows of two classes, and their coefficients.
Known = tuple[np.ndarray, np.ndarray]


class Classifier(ClassifierMixin, Machine):
    """Two classes or more: a machine for each pair of them."""

    # How many rows the fit before had, and what it found for each pair of classes.
    _state: tuple[int, list[Known]] | None
    class_weight: Any
    decision_function_shape: str
    break_ties: bool

    def _problem(self, n_first: int, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        """The problem of two classes, the first of which has so many rows; and where it begins."""
        raise NotImplementedError

    def _result(self, solution: Solution) -> tuple[np.ndarray, float]:
        """Coefficients and ρ."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the machine.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
            Training rows; for ``kernel="precomputed"`` their Gram matrix of shape (n_samples,
            n_samples); for a function of your own whatever it takes.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : float or array-like of shape (n_samples,), optional
            Weights; C is multiplied by them. A row whose weight is not above 0 is left out.

        Returns
        -------
        self
            This estimator, fitted.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what is expected; among them labels of one class alone.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` pairs were moved and the conditions are still violated by more than `tol`.

        Notes
        -----
        Ctrl-C is answered within a second, and what was reached is kept: with ``warm_start=True`` the
        next `fit` to the same rows goes on from there, also with another C or kernel.
        """
        checks.check_labels(y)
        X, y = self._validate(X, y)
        with naming("y"):
            y = column_or_1d(y, warn=True)
            if y.dtype.kind == "f":
                assert_all_finite(y, input_name="y")
            check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got "
                f"{len(classes)} class: expected labels of two classes or more in y"
            )
        weight = checks.check_weights(sample_weight, len(labels))
        self.class_weight_ = compute_class_weight(self.class_weight, classes=classes, y=y)
        weight = weight * self.class_weight_[labels]
        before = self._before(len(labels), classes)
        self._begin()
        self.classes_ = classes
        source = self._source(X)
        rows_of = [np.flatnonzero((labels == k) & (weight > 0.0)) for k in range(len(classes))]
        self._fit_pairs(X, self._shared(source), rows_of, weight, before)
        return self

    def _before(self, n: int, classes: np.ndarray) -> list[Known] | None:
        """Coefficients that the fit before has left, of each pair."""
        state = getattr(self, "_state", None)
        if not self.warm_start or state is None:
            return None
        checks.check_same_problem(state[0], n, "samples")
        checks.check_same_problem(len(self.classes_), len(classes), "classes")
        return list(state[1])

    def _shared(self, source: Source) -> Source:
        """A source whose blocks all pairs share: the whole matrix, where it is granted."""
        several = len(self.classes_) > 2 and isinstance(source, OfRows)
        if several and 8 * source.n**2 <= self.cache_size * MEGABYTE:
            return OfMatrix(source.matrix(np.float64))
        return source

    def _fit_pairs(
        self,
        X: Any,
        source: Source,
        rows_of: list[np.ndarray],
        weight: np.ndarray,
        before: list[Known] | None,
    ) -> None:
        pairs = one_vs_one.class_pairs(len(self.classes_))
        layout = one_vs_one.Layout(rows_of)
        intercepts, counts = np.zeros(len(pairs)), np.zeros(len(pairs), np.int32)
        tasks: list[Task] = []
        for number, (i, j) in enumerate(pairs):
            rows = np.concatenate([rows_of[i], rows_of[j]])
            problem, start = self._problem(len(rows_of[i]), weight[rows])
            if before is not None and number < len(before):
                known = _scattered(before[number], source.n)[rows]
                start = feasible(problem, known, _sums(problem, start))
            what = f"classes {self.classes_[i]} and {self.classes_[j]}"
            tasks.append(Task(problem, rows, start, what))
        kept: list[Known] = []
        try:
            for number, solution in enumerate(self._solutions(source, tasks)):
                kept.append((tasks[number].rows, solution.beta))
                coefficients, rho = self._result(solution)
                layout.set(pairs[number], coefficients)
                intercepts[number] = -rho
                counts[number] = solution.pairs
        except KeyboardInterrupt:
            reached = zip(tasks[len(kept) :], self._reached, strict=False)
            kept += [(task.rows, beta) for task, beta in reached]
            self._state = (source.n, kept + (before or [])[len(kept) :])
            raise
        self._state = (source.n, kept) if self.warm_start else None
        support, self._n_support, coefficients = layout.support()
        checks.check_finite_result(coefficients, intercepts)
        self._keep(X, support, coefficients)
        self._intercept_ = intercepts
        flip = -1.0 if len(self.classes_) == 2 else 1.0
        self.dual_coef_, self.intercept_ = self._dual_coef_ * flip, intercepts * flip
        self.n_iter_ = counts
        self._warn(counts)

    def _solutions(self, source: Source, tasks: list[Task]) -> Iterator[Solution]:
        """One after the other; side by side, where all are small and read one matrix."""
        K = source.whole()
        if K is not None and len(tasks) > 1 and max(len(task.rows) for task in tasks) <= LARGEST:
            for task, solution in zip(tasks, self._solve_several(K, tasks), strict=True):
                # What takes many pairs is better solved alone, where other methods help.
                self._reached = self._reached[1:]
                yield solution if solution.ended else self._goes_on(source, task, solution)
            return
        for task in tasks:
            whole = np.array_equal(task.rows, np.arange(source.n))
            part = source if whole else source.part(task.rows)
            yield self._solve(task.problem, part, task.start, task.what)

    def _goes_on(self, source: Source, task: Task, begun: Solution) -> Solution:
        """Solve on from what a problem has reached."""
        part = source.part(task.rows)
        found = self._solve(task.problem, part, begun.beta, task.what, begun.pairs)
        return found._replace(pairs=begun.pairs + found.pairs)

    def _pair_values(self, X: Any) -> np.ndarray:
        """The value of each problem, positive for its first class.  # shape: (n, pairs)"""
        X = self._points(X)
        coefficients = self._coefficients()
        places = one_vs_one.segments(self._n_support)
        parts = [self._values(X, place, coefficients[:, place]) for place in places]
        found = np.empty((X.shape[0], len(self._intercept_)))
        for column, (i, j) in enumerate(one_vs_one.class_pairs(len(places))):
            found[:, column] = parts[i][:, j - 1] + parts[j][:, i]
        return found + self._intercept_

    @property
    def _sign(self) -> float:
        """Of two classes the decision function is positive for the second."""
        return -1.0 if len(self.classes_) == 2 else 1.0

    def _pairs_there(self, X: Any) -> Any:
        """:meth:`_pair_values` of points on a GPU times `_sign`, all by one product."""
        check_is_fitted(self)
        return self._values_there(X, self._sign * self._intercept_, self._as_pairs)

    def _as_pairs(self, vectors: np.ndarray, dual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A column of coefficients for each problem, of all support vectors."""
        columns = np.zeros((len(vectors), len(self._intercept_)))
        for k, ((first, i), (second, j)) in enumerate(one_vs_one.terms(self._n_support)):
            columns[first, k] = self._sign * dual[i, first]
            columns[second, k] = self._sign * dual[j, second]
        return vectors, columns

    def _decided_there(self, X: Any) -> Any:
        """:meth:`decision_function` of points on a GPU. Votes are counted on the CPU."""
        values = self._pairs_there(X)
        if len(self.classes_) == 2:
            return values.reshape(-1)
        if self.decision_function_shape == "ovo":
            return values
        return from_host(one_vs_one.one_vs_rest(to_host(values), len(self.classes_)), X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Values of the fitted functions.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            Where to evaluate; for ``kernel="precomputed"`` the Gram matrix of these points with the
            training rows, of shape (n_points, n_samples). An array on a GPU stays there (float64).

        Returns
        -------
        ndarray of shape (n_points,), (n_points, n_classes) or (n_points, n_classes (n_classes - 1) / 2)
            Of two classes f(x), positive for ``classes_[1]``. Of more the votes for each class with
            ``decision_function_shape="ovr"``, and a value between them; with ``"ovo"`` the value of each
            pair, positive for its first class.
        """
        if is_device_array(X):
            return self._decided_there(X)
        values = self._pair_values(X)
        if len(self.classes_) == 2:
            return -values[:, 0]
        if self.decision_function_shape == "ovr":
            # Scikit-learn's own reads values of the other sign, where those of zero are votes, too.
            return one_vs_one.one_vs_rest(values, len(self.classes_))
        return values

    def predict(self, X: Any) -> np.ndarray:
        """The class of each point.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_points, n_features)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_points,)
            The class with the most votes, of several the first; with ``break_ties=True`` the one whose
            `decision_function` is largest.
        """
        check_is_fitted(self)
        if self.break_ties and self.decision_function_shape == "ovo":
            raise ValueError("break_ties must be False when decision_function_shape is 'ovo'")
        if self.break_ties and len(self.classes_) > 2:
            return self.classes_[np.argmax(to_host(self.decision_function(X)), axis=1)]
        if is_device_array(X):
            values = self._sign * to_host(self._pairs_there(X))
        else:
            values = self._pair_values(X)
        count = one_vs_one.votes(values, len(self.classes_))
        return self.classes_[np.argmax(count, axis=1)]

    def _weights(self) -> Any:
        if len(self.classes_) == 2:
            return self.dual_coef_ @ self.support_vectors_
        coefficients, vectors = self._coefficients(), self.support_vectors_
        rows = [
            coefficients[a, first] @ vectors[first] + coefficients[b, second] @ vectors[second]
            for (first, a), (second, b) in one_vs_one.terms(self._n_support)
        ]
        stacked = np.vstack(rows)
        return as_sparse(stacked) if self._sparse else stacked


def _sums(problem: Problem, start: np.ndarray) -> tuple[float, ...]:
    sums = start[: problem.split].sum(), start[problem.split :].sum()
    return sums if problem.two_groups else sums[:1]


def _scattered(known: Known, n: int) -> np.ndarray:
    """The coefficients of all rows.  # shape: (n,)"""
    rows, beta = known
    found = np.zeros(n)
    found[rows] = beta
    return found
