"""Which solver computes the replicates of a band, and why: nothing here touches data.

The costs are seconds of one core, from flops and the rates below. Only their ratios matter, and only
to choose between solvers and to split a basis: no result moves by more than the certificate allows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

# Measured on one core of a Zen 5 with AVX-512 (flops a second): products of packed pairs and passes over
# the basis run on the micro-kernel, lane-wise factors at the speed of the second-level cache.
_PRODUCTS = 95e9
_FACTORS = 75e9
_LANES_CUBED = 1.6e-11  # seconds · s⁻³: lane-wise factor
_LANES_FORMS = 1.5e-11  # seconds · s⁻²: lane-wise form of an evaluation point
_LANES_SQUARED = 1.0e-10  # seconds · s⁻²: lane-wise solve
_GATHER = 1.0e-9  # seconds an element: K(u, u) into panels


class Split(NamedTuple):
    """How a low-rank basis is split into strong directions, factorised, and weak ones, iterated."""

    strong: int
    steps: int  # of conjugate gradients, expected
    seconds: float  # a replicate


class SolverChoice(NamedTuple):
    """The solver of a band's replicates."""

    solver: str
    reason: str


def expected_steps(ratio: float) -> int:
    """Steps of conjugate gradients for a weak direction with σ²/λ = `ratio`, at most.

    The preconditioned condition number is about 1 + 2.8·ratio (the largest weight is about 7, and
    few directions meet it); three steps more than the textbook's rate were seen throughout.
    """
    root = math.sqrt(1.0 + 2.8 * ratio)
    rate = max((root - 1.0) / (root + 1.0), 1e-8)
    return 3 + math.ceil(18.0 / -math.log(rate))


def split_basis(
    n: int,
    n_eval: int,
    n_targets: int,
    eigenvalues: np.ndarray,
    penalty: float,
    unit: int,
) -> Split:
    """The cheapest number of strong directions, a multiple of `unit` or all.

    Parameters
    ----------
    n, n_eval, n_targets : int
    eigenvalues : ndarray
        σ² of the directions, descending.  # shape: (rank,)
    penalty : float
        λ.
    unit : int
        The micro-kernel's rows.
    """
    rank = len(eigenvalues)
    best = Split(rank, 0, math.inf)
    for strong in [*range(unit, rank, unit), rank]:
        steps = 0 if strong == rank else expected_steps(float(eigenvalues[strong]) / penalty)
        passes = 6 if strong == rank else 10 + 4 * steps
        flops = n * strong * (strong + unit) + n_targets * (passes * n * rank + 2 * n_eval * rank)
        seconds = (
            flops / _PRODUCTS
            + _LANES_CUBED * strong**3
            + n_eval * _LANES_FORMS * strong**2
            + n_targets * (steps + 2) * _LANES_SQUARED * strong**2
        )
        if seconds < best.seconds:
            best = Split(strong, steps, seconds)
    return best


def cholesky_seconds(n: int, n_eval: int, n_targets: int, n_penalties: int) -> float:
    """Cost of a replicate by factorisation of its distinct rows."""
    distinct = 0.632 * n
    factor = distinct**3 / 3 / _FACTORS + _GATHER * distinct**2
    return n_penalties * factor + n_targets * (2 * n * n_eval + 4 * distinct**2) / _PRODUCTS


def largest_useful_rank(n: int, n_eval: int, n_targets: int) -> int:
    """The rank above which a factorisation of the distinct rows is cheaper in any case."""
    limit = cholesky_seconds(n, n_eval, n_targets, 1)
    # A third of the directions, or more, are strong: fewer would need too many steps.
    rank = 1
    while rank < n and n * (rank / 3) ** 2 / _PRODUCTS + 40 * n * rank / _PRODUCTS < limit:
        rank += 1
    return rank


def choose_solver(
    requested: str,
    n: int,
    n_eval: int,
    n_targets: int,
    splits: list[Split] | None,
    rank: int,
    refusal: str,
) -> SolverChoice:
    """The solver of a band.

    Parameters
    ----------
    requested : str
        ``"auto"`` or a solver's name.
    n, n_eval, n_targets : int
    splits : list of Split, or None
        One for each distinct penalty; None if there is no certified basis.
    rank : int
        The basis' rank.
    refusal : str
        Why there is no basis.
    """
    if splits is None:
        if requested == "lowrank":
            return SolverChoice("cholesky", f"lowrank was asked for, but {refusal}")
        if requested == "cholesky":
            return SolverChoice("cholesky", "asked for")
        return SolverChoice("cholesky", f"one factorisation for each replicate, since {refusal}")
    what = f"rank {rank} for {n} points meets the tolerance"
    if requested == "lowrank":
        return SolverChoice("lowrank", f"asked for; {what}")
    low = sum(split.seconds for split in splits)
    whole = cholesky_seconds(n, n_eval, n_targets, len(splits))
    # The number of replicates has no say: a replicate should not change with how many follow it.
    if low <= whole:
        return SolverChoice("lowrank", f"{what}, and costs {_ratio(low, whole)} of a factorisation")
    return SolverChoice("cholesky", f"{what}, but costs {_ratio(low, whole)} of a factorisation")


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2g} times the time"
