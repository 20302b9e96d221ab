"""How long blocks of a series should be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastkb.resample.checks import check_series


def optimal_block_length(x: Any) -> tuple[float, float]:
    """Block lengths that minimise the error of the bootstrap variance of the mean.

    Parameters
    ----------
    x : array_like
        A stationary series.  # shape: (n,)

    Returns
    -------
    stationary, circular : float
        Mean length for :class:`StationaryBlocks`, length for :class:`CircularBlocks` (and
        :class:`MovingBlocks`); at most min(3√n, n/3). 1 for a constant series.

    Raises
    ------
    ValueError
        If `x` is no series of two finite numbers or more.

    References
    ----------
    Politis, White (2004), Econometric Reviews 23; corrected by Patton, Politis, White (2009), ibid. 28.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import schemes
    >>> noise = np.random.default_rng(0).standard_normal(1000)
    >>> smooth = np.convolve(noise, np.ones(10), mode="valid")
    >>> schemes.optimal_block_length(noise)[1] < 5 < schemes.optimal_block_length(smooth)[1]
    True
    """
    x = check_series(x)
    n = len(x)
    # The lengths do not depend on the scale, and squares are neither infinite nor 0.
    x = x / max(np.abs(x).max(), np.finfo(np.float64).tiny)
    deviations = x - x.mean()
    largest = np.abs(deviations).max()
    # A mean of equal numbers may be off by a rounding error.
    if largest <= 4 * np.finfo(np.float64).eps:
        return 1.0, 1.0
    deviations /= largest
    longest = math.ceil(min(3 * math.sqrt(n), n / 3))
    run = max(5, math.ceil(math.log10(n)))
    most = min(math.ceil(math.sqrt(n)) + run, n - 1)
    covariances = np.array([deviations[: n - k] @ deviations[k:] / n for k in range(most + 1)])
    correlations = np.abs(covariances / covariances[0])
    negligible = 2 * math.sqrt(math.log10(n) / n)
    # The first of `run` lags in a row whose correlations are negligible (so it is read in R's np and in
    # arch; the paper's wording is one less).
    cut = next(
        (m for m in range(1, most - run + 2) if (correlations[m : m + run] < negligible).all()),
        most,
    )
    bandwidth = min(2 * cut, most)
    lags = np.arange(1, bandwidth + 1)
    window = np.where(lags <= bandwidth / 2, 1.0, 2 * (1 - lags / bandwidth))  # flat at the top
    slope = 2 * float((window * lags) @ covariances[1 : bandwidth + 1])
    spectrum = float(covariances[0] + 2 * window @ covariances[1 : bandwidth + 1])
    if spectrum == 0.0:
        return float(longest), float(longest)
    stationary, circular = (
        (2 * slope**2 / (factor * spectrum**2)) ** (1 / 3) * n ** (1 / 3)
        for factor in (2.0, 4.0 / 3.0)
    )
    return min(stationary, longest), min(circular, longest)
