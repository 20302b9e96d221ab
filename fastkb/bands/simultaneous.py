"""Simultaneous bands of models that are refitted: the studentized maximum of their replicates."""

from __future__ import annotations

import numpy as np


def studentized_maximum(
    center: np.ndarray, distribution: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The band that holds a share of the replicates whole.

    With the standard deviation s(x) of the replicates around their mean, a replicate is as far out as
    its largest |f(x) - mean(x)|/s(x) over the points; the band is the center ± s(x) times the
    `level`-quantile of these.

    Parameters
    ----------
    center : ndarray
        # shape: (m, …)
    distribution : ndarray
        # shape: (n_resamples, m, …)
    level : float

    Returns
    -------
    low, high : ndarray
        # shape: (m, …)

    References
    ----------
    Davison, Hinkley (1997), Bootstrap Methods and their Application, section 4.2.4.
    """
    mean, spread = distribution.mean(axis=0), distribution.std(axis=0)
    distances = np.abs(distribution - mean)
    # Where all replicates agree the distance is 0.
    ratios = np.divide(distances, spread, out=np.zeros_like(distances), where=spread > 0.0)
    half = np.quantile(ratios.max(axis=1), level, axis=0) * spread
    return center - half, center + half
