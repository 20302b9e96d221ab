"""Confidence bands of fitted functions: resampled data (bootstrap) or fresh samples."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastkb.bootstrap.result import BandResult
from fastkb.validation.bootstrap import (
    check_band_data,
    check_level,
    check_n_resamples,
    check_predictions,
    check_ridge,
    check_rng,
    check_sample,
    check_sampler,
    check_solver,
)


def bootstrap_band(
    estimator: Any,
    X: Any,
    y: Any,
    X_eval: Any,
    *,
    n_resamples: int = 1000,
    confidence_level: float = 0.9,
    rng: Any = None,
    solver: str = "auto",
    keep_distribution: bool = True,
    progress: bool = False,
) -> BandResult:
    """Bootstrap band of kernel ridge regression."""
    start = time.perf_counter()
    check_ridge(estimator)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    check_solver(solver)
    rng = np.random.default_rng(check_rng(rng))
    data = check_band_data(estimator, X, y, X_eval)
    from sklearn.base import clone

    kernel = clone(estimator)._get_kernel
    K, cross = np.asarray(kernel(data.X)), np.asarray(kernel(data.X_eval, data.X))
    n = len(data.y)

    def predict(w):
        (u,) = np.nonzero(w)
        out = np.empty((len(cross), data.y.shape[1]))
        for t, alpha in enumerate(data.alpha):
            dual = np.linalg.solve(K[np.ix_(u, u)] + np.diag(alpha / w[u]), data.y[u, t])
            out[:, t] = cross[:, u] @ dual
        return out

    draws = np.array(
        [predict(np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(n_resamples)]
    )
    center = predict(np.ones(n))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    curves = [center, draws.mean(axis=0), low, high, draws]
    curves = [v.astype(data.dtype, copy=False) for v in curves]
    if data.single_target:
        curves = [v[..., 0] for v in curves]
    return BandResult(
        x=X_eval,
        center=curves[0],
        mean=curves[1],
        low=curves[2],
        high=curves[3],
        confidence_level=level,
        distribution=curves[4] if keep_distribution else None,
        solver="cholesky",
        reason="one factorisation per replicate",
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
    )


def sampling_band(
    estimator: Any,
    sampler: Any,
    X_eval: Any,
    *,
    n_resamples: int = 1000,
    confidence_level: float = 0.9,
    rng: Any = None,
    keep_distribution: bool = True,
    progress: bool = False,
) -> BandResult:
    """Band of an estimator over fresh samples."""
    start = time.perf_counter()
    check_sampler(sampler)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    rng = np.random.default_rng(check_rng(rng))
    from sklearn.base import clone

    draws, shape = [], None
    for b in range(n_resamples):
        X, y = check_sample(sampler(rng), b)
        draws.append(check_predictions(clone(estimator).fit(X, y).predict(X_eval), b, shape))
        shape = draws[0].shape
    distribution = np.array(draws)
    mean = distribution.mean(axis=0)
    low, high = np.quantile(distribution, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return BandResult(
        x=X_eval,
        center=mean,
        mean=mean,
        low=low,
        high=high,
        confidence_level=level,
        distribution=distribution if keep_distribution else None,
        solver="refit",
        reason="fresh samples share nothing, so each is fitted on its own",
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
    )
