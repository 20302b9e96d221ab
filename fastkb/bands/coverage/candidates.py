r"""Curves that data make plausible: many kernels and penalties, weighed by restricted likelihood.

A candidate is a kernel with a width and a penalty λ. As a Gaussian process it says: the curve is a
constant plus a draw with covariance s²K/λ, observed with noise of variance s². With the kernel's
spectrum (`spectrum.py`) and q = Qᵀy, twice the negative logarithm of the restricted
likelihood, s² profiled out, is up to a constant

.. math:: (n-1) \log \hat s^2 + \sum_k \log \frac{\Lambda_k + \lambda}{\lambda},
          \qquad (n-1)\, \hat s^2 = \sum_k \frac{\lambda}{\Lambda_k + \lambda} q_k^2 + |y - \bar y -
          Qq|^2.

The posterior probability of a candidate among others that are equally likely beforehand is
proportional to the exponential of minus half of it. A constant is a candidate without a kernel.

References
----------
Patterson, Thompson (1971), Recovery of inter-block information when block sizes are unequal,
Biometrika 58.
Wahba (1990), Spline Models for Observational Data, chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastkb.bands.coverage.spectrum import Spectrum, constant
from fastkb.ridge.selection.criterion import TieRule, minus_twice_log_likelihood

# The mean variance of a prior's curves over the data, by that of the responses, at most. Where inputs
# have two or three levels, the likelihood hardly bounds it: a band between levels would have any width.
LOUDEST = 2.0
# Candidates of less probability are left out; together they may be a few hundredths.
NEGLIGIBLE = 2e-3

_TINY = np.finfo(np.float64).tiny


class Tables(NamedTuple):
    """What one spectrum's candidates need, whatever the responses are."""

    shrink: np.ndarray  # Λ/(Λ + λ).                             shape: (rank, n_alphas)
    leverage: np.ndarray  # the smoother's diagonal at the data. shape: (n, n_alphas)
    bias: np.ndarray  # mean squared bias by s².                 shape: (m, n_alphas)
    logarithm: np.ndarray  # of the determinant.                 shape: (n_alphas,)


class Projected(NamedTuple):
    """Responses on a spectrum's axes, and what their candidates' likelihoods are."""

    q: np.ndarray  # Qᵀy.                                        shape: (rank, count)
    criterion: np.ndarray  # shape: (n_alphas, count)
    noise: np.ndarray  # s².                                     shape: (n_alphas, count)
    moderate: np.ndarray  # whether the prior is, see LOUDEST.   shape: (n_alphas, count)


class Candidates:
    """Spectra of kernels, each with the same penalties.

    Parameters
    ----------
    spectra : sequence of Spectrum
    alphas : ndarray
        Penalties, ascending, positive.  # shape: (n_alphas,)
    prior : ndarray
        How plausible candidates are beforehand, up to a common factor; 0 for those that are not.
        # shape: (n_spectra, n_alphas)
    known : list of Tables, optional
        Those of the spectra, where they have been computed before.
    """

    def __init__(
        self,
        spectra: Sequence[Spectrum],
        alphas: np.ndarray,
        prior: np.ndarray,
        known: list[Tables] | None = None,
    ) -> None:
        self.spectra, self.alphas, self.prior = tuple(spectra), alphas, prior
        self.tables = known or [tables(one, alphas) for one in self.spectra]
        self.n, self.m = len(self.spectra[0].axes), len(self.spectra[0].rows)

    def with_constant(self, weight: float) -> Candidates:
        """The same candidates, and a constant, which is as plausible beforehand as `weight` says."""
        one = constant(self.n, self.m)
        prior = np.zeros((1, len(self.alphas)))
        prior[0, -1] = weight
        return type(self)(
            [*self.spectra, one],
            self.alphas,
            np.concatenate([self.prior, prior]),
            [*self.tables, tables(one, self.alphas)],
        )

    def project(self, index: int, y: np.ndarray) -> Projected:
        """The likelihood of responses, under all penalties of one spectrum.

        Parameters
        ----------
        index : int
        y : ndarray
            # shape: (n, count)
        """
        one, table = self.spectra[index], self.tables[index]
        if one.centred:
            y = y - y.mean(axis=0)
        q = one.axes.T @ y
        squares = q**2
        total = (y**2).sum(axis=0)
        # The rest that no axis explains, known to the rounding error of two sums.
        rest = np.maximum(total - squares.sum(axis=0), 0.0)
        degrees = self.n - 1 if one.centred else self.n
        left = (1.0 - table.shrink).T @ squares + rest
        # An exact fit has no noise but rounding errors.
        left = np.maximum(left, np.maximum(total * np.finfo(np.float64).eps ** 2, _TINY))
        noise = left / degrees
        trace = float(one.values.sum()) + one.left
        moderate = noise * trace <= LOUDEST * total * self.alphas[:, None]
        criterion = minus_twice_log_likelihood(left, degrees, table.logarithm[:, None])
        return Projected(q, criterion, noise, moderate)

    def posterior(
        self, projected: Sequence[Projected], negligible: float = NEGLIGIBLE
    ) -> np.ndarray:
        """Probabilities of the candidates; negligible ones are 0, and the rest add up to 1.

        Parameters
        ----------
        projected : sequence of Projected
            Of each spectrum.
        negligible : float

        Returns
        -------
        ndarray
            # shape: (n_spectra, n_alphas, count)
        """
        criteria = np.stack([part.criterion for part in projected])
        possible = self.prior[:, :, None] > 0.0
        allowed = possible & np.stack([part.moderate for part in projected])
        allowed |= possible & ~allowed.any(axis=(0, 1))
        inside = np.where(allowed, criteria, np.inf)
        weights = self.prior[:, :, None] * np.exp(0.5 * (inside.min(axis=(0, 1)) - inside))
        weights /= weights.sum(axis=(0, 1))
        weights[weights < negligible] = 0.0
        return weights / weights.sum(axis=(0, 1))

    def curves(self, index: int, y: np.ndarray, shrunk: np.ndarray) -> np.ndarray:
        """Fitted curves at the evaluation points from shrunk projections.  # shape: (m, count)"""
        one = self.spectra[index]
        curves = one.rows @ shrunk
        if one.centred:
            curves += y.mean(axis=0)
        return curves

    def residuals(self, index: int, y: np.ndarray, shrunk: np.ndarray) -> np.ndarray:
        """What fits leave of the responses.  # shape: (n, count)"""
        one = self.spectra[index]
        left = one.axes @ shrunk
        np.subtract(y, left, out=left)
        if one.centred:
            left -= y.mean(axis=0)
        return left

    def smoother(self, index: int, alpha: int) -> np.ndarray:
        """The matrix that makes a curve of responses.  # shape: (m, n)"""
        one = self.spectra[index]
        matrix = (one.rows * self.tables[index].shrink[:, alpha]) @ one.axes.T
        if one.centred:
            matrix += 1.0 / self.n
        return matrix

    def active(self, weights: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Spectrum, penalty and responses of every candidate on which any response has a weight."""
        for index, alpha in zip(*np.nonzero(weights.any(axis=2)), strict=True):
            yield int(index), int(alpha), np.flatnonzero(weights[index, alpha])


def tables(one: Spectrum, alphas: np.ndarray) -> Tables:
    """What all candidates of a spectrum need."""
    shrink = one.values[:, None] / (one.values[:, None] + alphas)
    leverage = (one.axes**2) @ shrink
    if one.centred:
        leverage += 1.0 / len(one.axes)
    # With f ~ N(0, s²K/λ) the bias of f̂ = Lf is f - Lf, whose variance is that of f less what the
    # axes explain, plus what they shrink away.
    explained = one.values[:, None] * (1.0 - (1.0 - shrink) ** 2)
    bias = np.maximum(one.prior[:, None] - (one.rows**2) @ explained, 0.0) / alphas
    logarithm = np.log1p(one.values[:, None] / alphas).sum(axis=0)
    return Tables(shrink, leverage, bias, logarithm)


def best(criteria: np.ndarray, allowed: np.ndarray, ties: TieRule, per_target: bool) -> np.ndarray:
    """The candidates of least criterion; of equal ones the smoothest.

    Parameters
    ----------
    criteria : ndarray
        Of spectra in their order, the widest kernel first.
        # shape: (n_spectra, n_alphas, n_targets, count)
    allowed : ndarray of bool
        # shape: (n_spectra, n_alphas)
    ties : TieRule
        What counts as equal.
    per_target : bool
        Whether each target has a penalty of its own, for a kernel that serves all of them.

    Returns
    -------
    ndarray of int
        Flat indices of spectrum and penalty.  # shape: (n_targets, count)
    """
    criteria = np.where(allowed[:, :, None, None], criteria, np.inf)
    if not per_target:
        shape = (*criteria.shape[:2], 1, criteria.shape[3])
        criteria = np.broadcast_to(criteria.mean(axis=2).reshape(shape), criteria.shape)
    of_kernels = criteria.min(axis=1).mean(axis=1)  # shape: (n_spectra, count)
    kernel = (of_kernels <= ties.limit(of_kernels.min(axis=0))).argmax(axis=0)
    n_alphas, count = criteria.shape[1], criteria.shape[3]
    chosen = criteria[kernel, :, :, np.arange(count)]  # shape: (count, n_alphas, n_targets)
    equal = chosen <= ties.limit(chosen.min(axis=1))[:, None]
    # Penalties ascend, so that the last of the equal candidates is the smoothest.
    alpha = n_alphas - 1 - equal[:, ::-1].argmax(axis=1)
    return (kernel[:, None] * n_alphas + alpha).T
