"""Bootstrap bands by their definition: refit the duplicated rows, then take percentiles."""

from __future__ import annotations

import numpy as np


def solve_accurately(A, b, steps=4):
    """A⁻¹ b with residuals in extended precision, so that A's condition hardly matters."""
    wide, target = A.astype(np.longdouble), np.asarray(b, dtype=np.longdouble)
    x = np.zeros(target.shape, dtype=np.longdouble)
    for _ in range(steps):
        x = x + np.linalg.solve(A, (target - wide @ x).astype(np.float64))
    return x


def solve_with_constant(A, b, total=0.0):
    """x and c with A x + c 1 = b and Σ x = `total`, for each column of b.

    x = A⁻¹(b - c 1), so c = (Σ A⁻¹b - total) / Σ A⁻¹1.
    """
    without, of_ones = solve_accurately(A, b), solve_accurately(A, np.ones(len(A)))
    constant = (without.sum(axis=0) - total) / of_ones.sum()
    return without - np.multiply.outer(of_ones, constant), constant


def refit(K, cross, y, alpha, indices, fit_intercept=False):
    """Prediction of kernel ridge regression fitted on the rows `indices`, duplicates and all.

    f(x) = b + Σ_i a_i K(x, x_i) with (K + αI) a + b = y over the drawn rows, where b = 0, or such that
    Σ a = 0 if a constant is fitted.  # shape: (n_eval,)
    """
    weights = np.ones(len(indices))
    K, y = K[np.ix_(indices, indices)], y[indices]
    return weighted_fit(K, cross[:, indices], y, alpha, weights, fit_intercept)


def weighted_fit(K, cross, y, alpha, weights, fit_intercept=False):
    """The same by weights on the distinct rows: (K + α W⁻¹) a + b = y.  # shape: (n_eval,)"""
    u = np.flatnonzero(weights)
    A = K[np.ix_(u, u)] + np.diag(alpha / weights[u])
    dual, constant = solve_accurately(A, y[u]), 0.0
    if fit_intercept:
        dual, constant = solve_with_constant(A, y[u])
    return np.asarray(cross[:, u] @ dual + constant, dtype=np.float64)


def rounding_sensitivity(K, cross, y, alpha, indices, fit_intercept=False):
    """How far the prediction may move when each kernel value moves by one eps of its diagonal.

    To first order δf = δk·a - s·δK a with the smoother s = (K + αI)⁻¹ k, or, with a constant,
    (K + αI) s + c = k and Σ s = 1: at most eps · max K_ii · |a|₁ (1 + |s|₁) for each evaluation point.
    # shape: (n_eval,)
    """
    A = K[np.ix_(indices, indices)] + alpha * np.eye(len(indices))
    if fit_intercept:
        dual, _ = solve_with_constant(A, y[indices])
        smoother, _ = solve_with_constant(A, cross[:, indices].T, 1.0)
    else:
        dual = solve_accurately(A, y[indices])
        smoother = solve_accurately(A, cross[:, indices].T)
    size = np.finfo(np.float64).eps * np.abs(np.diag(K)).max()
    bound = size * np.abs(dual).sum() * (1 + np.abs(smoother).sum(axis=0))
    return np.asarray(bound, dtype=np.float64)


def percentiles(distribution, level):
    """Edges that hold the middle `level` of the empirical distribution.  # shape: (n_eval,) twice

    The p-quantile of B sorted numbers stands at the position (B - 1)·p, linearly between neighbours.
    """
    ordered = np.sort(distribution, axis=0)
    edges = []
    for p in ((1 - level) / 2, (1 + level) / 2):
        position = (len(ordered) - 1) * p
        below = int(np.floor(position))
        above = min(below + 1, len(ordered) - 1)
        part = position - below
        edges.append(ordered[below] * (1 - part) + ordered[above] * part)
    return edges[0], edges[1]
