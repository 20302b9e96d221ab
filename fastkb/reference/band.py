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


def refit(K, cross, y, alpha, indices):
    """Prediction of kernel ridge regression fitted on the rows `indices`, duplicates and all.

    f(x) = Σ_i a_i K(x, x_i) with (K + αI) a = y over the drawn rows.  # shape: (n_eval,)
    """
    A = K[np.ix_(indices, indices)] + alpha * np.eye(len(indices))
    dual = solve_accurately(A, y[indices])
    return np.asarray(cross[:, indices] @ dual, dtype=np.float64)


def weighted_fit(K, cross, y, alpha, weights):
    """The same by integer weights on the distinct rows: (K + α W⁻¹) a = y.  # shape: (n_eval,)"""
    u = np.flatnonzero(weights)
    A = K[np.ix_(u, u)] + np.diag(alpha / weights[u])
    return np.asarray(cross[:, u] @ solve_accurately(A, y[u]), dtype=np.float64)


def rounding_sensitivity(K, cross, y, alpha, indices):
    """How far the prediction may move when each kernel value moves by one eps of its diagonal.

    To first order δf = δk·a - s·δK a with the smoother s = (K + αI)⁻¹ k: at most
    eps · max K_ii · |a|₁ (1 + |s|₁) for each evaluation point.  # shape: (n_eval,)
    """
    A = K[np.ix_(indices, indices)] + alpha * np.eye(len(indices))
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
