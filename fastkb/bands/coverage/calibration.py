r"""How many standard errors a band takes: told by a wild bootstrap that does everything again.

Each replicate draws responses :math:`y^* = \bar f + \epsilon \tilde e` around the plausible curve
:math:`\bar f`, with random signs ε, and treats them as the data were treated: the estimator's own fit
:math:`\hat f^*`, its choice of width and penalty included, and the standard error :math:`s^*` around it
(:mod:`fastkb.bands.coverage.average`). The statistic

.. math:: t^*(x) = |\hat f^*(x) - \bar f(x)| / s^*(x)

keeps the bias of smoothing: it is the distance from the curve that the responses were drawn around,
and not from the replicates' mean. Its quantiles at each point, and those of its maximum over the
points, are the widths of bands.

References
----------
Hall, Horowitz (2013), A simple bootstrap method for constructing nonparametric confidence bands for
functions, Annals of Statistics 41.
Wu (1986), Jackknife, bootstrap and other resampling methods in regression analysis, Annals of
Statistics 14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.coverage.average import Averager
from fastkb.bands.coverage.candidates import Candidates, Projected
from fastkb.bands.coverage.own_fit import OwnFit
from fastkb.random.bounded import bounded_rows
from fastkb.ridge.scaling import centre_targets
from fastkb.runtime.memory import empty

# Numbers in a block of responses, and the most responses in one.
_VALUES = 2**22
_TOGETHER = 128
# A leverage of 1 leaves no residual.
_LEAST = 1e-8


class Widths(NamedTuple):
    """What widths of bands are taken from, at any level."""

    spread: np.ndarray  # the standard error of the fit.  shape: (m, n_targets)
    largest: np.ndarray  # the maximum of t* over points. shape: (n_resamples, n_targets)
    at_points: np.ndarray  # t* at points among the data. shape: (n_resamples, k, n_targets)

    def pointwise(self, level: float, share: float) -> np.ndarray:
        """Standard errors that hold the truth at `level` at a share of the points.

        # shape: (n_targets,)
        """
        at_points = np.quantile(self.at_points, level, axis=0)
        return np.quantile(at_points, share, axis=0)

    def simultaneous(self, level: float) -> np.ndarray:
        """Standard errors that hold the truth at all points at once.  # shape: (n_targets,)"""
        return np.quantile(self.largest, level, axis=0)


class Calibration(NamedTuple):
    """A fit, and how far replicates were from the truth that they were drawn around."""

    center: np.ndarray  # the estimator's fit on all data.  shape: (m, n_targets)
    spread: np.ndarray  # its standard error.               shape: (m, n_targets)
    statistic: np.ndarray  # t*.                            shape: (n_resamples, m, n_targets)
    distribution: np.ndarray  # the replicates' fits.       shape: (n_resamples, m, n_targets)
    among: np.ndarray  # which points lie among the data.   shape: (m,)

    @property
    def widths(self) -> Widths:
        """The little that bands of any level need."""
        at_points = self.statistic[:, self.among]
        return Widths(self.spread, self.statistic.max(axis=1), at_points)


class Wild(NamedTuple):
    """Responses around a curve: residuals with random signs."""

    fitted: np.ndarray  # shape: (n, n_targets)
    residuals: np.ndarray  # shape: (n, n_targets)
    key: np.ndarray  # shape: (4,)

    def draw(self, first: int, count: int) -> np.ndarray:
        """Replicates `first`, …; all of the first target, then of the next.

        # shape: (n, n_targets · count)
        """
        n, n_targets = self.fitted.shape
        coins = bounded_rows(self.key, first, count, np.full(n, 2))
        signs = np.where(coins.T == 1, 1.0, -1.0)  # shape: (n, count)
        parts = [
            self.fitted[:, t, None] + self.residuals[:, t, None] * signs for t in range(n_targets)
        ]
        return parts[0] if n_targets == 1 else np.concatenate(parts, axis=1)


def calibrate(
    candidates: Candidates,
    own: OwnFit,
    y: np.ndarray,
    key: np.ndarray,
    n_resamples: int,
    among: np.ndarray,
    mapping: Callable[..., Iterable[Any]] = map,
    advance: Callable[[int], Any] = lambda count: None,
) -> Calibration:
    """Fit, and do the wild bootstrap.

    Parameters
    ----------
    candidates : Candidates
    own : OwnFit
    y : ndarray
        # shape: (n, n_targets)
    key : ndarray of uint32
        # shape: (4,)
    n_resamples : int
    among : ndarray of bool
        Which points lie among the data. The width of pointwise bands is taken from these: it does not
        depend on what is looked at far outside.  # shape: (m,)
    mapping : callable
        As :func:`map`: results in order, perhaps from several threads.
    advance : callable
        Told how many replicates are finished.
    """
    n, n_targets = y.shape
    # Around 0 nothing is lost to an offset, which changes what has no intercept.
    offset = np.zeros(n_targets)
    if own.centred:
        y, offset = centre_targets(y, None)
    averager = Averager(candidates)

    def look(responses: np.ndarray) -> tuple[list[Projected], np.ndarray]:
        projected = [candidates.project(i, responses) for i in range(len(candidates.spectra))]
        return projected, np.stack([part.criterion for part in projected])

    projected, criteria = look(y)
    average = averager(y, projected, candidates.posterior(projected), at_data=True)
    center = own.curves(y, projected, criteria, n_targets)
    spread = np.sqrt(average.variance + (average.curve - center) ** 2)
    assert average.fitted is not None
    assert average.leverage is not None
    residuals = (y - average.fitted) / np.maximum(1.0 - average.leverage, _LEAST)
    wild = Wild(average.fitted, residuals, key)

    shape = (n_resamples, candidates.m, n_targets)
    statistic = empty(shape, np.float64, "the statistics of all replicates")
    distribution = empty(shape, np.float64, "the predictions of all replicates")
    together = max(1, min(_TOGETHER, _VALUES // (n * n_targets)))

    def block(first: int) -> tuple[np.ndarray, np.ndarray]:
        # The last block is as large as all blocks: the rounding of a product may depend on its size.
        responses = wild.draw(first, together)
        projected, criteria = look(responses)
        fits = own.curves(responses, projected, criteria, n_targets)
        around = averager(responses, projected, candidates.posterior(projected), errors=residuals)
        errors = np.sqrt(around.variance + (around.curve - fits) ** 2)
        fits = fits.reshape(candidates.m, n_targets, together)
        distances = np.abs(fits - average.curve[:, :, None])
        ratios = _ratio(distances, errors.reshape(fits.shape))
        return ratios.transpose(2, 0, 1), fits.transpose(2, 0, 1)

    # One block after another on each thread: that makes few tasks, for each of which the caller waits.
    starts = range(0, n_resamples, together)
    for first, (ratios, fits) in zip(starts, mapping(block, starts), strict=True):
        count = min(together, n_resamples - first)
        statistic[first : first + count] = ratios[:count]
        distribution[first : first + count] = fits[:count]
        advance(count)
    return Calibration(
        center + offset,
        spread,
        statistic,
        distribution + offset,
        among,
    )


def _ratio(distances: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Distances in standard errors: 0 where there is no distance, as with constant responses."""
    return np.divide(distances, errors, out=np.zeros_like(distances), where=distances > 0.0)
