"""The quadratic problem that all five machines are, and how each is written as one.

    minimise   ½ βᵀ K β + linearᵀ β + kink Σₜ |βₜ|,    lower ≤ β ≤ upper,    Σ of β over each group kept

A classifier's coefficient is β = y α, so that signs stand in the bounds and the kernel matrix is the
plain one. ε-regression has α - α* for its coefficient: the two are never both positive at a minimum, so
one variable with a kink at zero does for both. ν-regression keeps the sums of α and of α* apart, and has
two variables for each row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Problem(NamedTuple):
    """A quadratic problem in m variables on n rows of a kernel matrix.

    Variable t belongs to row t modulo n; variables of group 0 stand before those of group 1. Zero is
    never outside the bounds.
    """

    lower: np.ndarray  # shape: (m,)
    upper: np.ndarray  # shape: (m,)
    linear: np.ndarray  # shape: (m,)
    kink: float
    split: int  # the first variable of group 1; m: there is one group
    n: int  # rows

    @property
    def two_groups(self) -> bool:
        """Whether two sums are kept, and not one."""
        return self.split < len(self.lower)

    def row_sums(self, beta: np.ndarray) -> np.ndarray:
        """The coefficient of each row in the decision function.  # shape: (n,)"""
        return beta.reshape(-1, self.n).sum(axis=0)


def c_classification(n_positive: int, C: np.ndarray) -> Problem:
    """The hinge loss of rows of which the first are positive, each with its C."""
    upper, lower, linear = C.copy(), -C, np.ones(len(C))
    upper[n_positive:] = 0.0
    lower[:n_positive] = 0.0
    linear[:n_positive] = -1.0
    return Problem(lower, upper, linear, 0.0, len(C), len(C))


def nu_classification(n_positive: int, weight: np.ndarray) -> Problem:
    """The same with the sum of each class kept, and the margin free; the first rows are positive."""
    problem = c_classification(n_positive, weight)
    return problem._replace(linear=np.zeros(len(weight)), split=n_positive)


def epsilon_regression(y: np.ndarray, C: np.ndarray, epsilon: float) -> Problem:
    """Errors beyond `epsilon` cost C each."""
    return Problem(-C, C, -y, epsilon, len(y), len(y))


def nu_regression(y: np.ndarray, C: np.ndarray) -> Problem:
    """The sums of positive and of negative coefficients are kept, and ε is free."""
    n, none = len(y), np.zeros(len(y))
    lower, upper = np.concatenate([none, -C]), np.concatenate([C, none])
    return Problem(lower, upper, np.concatenate([-y, -y]), 0.0, n, n)


def density(weight: np.ndarray) -> Problem:
    """The smallest ball, or the region that holds most rows: coefficients between 0 and a weight."""
    n = len(weight)
    return Problem(np.zeros(n), weight, np.zeros(n), 0.0, n, n)


def start_of_classes(problem: Problem, nu: float) -> np.ndarray:
    """Coefficients of ν-classification of which each class has the sum ν Σ weight / 2.

    Raises
    ------
    ValueError
        If a class weighs too little for that.
    """
    weight = problem.upper - problem.lower
    half = nu * weight.sum() / 2.0
    sides = weight[: problem.split], weight[problem.split :]
    if half > min(side.sum() for side in sides):
        most = float(2.0 * min(side.sum() for side in sides) / weight.sum())
        raise ValueError(
            f"specified nu is infeasible: nu={nu:g} asks of each class for {nu / 2:g} of the weight of "
            f"both, and of two classes one has less; expected nu of at most {most!r}"
        )
    return np.concatenate([filled(half, sides[0]), -filled(half, sides[1])])


def start_of_sides(problem: Problem, nu: float) -> np.ndarray:
    """Coefficients of ν-regression of which each sign has the sum ν Σ C / 2."""
    C = problem.upper[: problem.n]
    half = filled(nu * C.sum() / 2.0, C)
    return np.concatenate([half, -half])


def filled(total: float, most: np.ndarray) -> np.ndarray:
    """The first values as large as `most` allows, up to a total."""
    before = np.cumsum(most) - most
    return np.clip(total - before, 0.0, most)


def feasible(problem: Problem, beta: np.ndarray, sums: tuple[float, ...]) -> np.ndarray:
    """Coefficients near `beta` within the bounds, whose groups have these sums.

    What clipping has taken from a group is made up for by the coefficients of the other sign, which
    shrink in proportion, so that zeros stay; what they cannot is shared by all, in proportion to their
    room.
    """
    beta = np.clip(beta, problem.lower, problem.upper)
    groups = (slice(0, problem.split), slice(problem.split, None))
    for group, total in zip(groups, sums, strict=False):
        mine = beta[group]
        missing = total - mine.sum()
        if abs(missing) <= 8.0 * np.finfo(float).eps * np.abs(mine).sum():
            continue  # a rounding error, which no bound should be left for
        others = mine < 0.0 if missing > 0.0 else mine > 0.0
        whole = -mine[others].sum()
        if whole != 0.0:
            mine[others] *= 1.0 - min(1.0, missing / whole)
            missing = total - mine.sum()
        room = (problem.upper if missing > 0.0 else problem.lower)[group] - mine
        whole = room.sum()
        if abs(missing) > 8.0 * np.finfo(float).eps * np.abs(mine).sum() and whole != 0.0:
            mine += room * min(1.0, missing / whole)
            np.clip(mine, problem.lower[group], problem.upper[group], out=mine)
    return beta
