"""Weighted kernel ridge regression by its definition, and leave-one-out by refitting n times."""

from __future__ import annotations

import numpy as np


def dual_coefficients(K, y, alpha, sample_weight=None):
    """The minimiser a of Σᵢ wᵢ (yᵢ - (K a)ᵢ)² + α aᵀ K a.  # shape: (n,) or (n, n_targets)

    Its gradient 2 K (W (K a - y) + α a) vanishes where (W K + α I) a = W y.
    """
    K = np.asarray(K, dtype=float)  # shape: (n, n)
    y = np.asarray(y, dtype=float)  # shape: (n,) or (n, n_targets)
    weight = np.ones(len(K)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    right_side = (weight * y.T).T
    return np.linalg.solve(weight[:, None] * K + alpha * np.eye(len(K)), right_side)


def predictions(K_new, dual_coef):
    """f(x) = Σᵢ aᵢ K(x, xᵢ) for rows of `K_new`.  # shape: (m,) or (m, n_targets)"""
    return np.asarray(K_new) @ dual_coef


def objective(K, y, alpha, dual_coef, sample_weight=None):
    """Σᵢ wᵢ (yᵢ - (K a)ᵢ)² + α aᵀ K a for one target."""
    weight = np.ones(len(K)) if sample_weight is None else np.asarray(sample_weight)
    return np.sum(weight * (y - K @ dual_coef) ** 2) + alpha * dual_coef @ K @ dual_coef


def leave_one_out_residuals(K, y, alpha, sample_weight=None):
    """yᵢ - f₋ᵢ(xᵢ), where f₋ᵢ is fitted to all rows but the i-th.  # shape: as y"""
    K = np.asarray(K, dtype=float)
    y = np.asarray(y, dtype=float)
    weight = np.ones(len(K)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    residuals = np.empty_like(y)
    for i in range(len(K)):
        rest = np.arange(len(K)) != i
        coefficients = dual_coefficients(K[np.ix_(rest, rest)], y[rest], alpha, weight[rest])
        residuals[i] = y[i] - K[i, rest] @ coefficients
    return residuals


def leave_one_out_error(K, y, alpha, sample_weight=None):
    """Σᵢ wᵢ (yᵢ - f₋ᵢ(xᵢ))² / Σᵢ wᵢ.  # shape: () or (n_targets,)"""
    weight = np.ones(len(K)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    squares = leave_one_out_residuals(K, y, alpha, sample_weight) ** 2
    return weight @ squares / weight.sum()
