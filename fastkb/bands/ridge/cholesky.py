"""The solver `cholesky`: one factorisation for each replicate, on its distinct rows.

A resample with counts w is weighted kernel ridge regression on the rows u that were drawn:

    (K_uu + λ diag(1/w_u)) α = y_u,        f(x) = Σ_u α_u K(x_u, x)

Where a constant b is fitted too, α solves this for y_u - b, and b is such that Σ α_u = 0. With A = RRᵀ
for the matrix, z = R⁻¹y_u and z₁ = R⁻¹1 that is b = zᵀz₁ / z₁ᵀz₁, and α = R⁻ᵀ(z - b z₁): one more
right-hand side, half solved.

About 63% of n rows are distinct, so the factorisation costs a quarter of the flops of refitting the
duplicated rows, and the Gram matrix is never computed again. Every thread factors its own replicate on
the engine's micro-kernel (:mod:`fastkb.linalg.cholesky`); the predictions of a whole chunk are one
matrix product on the engine, whose elements do not depend on the chunk.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastkb.gram import engine
from fastkb.linalg import cholesky as dense
from fastkb.ridge.dual import PIVOT_ROUNDING
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.memory import empty
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import find

_TINY = np.finfo(np.float64).tiny
_ROUNDING = PIVOT_ROUNDING * np.finfo(np.float64).eps


class CholeskyProblem(NamedTuple):
    """What all replicates share. All arrays are float64 and C-contiguous."""

    K: np.ndarray  # Gram matrix of the data.                     shape: (n, n)
    cross: np.ndarray  # kernel of evaluation points and data.    shape: (n_eval, n)
    y: np.ndarray  # targets.                                     shape: (n_targets, n)
    alpha: np.ndarray  # penalty λ of each target.                shape: (n_targets,)
    fit_intercept: bool = False


class CholeskyWorkspace(NamedTuple):
    """Scratch of the threads; the first axis counts them."""

    panels: np.ndarray
    left: np.ndarray
    rows: np.ndarray  # the distinct rows.                        shape: (workers, n)
    ridge: np.ndarray  # λ / w of the distinct rows.              shape: (workers, n)
    x: np.ndarray  # a solution.                                  shape: (workers, padded n)


class Right(NamedTuple):
    """Right-hand sides of one penalty."""

    responses: np.ndarray  # the targets, and ones if constants are fitted.  shape: (n_responses, n)
    rows: np.ndarray  # which of them: targets, and the ones after them.     shape: (count,)
    n_targets: int
    alpha: float


class Refits(NamedTuple):
    """Results of the replicates."""

    dual: np.ndarray  # dual coefficients.                shape: (n_replicates, n_targets, n)
    constants: np.ndarray  # 0 without an intercept.      shape: (n_replicates, n_targets)
    failed: np.ndarray  # see `predict`.                  shape: (n_replicates,)


def workspace(problem: CholeskyProblem) -> CholeskyWorkspace:
    """Uninitialised scratch for as many threads as run."""
    n, n_targets, workers = len(problem.K), len(problem.y), n_threads()
    panels, left = dense.allocate(n, n_targets + problem.fit_intercept, workers)
    what = "scratch of the Cholesky bootstrap"
    return CholeskyWorkspace(
        panels,
        left,
        np.empty((workers, n), np.intp),
        empty((workers, n), np.float64, what),
        empty((workers, dense.padded(n)), np.float64, what),
    )


def predict(
    problem: CholeskyProblem, weights: np.ndarray, work: CholeskyWorkspace
) -> tuple[np.ndarray, np.ndarray]:
    """Refit on each row of weights, and evaluate.

    Parameters
    ----------
    problem : CholeskyProblem
    weights : ndarray of float64, shape (n_replicates, n)
        Non-negative; rows of weight zero are left out.
    work : CholeskyWorkspace

    Returns
    -------
    predictions : ndarray of shape (n_replicates, n_eval, n_targets)
    failed : ndarray of bool, shape (n_replicates,)
        Where a matrix was not positive definite to working precision: its predictions mean nothing.
    """
    n_replicates, n = weights.shape
    n_targets = len(problem.y)
    refits = Refits(
        np.zeros((n_replicates, n_targets, n)),
        np.zeros((n_replicates, n_targets)),
        np.zeros(n_replicates, np.bool_),
    )
    responses = problem.y
    if problem.fit_intercept:
        responses = np.concatenate([problem.y, np.ones((1, n))])
    # Targets of one penalty share the factorisation.
    for alpha in np.unique(problem.alpha):
        right = np.flatnonzero(problem.alpha == alpha)
        count = len(right)
        if problem.fit_intercept:
            right = np.append(right, n_targets)
        _refit(problem.K, Right(responses, right, count, float(alpha)), weights, work, refits)
    rows = refits.dual.reshape(n_replicates * n_targets, n)
    values = engine.compute(find("linear"), (), problem.cross, rows)
    shape = (len(problem.cross), n_replicates, n_targets)
    values = values.reshape(shape)
    if problem.fit_intercept:
        values += refits.constants
    return values.transpose(1, 0, 2), refits.failed


@jit(parallel=True)
def _refit(K, sides, weights, work, refits):
    """Dual coefficients and constants, replicate by replicate; the threads take them in turns."""
    right, n_targets, alpha = sides.rows, sides.n_targets, sides.alpha
    dual, constants, failed = refits.dual, refits.constants, refits.failed
    workers = work.panels.shape[0]
    for worker in prange(workers):
        panels, left = work.panels[worker], work.left[worker]
        index, ridge, x = work.rows[worker], work.ridge[worker], work.x[worker]
        for b in range(worker, weights.shape[0], workers):
            n = 0
            for i in range(weights.shape[1]):
                if weights[b, i] > 0.0:
                    index[n] = i
                    ridge[n] = alpha / weights[b, i]
                    n += 1
            size = -(-n // dense.BLOCK) * dense.BLOCK
            dense.assemble(K, index, n, ridge, panels, size)
            dense.assemble_right(sides.responses, right, index, n, panels, size)
            if dense.factor(panels, size, len(right), left) > 0 or not _has_true_pivots(
                K, index, n, ridge, panels, size
            ):
                failed[b] = True
                continue
            for t in range(n_targets):
                if n_targets < len(right):
                    constants[b, right[t]] = _take_constant(panels, size, n, t, n_targets)
                dense.solve_transposed(panels, size, t, x)
                for i in range(n):
                    dual[b, right[t], index[i]] = x[i]


@inline
def _has_true_pivots(K, index, n, ridge, panels, size):
    """Whether no pivot is what rounding errors left of zero: see :mod:`fastkb.ridge.dual`."""
    rounding = _ROUNDING * math.sqrt(n)
    for k in range(n):
        root = panels[dense.place(size, k, k)]
        if not root * root > max(rounding * (K[index[k], index[k]] + ridge[k]), _TINY):
            return False
    return True


@inline
def _take_constant(panels, size, n, t, ones):
    """b = zᵀz₁ / z₁ᵀz₁ for the right-hand sides z and z₁ numbered `t` and `ones`; z becomes z - b z₁."""
    product, square = 0.0, 0.0
    for k in range(n):
        one = panels[dense.place(size, size + ones, k)]
        product += one * panels[dense.place(size, size + t, k)]
        square += one * one
    constant = product / square
    for k in range(n):
        one = panels[dense.place(size, size + ones, k)]
        panels[dense.place(size, size + t, k)] -= constant * one
    return constant
