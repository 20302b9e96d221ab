"""The band of an ensemble that has been trained."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastkb.bands.names import column_names
from fastkb.bands.result import BandResult
from fastkb.checks.requests import check_level
from fastkb.linalg.quantiles import column_quantiles
from fastkb.nn.ensemble import REASON, Ensemble, classes, curves


def ensemble_band(ensemble: Ensemble, X_eval: Any, confidence_level: float) -> BandResult:
    """Percentiles of the members' responses: what :meth:`fastkb.nn.Ensemble.band` returns.

    Parameters
    ----------
    ensemble : Ensemble
    X_eval : array_like of shape (n_eval, in_features)
    confidence_level : float

    Returns
    -------
    BandResult
    """
    start = time.perf_counter()
    level = check_level("confidence_level", confidence_level)
    center = curves(ensemble.network.forward(X_eval), ensemble.loss)
    distribution = curves(ensemble.forward(X_eval), ensemble.loss)
    with np.errstate(over="ignore", invalid="ignore"):  # of outputs that are as large as can be
        low, high = column_quantiles(distribution, [(1 - level) / 2, (1 + level) / 2])
        mean = distribution.mean(axis=0)
    return BandResult(
        x=np.asarray(X_eval),
        center=center,
        mean=mean,
        low=low.astype(center.dtype),
        high=high.astype(center.dtype),
        confidence_level=level,
        distribution=distribution,
        x_names=column_names(X_eval),
        solver="ensemble",
        reason=REASON,
        n_resamples=len(ensemble),
        seconds=ensemble.seconds + time.perf_counter() - start,
        classes=classes(ensemble.network, ensemble.loss),
    )
