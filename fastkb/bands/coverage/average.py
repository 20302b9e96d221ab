r"""The plausible curve, and how far a fit may be from it.

For responses y the candidates' fits :math:`\hat f_c = L_c y` are averaged with their posterior
probabilities :math:`p_c`, and the variance of the curve around the average is

.. math::

    s^2(x) = \sum_c p_c \Big( \sum_j L_c(x)_j^2 \tilde e_{cj}^2 + \hat s_c^2\, \beta_c(x)
             + (\hat f_c(x) - \bar f(x))^2 \Big).

The first term is the sampling variance, by the sandwich with residuals :math:`\tilde e = e / (1 -
h)`, which holds for noise whose spread varies; the second the mean squared bias of smoothing under
the candidate's own prior; the third what is not known of the kernel and the penalty. With noise of
one spread the first two add up to the Gaussian process's posterior variance, which covers on average
over the points (Nychka 1988).

References
----------
MacKinnon, White (1985), Some heteroskedasticity-consistent covariance matrix estimators with
improved finite sample properties, Journal of Econometrics 29.
Nychka (1988), Bayesian confidence intervals for smoothing splines, JASA 83.
Hoeting, Madigan, Raftery, Volinsky (1999), Bayesian model averaging: a tutorial, Statistical
Science 14.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.coverage.candidates import Candidates, Projected

# Residuals are divided by no less than this: a leverage of 1 leaves none.
_LEAST = 1e-8
# Random signs leave the squares of residuals as they are but for what a fit takes of them, which is its
# trace's part of n: below this part the squares of the errors stand for them.
_LITTLE = 0.01
# Sandwiches that are kept between chunks of replicates.
_KEPT_BYTES = 128 * 2**20


class Average(NamedTuple):
    """Averages over the candidates, for each response."""

    curve: np.ndarray  # the average of the fits.             shape: (m, count)
    variance: np.ndarray  # s².                               shape: (m, count)
    fitted: np.ndarray | None  # the average at the data.     shape: (n, count)
    leverage: np.ndarray | None  # of the average, likewise.  shape: (n, count)


class Averager:
    """Averages over the candidates that a posterior leaves.

    Parameters
    ----------
    candidates : Candidates
    """

    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates
        self._traces = [table.leverage.sum(axis=0) for table in candidates.tables]
        self._of_errors: dict[tuple[int, int], np.ndarray] = {}
        self._sandwiches: dict[tuple[int, int], np.ndarray] = {}

    def __call__(
        self,
        y: np.ndarray,
        projected: list[Projected],
        weights: np.ndarray,
        at_data: bool = False,
        errors: np.ndarray | None = None,
    ) -> Average:
        """Average for each response.

        Parameters
        ----------
        y : ndarray
            # shape: (n, count)
        projected : list of Projected
            Of each spectrum.
        weights : ndarray
            Posterior probabilities.  # shape: (n_spectra, n_alphas, count)
        at_data : bool, default False
            Whether the fitted values and leverages are wanted, too.
        errors : ndarray, optional
            The sizes of what was added to a curve with random signs, for each of the targets whose
            responses follow each other in `y`.  # shape: (n, n_targets)
        """
        candidates = self._candidates
        count = y.shape[1]
        curve = np.zeros((candidates.m, count))
        square, variance = np.zeros_like(curve), np.zeros_like(curve)
        fitted = np.zeros((candidates.n, count)) if at_data else None
        leverage = np.zeros((candidates.n, count)) if at_data else None

        def one(candidate: tuple[int, int, np.ndarray]) -> tuple[Any, ...]:
            index, alpha, columns = candidate
            table, part = candidates.tables[index], projected[index]
            responses = y[:, columns]
            shrunk = table.shrink[:, alpha, None] * part.q[:, columns]
            fit = candidates.curves(index, responses, shrunk)
            left = None
            if errors is not None and self._traces[index][alpha] <= _LITTLE * candidates.n:
                target = columns // (count // errors.shape[1])
                spread = self._sandwich_of(index, alpha, errors)[:, target]
            else:
                left = candidates.residuals(index, responses, shrunk)
                spread = self._sandwich(index, alpha) @ left**2
            spread = spread + table.bias[:, alpha, None] * part.noise[alpha, columns]
            return fit, spread, left

        for candidate in candidates.active(weights):
            index, alpha, columns = candidate
            fit, spread, left = one(candidate)
            p = weights[index, alpha, columns]
            curve[:, columns] += p * fit
            square[:, columns] += p * fit**2
            variance[:, columns] += p * spread
            if fitted is not None and leverage is not None:
                fitted[:, columns] += p * (y[:, columns] - left)
                leverage[:, columns] += p * candidates.tables[index].leverage[:, alpha, None]
        variance += np.maximum(square - curve**2, 0.0)
        return Average(curve, variance, fitted, leverage)

    def _sandwich_of(self, index: int, alpha: int, errors: np.ndarray) -> np.ndarray:
        """The sampling variances where the residuals are `errors`, which never change.

        # shape: (m, n_targets)
        """
        key = index, alpha
        if key not in self._of_errors:
            self._of_errors[key] = self._sandwich(index, alpha) @ errors**2
        return self._of_errors[key]

    def _sandwich(self, index: int, alpha: int) -> np.ndarray:
        """The squared elements of a smoother, each by the square of 1 - h.  # shape: (m, n)"""
        key = index, alpha
        kept = self._sandwiches.get(key)
        if kept is not None:
            return kept
        matrix = self._candidates.smoother(index, alpha)
        leverage = self._candidates.tables[index].leverage[:, alpha]
        matrix /= np.maximum(1.0 - leverage, _LEAST)
        matrix *= matrix
        if (len(self._sandwiches) + 1) * matrix.nbytes <= _KEPT_BYTES:
            self._sandwiches[key] = matrix
        return matrix
