"""Leave-one-out residuals of kernel ridge regression for many penalties from one factorisation.

With G = (K + λI)⁻¹ and c = G y, leaving row i out and fitting the others gives the residual

    yᵢ - f₋ᵢ(xᵢ) = cᵢ / Gᵢᵢ          (= (yᵢ - f(xᵢ)) / (1 - Hᵢᵢ) with H = K G)

=========== ===================== ==================================================================
solver      flops, in n³          how Gᵢᵢ and cᵢ are had for every λ
=========== ===================== ==================================================================
`lowrank`   3 ρ² + 7 ρ³, ρ = r/n  pivoted Cholesky K = LLᵀ + E, LᵀL = VSVᵀ, Z = LV:
                                  λG = I - Z (S + λI)⁻¹ Zᵀ
`eigh`      7                     K = QΛQᵀ: G = Q (Λ + λI)⁻¹ Qᵀ, and Gᵢᵢ is a sum of positive terms
`cholesky`  1 for each λ          the inverse itself
=========== ===================== ==================================================================

`lowrank` stands only where it is exact to rounding. E is positive semidefinite with trace τ, so
that K + λI lies between LLᵀ + λI and (1 + τ/λ)(LLᵀ + λI), and every Gᵢᵢ is right to the relative
error τ/λ. Pivoting goes on until the largest diagonal entry of E is 2 eps of the largest of K,
where rounding errors begin, and the bound at the smallest λ must come out below 1e-5: at λ=1e-6 and
n=4000 it is 2e-6, which is also the rounding error of an eigendecomposition (eps n/λ). Kernels that
are smooth on the scale of the data pass with r of some tens; then a path costs little more than its
Gram matrix.

Weights enter by scaling: with S = diag(√w), S K S and S y give √wᵢ times the residual.

Source: Rifkin and Lippert (2007), Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025,
section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

from fastkb.ridge.dual import restore_from_lower
from fastkb.ridge.lapack import eigh_in_place, pivoted_cholesky_in_place

LOWRANK_BOUND = 1e-5

# Cost in flops, divided by n³ and by the rate that LAPACK reaches, as measured for n = 440 to 2000
# on two cores: eigh took 17 to 37 times, potrf with potri 2.7 to 7 times the n³/3 of potrf.
_EIGH_COST = 20 / 3
_INVERSE_COST = 1.0

_ROWS = 512  # rows of the vectors whose squares are held at a time


class LeaveOneOut(NamedTuple):
    """Leave-one-out residuals, and how they were computed."""

    residuals: np.ndarray  # shape: (n, n_targets, n_alphas)
    solver: str
    reason: str


class LeaveOneOutPlan(NamedTuple):
    """Which factorisation serves, and why."""

    solver: str
    reason: str


def plan_leave_one_out(n: int, n_alphas: int, rank: int | None) -> LeaveOneOutPlan:
    """Choose the cheapest factorisation, given the `rank` of a certified low-rank factor."""
    dense_cost = min(_EIGH_COST, n_alphas * _INVERSE_COST)
    if rank is not None:
        ratio = rank / n
        cost = 3 * ratio**2 + _EIGH_COST * ratio**3
        if cost < dense_cost:
            return LeaveOneOutPlan("lowrank", f"rank {rank} of {n} to rounding error")
        why = f"rank {rank} of {n} saves nothing"
    else:
        why = "no low rank is certified"
    if n_alphas * _INVERSE_COST < _EIGH_COST:
        return LeaveOneOutPlan(
            "cholesky", f"{why}; {n_alphas} inverses cost less than eigenvectors"
        )
    return LeaveOneOutPlan("eigh", f"{why}; eigenvectors cost less than {n_alphas} inverses")


def leave_one_out(
    K: np.ndarray, y: np.ndarray, alphas: np.ndarray, *, positive_semidefinite: bool
) -> LeaveOneOut:
    """Residuals yᵢ - f₋ᵢ(xᵢ) for every penalty; `K` is overwritten.

    Parameters
    ----------
    K : ndarray of float64
        Gram matrix, C-ordered, finite, which this function may destroy.  # shape: (n, n)
    y : ndarray of float64
        Targets.  # shape: (n, n_targets)
    alphas : ndarray of float64
        Penalties λ > 0.  # shape: (n_alphas,)
    positive_semidefinite : bool
        Whether `K` is known to be so but for rounding errors. Needed for a low-rank factor.

    Returns
    -------
    LeaveOneOut
        Infinite residuals where some system is singular, which only a kernel that is not positive
        semidefinite can bring about.
    """
    n = K.shape[0]
    diagonal = K.diagonal().copy()
    factor = _pivoted_cholesky(K, diagonal, alphas.min()) if positive_semidefinite else None
    rank = None if factor is None else factor.shape[1]
    solver, reason = plan_leave_one_out(n, alphas.size, rank)
    if solver == "lowrank" and factor is not None:
        return LeaveOneOut(_from_lowrank(factor, y, alphas), solver, reason)
    if positive_semidefinite:
        restore_from_lower(K, diagonal)
    if solver == "cholesky":
        residuals = _from_inverses(K, diagonal, y, alphas)
        if residuals is not None:
            return LeaveOneOut(residuals, solver, reason)
        restore_from_lower(K, diagonal)
        solver, reason = "eigh", "the matrix is not positive definite to working precision"
    return LeaveOneOut(_from_eigenvectors(K, y, alphas), solver, reason)


def _pivoted_cholesky(
    K: np.ndarray, diagonal: np.ndarray, smallest_alpha: float
) -> np.ndarray | None:
    """L of K = LLᵀ + E in the order of K's rows, or None where the bound on E is not met.

    The strictly lower triangle of `K` stays as it is.  # shape: (n, rank)
    """
    n = K.shape[0]
    eps = np.finfo(np.float64).eps
    largest = diagonal.max(initial=0.0)
    tolerance = 2.0 * eps * largest
    if n * tolerance > LOWRANK_BOUND * smallest_alpha:
        return None
    packed, pivots = pivoted_cholesky_in_place(K, tolerance)
    rank = packed.shape[1]
    # Rounding errors of λ(1 - Hᵢᵢ) add up over the rank.
    if (n * tolerance + rank * eps * largest) > LOWRANK_BOUND * smallest_alpha:
        return None
    factor = np.empty((n, rank))
    factor[pivots] = np.tril(packed)
    return factor


def _from_lowrank(factor: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    values, rotation = eigh_in_place(factor.T @ factor)
    scaled = factor @ rotation  # shape: (n, rank)
    inverse = 1.0 / (np.maximum(values, 0.0)[:, None] + alphas[None, :])  # shape: (rank, n_alphas)
    numerator = y[:, :, None] - _combine(scaled, scaled.T @ y, inverse)
    # λGᵢᵢ ≥ λ/(Kᵢᵢ + λ), and rounding errors of the difference are below the bound's part of that.
    denominator = 1.0 - _squares_times(scaled, inverse)  # shape: (n, n_alphas)
    numerator /= denominator[:, None, :]
    return numerator


def _from_eigenvectors(K: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    n = K.shape[0]
    values, vectors = eigh_in_place(K)
    rounding = n * np.finfo(np.float64).eps * np.abs(values).max()
    # A slightly negative eigenvalue is a rounding error of zero, and the rest stands for a kernel
    # that is not positive: some λ may cancel one of its eigenvalues, and has no fit.
    values[(values < 0.0) & (values >= -rounding)] = 0.0
    shifted = values[:, None] + alphas[None, :]  # shape: (n, n_alphas)
    singular = ((values < 0.0)[:, None] & (np.abs(shifted) <= rounding)).any(axis=0)
    shifted[:, singular] = 1.0
    inverse = 1.0 / shifted
    residuals = _combine(vectors, vectors.T @ y, inverse)
    _divide(residuals, _squares_times(vectors, inverse))
    residuals[:, :, singular] = np.inf
    return residuals


def _from_inverses(
    K: np.ndarray, diagonal: np.ndarray, y: np.ndarray, alphas: np.ndarray
) -> np.ndarray | None:
    """One inverse for each penalty, or None where one does not exist to working precision."""
    potrf, potrs, potri = get_lapack_funcs(("potrf", "potrs", "potri"), (K,))
    residuals = np.empty((*y.shape, alphas.size))
    for index, alpha in enumerate(alphas):
        if index:
            restore_from_lower(K, diagonal)
        K.flat[:: K.shape[0] + 1] = diagonal + alpha
        factor, info = potrf(K.T, lower=1, clean=0, overwrite_a=1)
        if info != 0:
            return None
        residuals[:, :, index] = potrs(factor, y, lower=1)[0]
        inverse, _ = potri(factor, lower=1, overwrite_c=1)
        residuals[:, :, index] /= inverse.diagonal()[:, None]
    return residuals


def _combine(vectors: np.ndarray, projected: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Vectors · diag(inverse[:, a]) · projected for each a.  # shape: (n, n_targets, n_alphas)"""
    weighted = projected[:, :, None] * inverse[:, None, :]
    product = vectors @ weighted.reshape(projected.shape[0], -1)
    return product.reshape(vectors.shape[0], projected.shape[1], inverse.shape[1])


def _squares_times(vectors: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """The elementwise square of `vectors`, times `inverse`.  # shape: (n, n_alphas)"""
    product = np.empty((vectors.shape[0], inverse.shape[1]))
    for start in range(0, vectors.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        np.matmul(vectors[rows] ** 2, inverse, out=product[rows])
    return product


def _divide(residuals: np.ndarray, diagonal: np.ndarray) -> None:
    """Divide in place; a vanishing Gᵢᵢ, as only indefinite kernels have it, gives infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals /= diagonal[:, None, :]
    residuals[np.isnan(residuals)] = np.inf
