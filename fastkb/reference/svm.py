"""Support vector machines by their definition, as one kind of quadratic problem, solved a pair at a time.

All five machines minimise

    ½ Σₛₜ βₛ βₜ K(rowₛ, rowₜ) + Σₜ linearₜ βₜ,   lowerₜ ≤ βₜ ≤ upperₜ,   Σ of β over each group fixed.

A variable of a classifier is β = y α; a regression has two for each row, α ≥ 0 and -α* ≤ 0. The decision
function is f(x) = Σₜ βₜ K(x, rowₜ) - ρ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """One quadratic problem, and where its solver begins."""

    row: np.ndarray  # of K, for each variable.  # shape: (m,)
    lower: np.ndarray
    upper: np.ndarray
    linear: np.ndarray
    group: np.ndarray  # 0 or 1
    start: np.ndarray  # within the bounds, and with the sums that are kept


def c_svc(y, C):
    """Hinge loss: y of -1 and 1, and C for each row."""
    y, C = np.asarray(y, float), np.broadcast_to(np.asarray(C, float), len(y))
    n = len(y)
    zero = np.zeros(n)
    return Problem(
        np.arange(n), np.where(y > 0, 0, -C), np.where(y > 0, C, 0), -y, np.zeros(n, int), zero
    )


def nu_svc(y, nu, weight):
    """The same with Σ of each class's |β| fixed to ν Σ weight / 2, each at most its weight."""
    y, weight = np.asarray(y, float), np.asarray(weight, float)
    n = len(y)
    start = np.zeros(n)
    for sign in (1.0, -1.0):
        mine = y == sign
        start[mine] = sign * _filled(nu * weight.sum() / 2, weight[mine])
    lower, upper = np.where(y > 0, 0, -weight), np.where(y > 0, weight, 0)
    return Problem(np.arange(n), lower, upper, np.zeros(n), (y < 0).astype(int), start)


def epsilon_svr(y, C, epsilon):
    """Errors beyond ε cost C each."""
    y, C = np.asarray(y, float), np.broadcast_to(np.asarray(C, float), len(y))
    n = len(y)
    rows, zero = np.tile(np.arange(n), 2), np.zeros(n)
    linear = np.concatenate([epsilon - y, -epsilon - y])
    lower, upper = np.concatenate([zero, -C]), np.concatenate([C, zero])
    return Problem(rows, lower, upper, linear, np.zeros(2 * n, int), np.zeros(2 * n))


def nu_svr(y, C, nu):
    """ε is found, so that Σ of |β| on either side is ν Σ C / 2."""
    y, C = np.asarray(y, float), np.broadcast_to(np.asarray(C, float), len(y))
    half = _filled(nu * C.sum() / 2, C)
    problem = epsilon_svr(y, C, 0.0)
    group = np.repeat([0, 1], len(y))
    return problem._replace(group=group, start=np.concatenate([half, -half]))


def one_class(nu, weight):
    """Σ of β is ν Σ weight, each at most its weight."""
    weight = np.asarray(weight, float)
    n = len(weight)
    start = _filled(nu * weight.sum(), weight)
    return Problem(np.arange(n), np.zeros(n), weight, np.zeros(n), np.zeros(n, int), start)


def _filled(total, most):
    """The first values as large as they may be, up to a total."""
    before = np.concatenate([[0.0], np.cumsum(most)[:-1]])
    return np.clip(total - before, 0.0, most)


def gradient(K, problem, beta):
    """The objective's, for each variable.  # shape: (m,)"""
    return coefficients(K, problem, beta) @ K[:, problem.row] + problem.linear


def coefficients(K, problem, beta):
    """Σ of β for each row of K.  # shape: (n,)"""
    total = np.zeros(len(K))
    np.add.at(total, problem.row, beta)
    return total


def objective(K, problem, beta):
    """What is minimised."""
    total = coefficients(K, problem, beta)
    return 0.5 * total @ K @ total + problem.linear @ beta


def most_violating(K, problem, beta):
    """(violation, i, j): raising βᵢ and lowering βⱼ alike lowers the objective most steeply.

    At a minimum no pair of a group has a violation above 0.
    """
    g = gradient(K, problem, beta)
    worst = (-np.inf, -1, -1)
    for group in np.unique(problem.group):
        mine = problem.group == group
        up = np.flatnonzero(mine & (beta < problem.upper))
        down = np.flatnonzero(mine & (beta > problem.lower))
        if len(up) and len(down):
            i, j = up[np.argmin(g[up])], down[np.argmax(g[down])]
            worst = max(worst, (g[j] - g[i], i, j))
    return worst


def solve(K, problem, tol=1e-3, max_iter=100_000):
    """Coefficients with a violation of at most `tol`.  # shape: (m,)

    The most violating pair is moved to the minimum along it, as far as the bounds allow. A kernel with a
    negative curvature there is taken for one of next to none.
    """
    K = np.asarray(K, float)
    beta = problem.start.copy()
    for _ in range(max_iter):
        violation, i, j = most_violating(K, problem, beta)
        if violation <= tol:
            return beta
        a, b = problem.row[i], problem.row[j]
        curvature = max(K[a, a] + K[b, b] - 2.0 * K[a, b], 1e-12)
        step = min(violation / curvature, problem.upper[i] - beta[i], beta[j] - problem.lower[j])
        to_upper = step == problem.upper[i] - beta[i]
        to_lower = step == beta[j] - problem.lower[j]
        beta[i] = problem.upper[i] if to_upper else beta[i] + step
        beta[j] = problem.lower[j] if to_lower else beta[j] - step
    raise ArithmeticError(f"a violation of {violation:g} is left after {max_iter} pairs")


def offsets(K, problem, beta):
    """The gradient of variables between their bounds, of each group; else the middle of its range."""
    g = gradient(K, problem, beta)
    found = []
    for group in np.unique(problem.group):
        mine = problem.group == group
        free = mine & (beta > problem.lower) & (beta < problem.upper)
        if free.any():
            found.append(g[free].mean())
            continue
        at_most = g[mine & (beta < problem.upper)]
        at_least = g[mine & (beta > problem.lower)]
        found.append((at_most.min(initial=np.inf) + at_least.max(initial=-np.inf)) / 2)
    return found


def decision(K_new, problem, beta, rho):
    """f(x) for rows of ``K_new``, of shape (points, n)."""
    total = np.zeros(np.shape(K_new)[1])
    np.add.at(total, problem.row, beta)
    return K_new @ total - rho


def hinge_objective(K, y, coefficients, intercept, lam):
    """(1/n) Σᵢ max(0, 1 - yᵢ (b + (K a)ᵢ)) + λ aᵀ K a."""
    margins = np.asarray(y) * (intercept + K @ coefficients)
    return np.maximum(0.0, 1.0 - margins).mean() + lam * coefficients @ K @ coefficients
