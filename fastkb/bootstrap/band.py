"""Confidence bands of fitted functions: from resampled data (bootstrap), or from fresh samples."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastkb.bootstrap.kernel_source import KernelSource
from fastkb.bootstrap.quantiles import column_quantiles
from fastkb.bootstrap.replicates import compute_replicates, progress_bar
from fastkb.bootstrap.result import BandResult
from fastkb.random.streams import key_from_rng
from fastkb.validation.bootstrap import (
    check_band_data,
    check_level,
    check_model,
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
    r"""Bootstrap confidence band of kernel ridge regression.

    For each replicate b, n rows are drawn from the data with replacement, the estimator is fitted on
    them, duplicates and all, and evaluated:

    .. math:: f^{(b)} = \arg\min_f \sum_i w_i^{(b)} (y_i - f(x_i))^2 + \lambda \|f\|^2

    where :math:`w_i^{(b)}` counts how often row i was drawn. The band spans, at every evaluation point,
    the percentiles of :math:`f^{(1)}(x), …, f^{(B)}(x)`. Every prediction agrees with that of an
    estimator refitted on the duplicated rows to 10⁻⁶ of the range of y, up to rounding, whichever
    solver ran.

    Parameters
    ----------
    estimator : KernelRidge
        fastkb's or scikit-learn's, fitted or not; it is not changed. Any kernel, also precomputed.
    X : array-like or sparse matrix of shape (n, d)
        Training data; for ``kernel="precomputed"`` the Gram matrix K(X, X) of shape (n, n).
    y : array-like of shape (n,) or (n, n_targets)
        Targets.
    X_eval : array-like or sparse matrix of shape (n_eval, d)
        Where to evaluate; for ``kernel="precomputed"`` K(X_eval, X) of shape (n_eval, n).
    n_resamples : int, default 1000
        The number B of replicates.
    confidence_level : float, default 0.9
        The band holds the middle `confidence_level` of the replicates: 0.9 means the 5% and the 95%
        percentile.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed of the resamples. The rows of resample b depend on the seed and b alone.
    solver : {"auto", "lowrank", "cholesky"}, default "auto"
        How the replicates are computed (docs/band.md); ``result.reason`` says why. ``"lowrank"`` gives
        way to ``"cholesky"`` where it cannot be certified.
    keep_distribution : bool, default True
        Whether the result keeps every replicate's predictions, n_resamples · n_eval · n_targets
        numbers; :meth:`BandResult.cdf` and :meth:`BandResult.interval` need them.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    BandResult
        Curves of shape (n_eval,), or (n_eval, n_targets) for y with two dimensions; float32 where both
        X and y are, float64 otherwise. All is computed in float64.

    Raises
    ------
    TypeError, ValueError
        For bad input, before any work.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If a replicate's system is singular (``alpha=0`` and equal rows): it is then solved in the sense
        of least squares.

    See Also
    --------
    fastkb.sampling_band : fresh samples from a known distribution instead.

    Notes
    -----
    Results are the same to the last bit on any number of threads, and however the work was cut.

    References
    ----------
    Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 13.
    Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, section 8.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidge, bootstrap_band
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-3, 3, 200)
    >>> y = np.sin(x) + 0.3 * rng.standard_normal(200)
    >>> grid = np.linspace(-3, 3, 50)
    >>> model = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5)
    >>> band = bootstrap_band(model, x[:, None], y, grid[:, None], rng=0)
    >>> band.distribution.shape, band.solver
    ((1000, 50), 'lowrank')
    >>> bool(np.mean((band.low <= np.sin(grid)) & (np.sin(grid) <= band.high)) > 0.5)
    True
    """
    start = time.perf_counter()
    check_ridge(estimator)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    check_solver(solver)
    rng = check_rng(rng)
    data = check_band_data(estimator, X, y, X_eval)
    source = KernelSource(estimator, data.X, data.X_eval)
    replicates = compute_replicates(
        source, data.y, data.alpha, key_from_rng(rng), n_resamples, solver, progress
    )
    curves = _curves(replicates.center, replicates.distribution, level)
    curves = {name: curve.astype(data.dtype, copy=False) for name, curve in curves.items()}
    if data.single_target:
        curves = {name: curve[..., 0] for name, curve in curves.items()}
    distribution = curves.pop("distribution")
    return BandResult(
        x=np.asarray(X_eval) if isinstance(data.X_eval, np.ndarray) else X_eval,
        **curves,
        confidence_level=level,
        distribution=distribution if keep_distribution else None,
        solver=replicates.plan.solver,
        reason=replicates.plan.reason,
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
        rank=replicates.rank,
        error_bound=replicates.error_bound,
        n_exact=replicates.n_exact,
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
    r"""Band of an estimator over fresh samples: what the bootstrap approximates.

    Where the distribution of the data is known, no resampling is needed: each replicate is fitted on a
    sample of its own, and the band spans the percentiles of the fitted functions.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Anything with `fit` and `predict`; it is cloned and not changed.
    sampler : callable
        ``sampler(generator)`` returns a data set (X, y) drawn with the given
        :class:`numpy.random.Generator`.
    X_eval : array-like of shape (n_eval, d)
        Where to evaluate.
    n_resamples : int, default 1000
        The number B of samples.
    confidence_level : float, default 0.9
        The band holds the middle `confidence_level` of the replicates.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed. The generator of replicate b depends on the seed and b alone, not on n_resamples.
    keep_distribution : bool, default True
        Whether the result keeps every replicate's predictions.
    progress : bool, default False
        Whether to show a progress bar on standard error.

    Returns
    -------
    BandResult
        With `center` equal to `mean`: there is no one data set to fit all of.

    Raises
    ------
    TypeError, ValueError
        For bad input, or when the sampler returns something other than (X, y).

    See Also
    --------
    fastkb.bootstrap_band : the same from one data set.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import KernelRidge, sampling_band
    >>> def sampler(generator):
    ...     x = generator.uniform(-3, 3, 60)
    ...     return x[:, None], np.sin(x) + 0.3 * generator.standard_normal(60)
    >>> model = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5)
    >>> band = sampling_band(model, sampler, np.array([[0.0], [1.5]]), n_resamples=100, rng=0)
    >>> band.low.shape, bool((band.low < band.high).all())
    ((2,), True)
    """
    from sklearn.base import clone

    start = time.perf_counter()
    check_model(estimator)
    check_sampler(sampler)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    entropy = key_from_rng(check_rng(rng))
    draws: list[np.ndarray] = []
    with progress_bar(n_resamples, progress) as bar:
        for b in range(n_resamples):
            # Philox again, with a counter of its own for each replicate.
            seed = np.random.SeedSequence([int(word) for word in entropy], spawn_key=(b,))
            X, y = check_sample(sampler(np.random.Generator(np.random.Philox(seed))), b)
            prediction = clone(estimator).fit(X, y).predict(X_eval)
            draws.append(check_predictions(prediction, b, draws[0].shape if draws else None))
            bar.update(1)
    distribution = np.array(draws)
    curves = _curves(distribution.mean(axis=0), distribution, level)
    return BandResult(
        x=np.asarray(X_eval),
        center=curves["mean"],
        mean=curves["mean"],
        low=curves["low"],
        high=curves["high"],
        confidence_level=level,
        distribution=distribution if keep_distribution else None,
        solver="refit",
        reason="fresh samples have nothing in common, so each is fitted on its own",
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
    )


def _curves(center: np.ndarray, distribution: np.ndarray, level: float) -> dict[str, np.ndarray]:
    low, high = column_quantiles(distribution, [(1 - level) / 2, (1 + level) / 2])
    return {
        "center": center,
        "mean": distribution.mean(axis=0),
        "low": low,
        "high": high,
        "distribution": distribution,
    }
