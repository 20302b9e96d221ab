"""The dual coefficients of weighted kernel ridge regression, in place on one Gram matrix.

Weights and an intercept enter by scaling and centring (:mod:`fastkb.ridge.scaling`); what remains is
the symmetric system (A + α I) c = z. Two solvers:

=========== ================================ ===================================================
solver      flops                            when
=========== ================================ ===================================================
`cholesky`  n³/3 for each distinct α         few distinct α
`spectral`  about 20 n³/3 for any number     many distinct α, or a matrix that is not positive
                                             definite (then in the sense of least squares)
=========== ================================ ===================================================

A pivot that is left of rounding errors alone counts as none: equal rows without a penalty leave one of
either sign.

Memory: LAPACK factorises one triangle where it lies and leaves the other alone. So the matrix can
be had back for the next α, or after a failure, without a copy: `cholesky` needs the n² numbers of
the Gram matrix and nothing more of that size, `spectral` three times that.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgWarning, eigh, get_lapack_funcs

from fastkb.linalg import blocked
from fastkb.ridge.scaling import ScaledProblem
from fastkb.runtime.callers import stacklevel

# One eigendecomposition (LAPACK's syevd) costs about as much as this many Cholesky factorisations:
# 17 to 37 measured for n = 440 to 2000 on two cores.
EIGENDECOMPOSITION_IN_CHOLESKYS = 20

# A pivot's rounding error, in √n eps of the diagonal entry that it was left of, at most.
PIVOT_ROUNDING = 4.0

_BLOCK = 128  # square blocks for transposed copies: two of them fit the first-level cache


class DualPlan(NamedTuple):
    """How the dual coefficients are to be computed, and why."""

    solver: str
    reason: str


def plan_dual(n_alphas: int) -> DualPlan:
    """Choose the cheaper solver for `n_alphas` distinct penalties by flops."""
    cost = EIGENDECOMPOSITION_IN_CHOLESKYS
    if n_alphas <= cost:
        return DualPlan(
            "cholesky",
            f"{n_alphas} factorisation(s) of n³/3 flops, where an eigendecomposition costs {cost}",
        )
    return DualPlan(
        "spectral",
        f"one eigendecomposition costs {cost} Cholesky factorisations, and alpha has {n_alphas} "
        f"distinct values",
    )


class DualSolution(NamedTuple):
    """The fitted function f(x) = b + Σᵢ aᵢ K(x, xᵢ) of every target."""

    dual_coef: np.ndarray  # shape: (n, n_targets)
    intercept: np.ndarray | None  # shape: (n_targets,)


def solve_dual(
    K: np.ndarray,
    y: np.ndarray,
    alpha: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    positive_semidefinite: bool = False,
    fit_intercept: bool = False,
) -> DualSolution:
    """Dual coefficients of every target, and the intercepts; `K` is overwritten.

    With BLAS on one thread (:func:`fastkb.runtime.threads.limit_blas`) they are the same to the last bit
    for any number of threads.

    Parameters
    ----------
    K : ndarray
        Gram matrix, C-ordered and finite, which this function may destroy.  # shape: (n, n)
    y : ndarray
        Targets.  # shape: (n, n_targets)
    alpha : ndarray
        Penalties.  # shape: (1,) or (n_targets,)
    sample_weight : ndarray, optional
        Weights, at least 0.  # shape: (n,)
    positive_semidefinite : bool, default False
        Whether `K` is known to be so: a penalty well above the rounding error then rules out an
        ill-conditioned matrix, and the estimate of its condition is skipped.
    fit_intercept : bool, default False
        Whether a constant that bears no penalty is fitted, too.

    Returns
    -------
    DualSolution
        The coefficients in the type of `K`; the intercepts in float64, None where none is fitted.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If a system is singular to working precision. The coefficients are then a solution of least
        squares, or one that rounding errors may have spoilt.
    """
    problem = ScaledProblem.in_place(K, y, sample_weight, fit_intercept)
    problem.centre()
    targets = problem.y
    alpha = np.broadcast_to(alpha.astype(K.dtype), (targets.shape[1],))
    (lange,) = get_lapack_funcs(("lange",), (K,))
    norm = float(lange("1", K.T))
    solution = np.empty_like(targets)
    if plan_dual(np.unique(alpha).size).solver == "cholesky":
        left = _solve_cholesky(K, targets, alpha, norm, positive_semidefinite, solution)
        reason = "Cholesky's method fails, least squares solves it instead"
    else:
        left = np.ones(alpha.size, dtype=bool)
        reason = ""
    if left.any():
        solution[:, left], singular = _solve_spectral(K, targets[:, left], alpha[left])
        if reason or singular.any():
            worst = alpha[left].min()
            _warn_singular(worst, reason or "its solution of least norm is taken")
    return DualSolution(*problem.solution(solution))


def restore_from_lower(K: np.ndarray, diagonal: np.ndarray) -> None:
    """Write the strictly lower triangle of `K` over the upper one, and its diagonal from a copy."""
    n = K.shape[0]
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        for left in range(stop, n, _BLOCK):
            right = min(left + _BLOCK, n)
            K[start:stop, left:right] = K[left:right, start:stop].T
        block = K[start:stop, start:stop]
        block[...] = np.tril(block, -1) + np.tril(block, -1).T
    K.flat[:: n + 1] = diagonal


def _solve_cholesky(
    K: np.ndarray,
    y: np.ndarray,
    alpha: np.ndarray,
    norm: float,
    positive_semidefinite: bool,
    dual_coef: np.ndarray,
) -> np.ndarray:
    """Fill the columns of `dual_coef` that Cholesky's method can solve; which ones it left.

    Where it left some, `K` is whole again afterwards.
    """
    n = K.shape[0]
    potrf, potrs, pocon = get_lapack_funcs(("potrf", "potrs", "pocon"), (K,))
    eps = np.finfo(K.dtype).eps
    diagonal = K.diagonal().copy()
    failed = np.zeros(alpha.size, dtype=bool)
    whole = True
    for penalty in np.unique(alpha):
        if not whole:
            restore_from_lower(K, diagonal)
        columns = np.flatnonzero(alpha == penalty)
        K.flat[:: n + 1] = diagonal + penalty
        if n > blocked.WORTH:
            factor, info = K.T, blocked.cholesky_in_place(K)
        else:
            # The transpose is the F-ordered view that LAPACK takes without a copy: its lower
            # triangle is the upper one of K.
            factor, info = potrf(K.T, lower=1, clean=0, overwrite_a=1)
        whole = False
        # ‖(K + α I)⁻¹‖ ≤ 1/α for a positive semidefinite K, in the 1-norm times √n at most.
        safe = positive_semidefinite and penalty > n * eps * (norm + penalty)
        if info != 0 or not (safe or has_true_pivots(factor.diagonal(), diagonal + penalty)):
            failed[columns] = True
            continue
        if not safe:
            rcond, _ = pocon(factor, norm + penalty, uplo="L")
            if rcond < eps:
                reason = f"its reciprocal condition number is about {rcond:.1e}"
                _warn_singular(penalty, reason)
        solution, _ = potrs(factor, y[:, columns], lower=1)
        dual_coef[:, columns] = solution
    if failed.any():
        restore_from_lower(K, diagonal)
    return failed


def has_true_pivots(factor: np.ndarray, diagonal: np.ndarray) -> bool:
    """Whether no pivot of Cholesky's method is what rounding errors left of zero.

    A pivot is a diagonal entry less a sum of squares of up to n terms, each rounded: where it is not
    above the errors of that, all that is divided by it is noise of either sign.

    Parameters
    ----------
    factor : ndarray
        The factor's diagonal, the pivots' roots.  # shape: (n,)
    diagonal : ndarray
        The matrix's.  # shape: (n,)
    """
    info = np.finfo(diagonal.dtype)
    rounding = PIVOT_ROUNDING * np.sqrt(len(diagonal)) * info.eps
    # A subnormal pivot has few digits, and its inverse overflows.
    return bool((factor * factor > np.maximum(rounding * diagonal, info.tiny)).all())


def _solve_spectral(
    K: np.ndarray, y: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(K + α I)⁺ y for each column by one eigendecomposition, which overwrites `K`.

    Also whether each column's system is singular to working precision.
    """
    values, vectors = eigh(K.T, driver="evd", overwrite_a=True, check_finite=False)
    projected = vectors.T @ y  # shape: (n, n_targets)
    shifted = values[:, None] + alpha[None, :]  # shape: (n, n_targets)
    # Values below the decomposition's own rounding error are taken for zero, and left out: the
    # solution of least norm among those of least squares.
    info = np.finfo(K.dtype)
    cut = np.maximum(K.shape[0] * info.eps * np.abs(shifted).max(axis=0), info.tiny)
    keep = np.abs(shifted) > cut
    inverse = np.divide(1.0, shifted, out=np.zeros_like(shifted), where=keep)
    return vectors @ (inverse * projected), ~keep.all(axis=0)


def _warn_singular(penalty: float, what: str) -> None:
    warnings.warn(
        f"The system K + alpha·I of kernel ridge regression is singular to working precision for "
        f"alpha={penalty:g}: {what}. A larger alpha makes it well posed.",
        LinAlgWarning,
        stacklevel=stacklevel(),
    )
