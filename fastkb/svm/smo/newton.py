"""All free coefficients moved at once, to the minimum between their bounds.

Pairs need many thousands of steps where columns have unlike scales, or where a linear kernel has few
columns. Newton's method needs one, if no bound is in the way; else it goes as far as the first and leaves
that coefficient there.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from fastkb.runtime.threads import limit_blas
from fastkb.svm.smo.pairs import Work

# Free coefficients at most: a step costs their third power.
LARGEST = 512

# Steps at a time; a bound ends each but the last.
_STEPS = 64

# What is added to the diagonal, relative to it: directions without curvature become long, not infinite.
_RIDGE = 1e-11


def move_free(K: np.ndarray, work: Work, split: int, kink: float) -> int:
    """Move the free coefficients, and the gradient with them, as Newton's method says; the steps.

    Parameters
    ----------
    K : ndarray
        # shape: (q, q)
    work : Work
        Its coefficients and its gradient are changed. The objective never rises.
    split : int
        The first coefficient of group 1.
    kink : float
    """
    for step in range(_STEPS):
        beta, free = work.beta, free_of(work)
        if not 1 < len(free) <= LARGEST:
            return step
        gradient = work.gradient[free] + kink * np.sign(beta[free])
        with limit_blas():
            direction = _direction(K[np.ix_(free, free)], gradient, free < split)
        if direction is None:
            return step
        length, last = _length(K, work, free, direction, gradient)
        if not length > 0.0:
            return step
        lower, upper = room_of(work, free)
        moved = np.clip(beta[free] + length * direction, lower, upper)
        if last >= 0:
            moved[last] = upper[last] if direction[last] > 0.0 else lower[last]
        with limit_blas():
            work.gradient[:] += K[:, free] @ (moved - beta[free])
        beta[free] = moved
        if last < 0:
            return step + 1
    return _STEPS


def _direction(K: np.ndarray, gradient: np.ndarray, first: np.ndarray) -> np.ndarray | None:
    """-K⁻¹ of the gradient less its groups' offsets, so that each group's sum is kept."""
    size = float(K.diagonal().max())
    K = K.astype(np.float64)
    K[np.diag_indices_from(K)] += _RIDGE * size
    groups = [group.astype(np.float64) for group in (first, ~first) if group.any()]
    try:
        factor = cho_factor(K, lower=True, overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, np.column_stack([gradient, *groups]), check_finite=False)
    except LinAlgError:
        return None
    of_gradient, of_groups = solved[:, 0], solved[:, 1:]
    ones = np.column_stack(groups)
    small = ones.T @ of_groups
    if not np.isfinite(solved).all() or np.linalg.det(small) <= 0.0:
        return None
    offsets = np.linalg.solve(small, ones.T @ of_gradient)
    direction = of_groups @ offsets - of_gradient
    # The sums to the last digit, which the ridge and rounding have left open.
    for group in groups:
        direction -= group * (group @ direction) / group.sum()
    return direction


def _length(
    K: np.ndarray, work: Work, free: np.ndarray, direction: np.ndarray, gradient: np.ndarray
) -> tuple[float, int]:
    """How far to go, and the coefficient whose bound is there; -1: none."""
    slope = float(gradient @ direction)
    if not slope < 0.0:
        return 0.0, -1
    curvature = float(direction @ (K[np.ix_(free, free)] @ direction))
    best = -slope / curvature if curvature > 0.0 else np.inf
    lower, upper = room_of(work, free)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(direction > 0.0, upper - work.beta[free], lower - work.beta[free])
        until = np.where(direction != 0.0, room / direction, np.inf)
    nearest = int(np.argmin(until))
    if best < until[nearest]:
        return best, -1
    return (float(until[nearest]), nearest) if np.isfinite(until[nearest]) else (0.0, -1)


def free_of(work: Work) -> np.ndarray:
    """The coefficients between their bounds, and not at the kink.  # shape: (k,)"""
    beta = work.beta
    return np.flatnonzero((beta > work.lower) & (beta < work.upper) & (beta != 0.0))


def room_of(work: Work, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far coefficients may go: to their bounds, or to the kink at zero."""
    beta = work.beta[free]
    return (
        np.where(beta > 0.0, np.maximum(work.lower[free], 0.0), work.lower[free]),
        np.where(beta < 0.0, np.minimum(work.upper[free], 0.0), work.upper[free]),
    )
