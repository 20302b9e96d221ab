"""Weighted kernel ridge regression by its definition, and what is left out by refitting without it."""

from __future__ import annotations

import numpy as np


def dual_coefficients(K, y, alpha, sample_weight=None):
    """The minimiser a of Σᵢ wᵢ (yᵢ - (K a)ᵢ)² + α aᵀ K a.  # shape: (n,) or (n, n_targets)

    Its gradient 2 K (W (K a - y) + α a) vanishes where (W K + α I) a = W y.
    """
    K = np.asarray(K, dtype=float)  # shape: (n, n)
    y = np.asarray(y, dtype=float)  # shape: (n,) or (n, n_targets)
    weight = _weights(K, sample_weight)
    right_side = (weight * y.T).T
    return np.linalg.solve(weight[:, None] * K + alpha * np.eye(len(K)), right_side)


def fit(K, y, alpha, sample_weight=None, fit_intercept=False):
    """The minimiser (a, b) of Σᵢ wᵢ (yᵢ - b - (K a)ᵢ)² + α aᵀ K a; b is 0 without an intercept.

    For a given b the best a is that of y - b, linear in b: a = a_y - b a₁ with the coefficients of
    y and of the constant 1. What is left of the objective, α (y - b)ᵀ a, is least at
    b = 1ᵀ a_y / 1ᵀ a₁.
    """
    y = np.asarray(y, dtype=float)
    coefficients = dual_coefficients(K, y, alpha, sample_weight)
    if not fit_intercept:
        return coefficients, np.zeros(y.shape[1:])
    of_one = dual_coefficients(K, np.ones(len(y)), alpha, sample_weight)
    constant = coefficients.sum(axis=0) / of_one.sum()
    return coefficients - np.multiply.outer(of_one, constant), constant


def conjugate_gradients(K, y, alpha, iterations):
    """The dual coefficients of one target after so many iterations on (K + α I) a = y, from a = 0.

    After k of them a is the best of the span of y, A y, …, Aᵏ⁻¹ y in the norm of A = K + α I.
    """
    A = np.asarray(K, dtype=float) + alpha * np.eye(len(K))
    a, left = np.zeros(len(A)), np.asarray(y, dtype=float).copy()
    way = left.copy()
    for _ in range(iterations):
        step = left @ left / (way @ A @ way)
        a = a + step * way
        after = left - step * (A @ way)
        way = after + (after @ after) / (left @ left) * way
        left = after
    return a


def predictions(K_new, dual_coef, intercept=0.0):
    """f(x) = b + Σᵢ aᵢ K(x, xᵢ) for rows of `K_new`.  # shape: (m,) or (m, n_targets)"""
    return np.asarray(K_new) @ dual_coef + intercept


def objective(K, y, alpha, dual_coef, sample_weight=None, intercept=0.0):
    """Σᵢ wᵢ (yᵢ - b - (K a)ᵢ)² + α aᵀ K a for one target."""
    weight = _weights(K, sample_weight)
    misfit = np.sum(weight * (y - intercept - K @ dual_coef) ** 2)
    return misfit + alpha * dual_coef @ K @ dual_coef


def leave_one_out_residuals(K, y, alpha, sample_weight=None, fit_intercept=False):
    """yᵢ - f₋ᵢ(xᵢ), where f₋ᵢ is fitted to all rows but the i-th.  # shape: as y"""
    rows = np.arange(len(y))
    folds = [(rows[rows != i], rows[i : i + 1]) for i in rows]
    return fold_residuals(K, y, alpha, folds, sample_weight, fit_intercept)


def leave_one_out_error(K, y, alpha, sample_weight=None, fit_intercept=False):
    """Σᵢ wᵢ (yᵢ - f₋ᵢ(xᵢ))² / Σᵢ wᵢ.  # shape: () or (n_targets,)"""
    weight = _weights(K, sample_weight)
    squares = leave_one_out_residuals(K, y, alpha, sample_weight, fit_intercept) ** 2
    return weight @ squares / weight.sum()


def fold_residuals(K, y, alpha, folds, sample_weight=None, fit_intercept=False):
    """y - f(x) of the test rows of each (train, test), one fold after the other, by refitting.

    # shape: (n_test_rows,) or (n_test_rows, n_targets)
    """
    K = np.asarray(K, dtype=float)
    y = np.asarray(y, dtype=float)
    weight = _weights(K, sample_weight)
    parts = []
    for train, test in folds:
        a, b = fit(K[np.ix_(train, train)], y[train], alpha, weight[train], fit_intercept)
        parts.append(y[test] - predictions(K[np.ix_(test, train)], a, b))
    return np.concatenate(parts)


def restricted_likelihood(K, y, alpha, sample_weight=None, fit_intercept=False):
    """Minus twice the logarithm of the restricted likelihood of y ~ N(b 1, s² (K/α + W⁻¹)), s² at
    its best, up to a constant that depends on neither K nor α.  # shape: () or (n_targets,)

    It is the likelihood of n - 1 contrasts z = Qᵀ y, with orthonormal columns of Q that are
    orthogonal to 1; without an intercept of y itself.
    """
    weight = _weights(K, sample_weight)
    used = weight > 0
    K, y, weight = (
        np.asarray(K, float)[np.ix_(used, used)],
        np.asarray(y, float)[used],
        weight[used],
    )
    n = len(y)
    covariance = K / alpha + np.diag(1.0 / weight)
    # The constant: contrasts of √w y in the place of contrasts of y.
    constant = np.log(weight).sum()
    if fit_intercept:
        contrasts = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, 1:]]))[0][:, 1:]
        covariance, y = contrasts.T @ covariance @ contrasts, contrasts.T @ y
        constant -= np.log(weight.mean())
    squares = np.sum(y * np.linalg.solve(covariance, y), axis=0)
    log_determinant = np.linalg.slogdet(covariance)[1]
    return len(y) * np.log(squares / len(y)) + log_determinant + constant


def _weights(K, sample_weight):
    if sample_weight is None:
        return np.ones(len(K))
    return np.asarray(sample_weight, dtype=float)
