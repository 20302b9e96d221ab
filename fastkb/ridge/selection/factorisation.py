"""One factorisation of the Gram matrix for many penalties, and which.

On the scaled and centred problem (:mod:`fastkb.ridge.scaling`), with eigenvalues lₖ of A on the
directions vₖ orthogonal to u, three factorisations give the residual operator
M = Σₖ λ/(lₖ + λ) vₖ vₖᵀ (:mod:`fastkb.ridge.selection.residual_operator`) of every λ:

=========== ===================== ==================================================================
solver      flops, in n³          M for every λ
=========== ===================== ==================================================================
`lowrank`   3 ρ² + 7 ρ³, ρ = r/n  pivoted Cholesky S K S = LLᵀ + E; with L for PL, LᵀL = QlQᵀ and
                                  Z = LQ: M = I - uuᵀ - Z (l + λI)⁻¹ Zᵀ
`eigh`      7                     A + t uuᵀ = VlVᵀ, without the last column: every Mᵢᵢ is a sum of
                                  positive terms
`cholesky`  1 for each λ          λ (A + t uuᵀ + λI)⁻¹ - λ/(t + λ) uuᵀ, where λ/(t + λ) is less
                                  than the least eigenvalue of M
=========== ===================== ==================================================================

`lowrank` stands only where it is exact to rounding. E is positive semidefinite with trace τ, and PEP
has no larger one, so that A + λI lies between LLᵀ + λI and (1 + τ/λ)(LLᵀ + λI), and every block of M
is right to the relative error τ/λ. Pivoting goes on until the largest diagonal entry of E is 2 eps of
the largest of S K S, where rounding errors begin, and the bound at the smallest λ must come out below
1e-5: at λ=1e-6 and n=4000 it is 2e-6, which is also the rounding error of an eigendecomposition
(eps n/λ). Kernels that are smooth on the scale of the data pass with r of some tens; then a path costs
little more than its Gram matrix, and an intercept next to nothing: only the factor is centred.

Source: Rifkin and Lippert (2007), Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025,
section 3, without the intercept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError

from fastkb.ridge.dual import restore_from_lower
from fastkb.ridge.lapack import pivoted_cholesky_in_place
from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection.residual_operator import (
    Eigenvectors,
    LowRank,
    ResidualOperator,
    inverses,
)

LOWRANK_BOUND = 1e-5

# Cost in flops, divided by n³ and by the rate that LAPACK reaches, as measured for n = 440 to 2000
# on two cores: eigh took 17 to 37 times, potrf with potri 2.7 to 7 times the n³/3 of potrf.
_EIGH_COST = 20 / 3
_INVERSE_COST = 1.0

# With an intercept every difference in M loses as many digits as the share of the weight that stays
# has zeros: from here on only the sums of positive terms are good enough.
_DOMINATED = 1e-4


class FactorisationPlan(NamedTuple):
    """Which factorisation serves, and why."""

    solver: str
    reason: str


def plan_factorisation(n: int, n_alphas: int, rank: int | None) -> FactorisationPlan:
    """Choose the cheapest factorisation, given the `rank` of a certified low-rank factor."""
    dense_cost = min(_EIGH_COST, n_alphas * _INVERSE_COST)
    if rank is not None:
        ratio = rank / n
        cost = 3 * ratio**2 + _EIGH_COST * ratio**3
        if cost < dense_cost:
            return FactorisationPlan("lowrank", f"rank {rank} of {n} to rounding error")
        why = f"rank {rank} of {n} saves nothing"
    else:
        why = "no low rank is certified"
    if n_alphas * _INVERSE_COST < _EIGH_COST:
        return FactorisationPlan(
            "cholesky", f"{why}; {n_alphas} inverses cost less than eigenvectors"
        )
    return FactorisationPlan("eigh", f"{why}; eigenvectors cost less than {n_alphas} inverses")


class LeftOut(NamedTuple):
    """The largest part of the data that M is to be read without, which decides how exact it must be."""

    size: int = 1  # rows
    kept: float = 1.0  # share of the weight that stays; with an intercept M's blocks are as small


ONE_ROW = LeftOut()


class Measured(NamedTuple):
    """What `measure` returned for all penalties, and how M was had."""

    values: tuple[np.ndarray, ...]  # with the penalties last
    solver: str
    reason: str


def measure_penalties(
    problem: ScaledProblem,
    alphas: np.ndarray,
    measure: Callable[[ResidualOperator], tuple[np.ndarray, ...]],
    *,
    positive_semidefinite: bool,
    left_out: LeftOut = ONE_ROW,
) -> Measured:
    """Read numbers off the residual operator of every penalty, by the cheapest factorisation.

    Parameters
    ----------
    problem : ScaledProblem
        In float64; its matrix is overwritten.
    alphas : ndarray of float64
        Penalties λ > 0.  # shape: (n_alphas,)
    measure : callable
        Takes an operator, which has some or all of the penalties and is gone afterwards, and
        returns arrays whose last axis is that of its penalties.
    positive_semidefinite : bool
        Whether the matrix is known to be so but for rounding errors. Needed for a low-rank factor.
    left_out : LeftOut
        What `measure` will read M without.
    """
    K, n = problem.K, problem.K.shape[0]
    if left_out.kept < _DOMINATED and problem.direction is not None:
        problem.centre()
        reason = f"what is left out has all of the weight but {left_out.kept:.1e}"
        return Measured(measure(Eigenvectors(problem, alphas)), "eigh", reason)
    diagonal = K.diagonal().copy()
    factor = None
    if positive_semidefinite:
        factor = certified_factor(problem, alphas.min(), left_out)
    solver, reason = plan_factorisation(n, alphas.size, None if factor is None else factor.shape[1])
    if solver == "lowrank" and factor is not None:
        return Measured(measure(LowRank(problem, alphas, factor)), solver, reason)
    if positive_semidefinite:
        restore_from_lower(K, diagonal)
    problem.centre()
    if solver == "cholesky":
        diagonal = K.diagonal().copy()
        try:
            parts = [measure(operator) for operator in inverses(problem, alphas)]
            joined = (np.concatenate(values, axis=-1) for values in zip(*parts, strict=True))
            return Measured(tuple(joined), solver, reason)
        except LinAlgError:
            restore_from_lower(K, diagonal)
            solver, reason = "eigh", "the matrix is not positive definite to working precision"
    return Measured(measure(Eigenvectors(problem, alphas)), solver, reason)


def certified_factor(
    problem: ScaledProblem, smallest_alpha: float, left_out: LeftOut = ONE_ROW
) -> np.ndarray | None:
    """PL of S K S = LLᵀ + E in the order of the rows, or None where E may do more than is allowed.

    The strictly lower triangle of the problem's matrix stays as it is.  # shape: (n, rank)
    """
    K, n = problem.K, problem.K.shape[0]
    eps = np.finfo(np.float64).eps
    largest = K.diagonal().max(initial=0.0)
    tolerance = 2.0 * eps * largest
    bound = LOWRANK_BOUND * smallest_alpha
    if problem.direction is not None:
        bound *= left_out.kept
    if n * tolerance > bound:
        return None
    packed, pivots = pivoted_cholesky_in_place(K, tolerance)
    rank = packed.shape[1]
    # Rounding errors of an entry of M add up over the rank; a block of m rows, where each entry has
    # its own, has an error of some √m of them. One of more rows than the rank is solved within the
    # factor (LowRank.solve_block).
    rounding = rank * eps * largest * min(left_out.size, rank) ** 0.5
    if n * tolerance + rounding > bound:
        return None
    factor = np.empty((n, rank))
    factor[pivots] = np.tril(packed)
    if problem.direction is not None:
        factor -= problem.direction[:, None] * (problem.direction @ factor)
    return factor
