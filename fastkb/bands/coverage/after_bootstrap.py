"""Prediction bands of models that are refitted: the jackknife+ after bootstrap.

In the place of the curve that is fitted without observation i stands the mean of the replicates that
left it out (:mod:`fastkb.bands.coverage.jackknife`).

References
----------
Kim, Xu, Barber (2020), Predictive inference is free with the jackknife+-after-bootstrap, NeurIPS 33.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastkb.bands.coverage.jackknife import interval

# Weights that are drawn again at a time.
_WEIGHTS = 2**22


class AfterBootstrap:
    """Left-out curves and errors, from replicates that predicted at the data, too.

    Parameters
    ----------
    at_points : ndarray
        Predictions at the evaluation points.  # shape: (n_resamples, m, n_targets)
    at_data : ndarray
        And at the data.  # shape: (n_resamples, n, n_targets)
    weights : callable
        ``weights(first, count)``: how often replicates `first`, … hold each row.  # shape: (count, n)
    y : ndarray
        # shape: (n, n_targets)

    Raises
    ------
    ValueError
        If every row is in every replicate.
    """

    def __init__(
        self,
        at_points: np.ndarray,
        at_data: np.ndarray,
        weights: Callable[[int, int], np.ndarray],
        y: np.ndarray,
    ) -> None:
        n_resamples, n, n_targets = at_data.shape
        curves = np.zeros((n_targets, at_points.shape[1], n))
        fitted, counts = np.zeros((n, n_targets)), np.zeros(n)
        together = max(1, _WEIGHTS // n)
        for first in range(0, n_resamples, together):
            part = slice(first, min(first + together, n_resamples))
            out = (np.asarray(weights(first, part.stop - first)) == 0).astype(np.float64)
            counts += out.sum(axis=0)
            for t in range(n_targets):
                curves[t] += at_points[part, :, t].T @ out
                fitted[:, t] += (out * at_data[part, :, t]).sum(axis=0)
        seen = counts > 0
        if not seen.any():
            raise ValueError(
                f"none of the {n_resamples} replicates leaves a row out: take more replicates"
            )
        self._curves = curves[:, :, seen] / counts[seen]
        self._errors = np.abs(y[seen] - fitted[seen] / counts[seen, None])

    def prediction(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The band at a level.  # shape: (m, n_targets) twice"""
        bands = [
            interval(curves, errors, level)
            for curves, errors in zip(self._curves, self._errors.T, strict=True)
        ]
        low, high = zip(*bands, strict=True)
        return np.stack(low, axis=1), np.stack(high, axis=1)
