"""Kernel ridge regression by conjugate gradients: nothing of the Gram matrix is needed but its products.

With S = diag(√w) and P the projection that an intercept asks for (see :mod:`fastkb.ridge.scaling`), the
system

    (P S K S P + λI) c = P S y      a = S c      b = Σ wᵢ (yᵢ - (K a)ᵢ) / Σ wᵢ

is solved for all targets side by side, each with a penalty and a step of its own: an iteration multiplies
K by as many columns as are not solved yet. The vectors are of float64, whatever the products are.

Source: Hestenes and Stiefel (1952), Methods of Conjugate Gradients for Solving Linear Systems.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Of ‖z - A c‖ / ‖z‖. Products in float32 are wrong by about 1e-7 of the size of what is added up.
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}

# Iterations, at most.
MOST = 1000


class Solved(NamedTuple):
    """The function f(x) = b + Σᵢ aᵢ K(x, xᵢ) of every target, and how well it solves the system."""

    dual_coef: np.ndarray  # shape: (n, n_targets)
    intercept: np.ndarray | None  # shape: (n_targets,)
    iterations: int
    residual: float  # the largest ‖z - A c‖ / ‖z‖ of a target, from a product at the end


def solve(
    times: Callable[[np.ndarray], np.ndarray],
    y: np.ndarray,
    alpha: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    fit_intercept: bool = False,
    tolerance: float = 1e-10,
    most: int = MOST,
) -> Solved:
    """Dual coefficients of every target, and the intercepts.

    Parameters
    ----------
    times : callable
        K V for V of shape (n, some), in float64; K is symmetric and positive semidefinite.
    y : ndarray
        Targets.  # shape: (n, n_targets)
    alpha : ndarray
        Penalties.  # shape: (1,) or (n_targets,)
    sample_weight : ndarray, optional
        Weights, at least 0, not all of them 0.  # shape: (n,)
    fit_intercept : bool, default False
        Whether a constant that bears no penalty is fitted, too.
    tolerance : float
        A target is solved when ‖z - A c‖ is at most so many times ‖z‖.
    most : int
        Iterations, at most.
    """
    y = np.asarray(y, np.float64)
    n, targets = y.shape
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
    root = np.sqrt(weight)[:, None]
    unit = root / np.linalg.norm(root)
    penalty = np.broadcast_to(np.asarray(alpha, np.float64), (targets,))

    def centred(V: np.ndarray) -> np.ndarray:
        return V - unit * (unit.T @ V) if fit_intercept else V

    def product(V: np.ndarray, penalty: np.ndarray) -> np.ndarray:
        return centred(root * times(root * centred(V))) + penalty * V

    z = centred(root * y)
    size = np.linalg.norm(z, axis=0)
    c, left, way = np.zeros_like(z), z.copy(), z.copy()
    squares = size**2
    goals = (tolerance * size) ** 2
    iterations = 0
    open_ = squares > goals
    while open_.any() and iterations < most:
        iterations += 1
        moved = product(way[:, open_], penalty[open_])
        curvature = np.einsum("ij,ij->j", way[:, open_], moved)
        if not (curvature > 0.0).all():
            break  # rounding errors are all that is left; the residual tells how much that is
        step = squares[open_] / curvature
        c[:, open_] += step * way[:, open_]
        left[:, open_] -= step * moved
        before = squares[open_]
        squares[open_] = np.einsum("ij,ij->j", left[:, open_], left[:, open_])
        way[:, open_] = left[:, open_] + squares[open_] / before * way[:, open_]
        open_ &= squares > goals

    a = root * centred(c)
    fitted = times(a)
    missing = np.linalg.norm(z - centred(root * fitted) - penalty * c, axis=0)
    residual = float(np.max(missing / np.where(size > 0.0, size, 1.0), initial=0.0))
    intercept = weight @ (y - fitted) / weight.sum() if fit_intercept else None
    return Solved(a, intercept, iterations, residual)
