"""What decides between candidates: an error of prediction or a likelihood, and how ties are broken.

**The restricted likelihood.** Kernel ridge regression is the posterior mean of a Gaussian process: for
y ~ N(b 1, s² (K/λ + W⁻¹)) with any b, the likelihood of the n - 1 contrasts of y that do not depend on
b, at its best s², is

    -2 log L = (n - 1) log(zᵀ M z / (n - 1)) + Σₖ log((lₖ + λ)/λ) + constant

in the terms of `residual_operator.py`. The constant is the same for every λ and every kernel. Without
an intercept n stands for n - 1. Rows of weight zero do not count. Wahba (1985) compares it, for
splines, with cross-validation: with many rows that is the better judge where the function is not one
that the kernel expects. With few rows the likelihood is the steadier one.

**Ties.** Candidates whose criterion is the best but for rounding errors are equally good, and the
smoothest of them is taken: the smallest γ (the widest kernel), then the largest λ.

Source: Patterson and Thompson (1971), Recovery of inter-block information when block sizes are
unequal, Biometrika 58(3); Wahba (1985), A comparison of GCV and GML for choosing the smoothing
parameter in the generalized spline smoothing problem, Annals of Statistics 13(4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.ridge.selection.residual_operator import ResidualOperator


class TieRule(NamedTuple):
    """How far from the best a candidate may be and still equal it."""

    relative: float
    absolute: float

    def limit(self, best: np.ndarray) -> np.ndarray:
        """The largest value that equals `best`.  # shape: as best"""
        size = np.abs(np.where(np.isfinite(best), best, 0.0))
        return best + np.maximum(self.relative * size, self.absolute)


# Errors are sums of squares, right to some n·eps times the condition number; likelihoods are
# logarithms, of which differences count: 1e-6 is a likelihood ratio of 1.0000005.
TIE_OF_ERRORS = TieRule(1e-9, 0.0)
TIE_OF_LIKELIHOODS = TieRule(0.0, 1e-6)


# A target that is fitted exactly leaves nothing, and any penalty will do: its logarithm is finite so that
# the determinant decides, for the smoothest fit.
_SMALLEST = np.finfo(np.float64).tiny


def minus_twice_log_likelihood(
    squares: np.ndarray, degrees: int, log_determinant: np.ndarray
) -> np.ndarray:
    """-2 log L, up to a constant, from zᵀ M z, the number of contrasts and Σₖ log((lₖ + λ)/λ)."""
    return degrees * np.log(np.maximum(squares, _SMALLEST) / degrees) + log_determinant


def restricted_likelihood(operator: ResidualOperator, residuals: np.ndarray) -> np.ndarray:
    """-2 log L, up to a constant.

    Parameters
    ----------
    operator : ResidualOperator
        M.
    residuals : ndarray
        e = M z.  # shape: (n, n_targets, n_alphas)

    Returns
    -------
    ndarray
        Infinite where K + λI is not positive definite.  # shape: (n_targets, n_alphas)
    """
    squares = operator.sum_of_squares(residuals)
    degrees = operator.degrees_of_freedom
    value = minus_twice_log_likelihood(squares, degrees, operator.log_determinant())
    value[:, operator.indefinite] = np.inf
    return value


def choose(
    table: np.ndarray, alphas: np.ndarray, gammas: np.ndarray | None, ties: TieRule
) -> tuple[int, np.ndarray]:
    """The best candidates, and of several that are equally good the smoothest.

    Parameters
    ----------
    table : ndarray
        What is to be small. Each column of the last axis may have a λ of its own, and γ is common
        to them: the one with the least mean of their best values.
        # shape: (n_gammas, n_alphas, n_columns)
    alphas : ndarray
        # shape: (n_alphas,)
    gammas : ndarray or None
        None where there is nothing to choose.  # shape: (n_gammas,)
    ties : TieRule
        What counts as equal.

    Returns
    -------
    row : int
        Index into gammas.
    columns : ndarray of int
        Indices into alphas.  # shape: (n_columns,)
    """
    table = np.where(np.isnan(table), np.inf, table)
    best = table.min(axis=1)  # shape: (n_gammas, n_columns)
    together = best.mean(axis=1)
    row = 0
    if gammas is not None:
        equal = together <= ties.limit(together.min())
        row = int(np.argmin(np.where(equal, gammas, np.inf)))
    equal = table[row] <= ties.limit(best[row])  # shape: (n_alphas, n_columns)
    return row, np.argmax(np.where(equal, alphas[:, None], -np.inf), axis=0)
