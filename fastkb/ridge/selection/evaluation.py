"""What one kernel is worth at every penalty: predictions of what was left out, and the likelihood."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection.criterion import restricted_likelihood
from fastkb.ridge.selection.factorisation import ONE_ROW, LeftOut, Measured, measure_penalties
from fastkb.ridge.selection.folds import Folds
from fastkb.ridge.selection.leave_one_out import leave_folds_out, leave_one_out
from fastkb.ridge.selection.residual_operator import ResidualOperator


class TrainingData(NamedTuple):
    """What all candidates are fitted to, and how they are judged."""

    X: Any  # array or sparse matrix of shape: (n, d)
    y: np.ndarray  # float64 of shape: (n, n_targets)
    sample_weight: np.ndarray | None = None  # shape: (n,)
    fit_intercept: bool = False
    folds: Folds | None = None  # None: one row at a time
    left_out: LeftOut = ONE_ROW


class Evaluation(NamedTuple):
    """Predictions and likelihoods of one kernel, and how they were computed."""

    residuals: (
        np.ndarray
    )  # √w (y - f(x)) of each prediction; shape: (n_predictions, n_targets, n_alphas)
    reml: np.ndarray | None  # shape: (n_targets, n_alphas); None with folds
    solver: str
    reason: str


def evaluate(
    K: np.ndarray, data: TrainingData, alphas: np.ndarray, *, positive_semidefinite: bool
) -> Evaluation:
    """Predict the rows of `data` that are left out, for every penalty.

    Parameters
    ----------
    K : ndarray of float64
        Gram matrix of `data`, C-ordered, finite, which is overwritten.  # shape: (n, n)
    data : TrainingData
        Everything else that does not depend on the kernel.
    alphas : ndarray of float64
        Penalties λ > 0.  # shape: (n_alphas,)
    positive_semidefinite : bool
        Whether `K` is known to be so but for rounding errors.
    """
    if data.folds is not None:
        return _evaluate_folds(K, data, data.folds, alphas, positive_semidefinite)

    def without_each_row(operator: ResidualOperator) -> tuple[np.ndarray, ...]:
        residuals = operator.residuals()
        likelihood = restricted_likelihood(operator, residuals)
        return leave_one_out(operator, residuals), likelihood

    problem = ScaledProblem.in_place(K, data.y, data.sample_weight, data.fit_intercept)
    measured = measure_penalties(
        problem,
        alphas,
        without_each_row,
        positive_semidefinite=positive_semidefinite,
        left_out=data.left_out,
    )
    residuals, likelihood = measured.values
    return Evaluation(residuals, likelihood, measured.solver, measured.reason)


def _evaluate_folds(
    K: np.ndarray,
    data: TrainingData,
    folds: Folds,
    alphas: np.ndarray,
    positive_semidefinite: bool,
) -> Evaluation:
    def without_each_fold(operator: ResidualOperator) -> tuple[np.ndarray, ...]:
        return (leave_folds_out(operator, operator.residuals(), folds.complements),)

    # These first: they need the matrix as it is.
    refits = [_refit(K, data, fold, alphas, positive_semidefinite) for fold in folds.refits]
    residuals = np.empty((folds.rows.size, data.y.shape[1], alphas.size))
    if refits:
        residuals[~folds.is_complement] = np.concatenate([fit.values[0] for fit in refits])
        solver, reason = refits[-1].solver, f"by a fit to each fold: {refits[-1].reason}"
    if folds.complements:
        problem = ScaledProblem.in_place(K, data.y, data.sample_weight, data.fit_intercept)
        measured = measure_penalties(
            problem,
            alphas,
            without_each_fold,
            positive_semidefinite=positive_semidefinite,
            left_out=data.left_out,
        )
        residuals[folds.is_complement] = measured.values[0]
        solver, reason = measured.solver, measured.reason
    return Evaluation(residuals, None, solver, reason)


def _refit(
    K: np.ndarray,
    data: TrainingData,
    fold: tuple[np.ndarray, np.ndarray],
    alphas: np.ndarray,
    positive_semidefinite: bool,
) -> Measured:
    """√w (y - f(x)) of the fold's test rows, f fitted to its training rows; `K` stays as it is."""
    train, test = fold
    weight = data.sample_weight
    problem = ScaledProblem.in_place(
        np.ascontiguousarray(K[np.ix_(train, train)]),
        data.y[train],
        None if weight is None else weight[train],
        data.fit_intercept,
    )
    between = K[np.ix_(test, train)]
    scale = 1.0 if weight is None else np.sqrt(weight[test])[:, None, None]

    def predict(operator: ResidualOperator) -> tuple[np.ndarray, ...]:
        c = operator.residuals() / operator.alphas
        a, b = problem.solution(c)  # shape: (n_train, n_targets, n_alphas)
        fitted = (between @ a.reshape(train.size, -1)).reshape(test.size, *a.shape[1:])
        if b is not None:
            fitted += b
        residuals = scale * (data.y[test][:, :, None] - fitted)
        residuals[:, :, operator.singular] = np.inf
        return (residuals,)

    return measure_penalties(problem, alphas, predict, positive_semidefinite=positive_semidefinite)
