"""Confidence bands of fitted functions: from resampled data (bootstrap), or from fresh samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkb.bootstrap.checkpoint import Checkpoint
from fastkb.bootstrap.kernel_source import KernelSource
from fastkb.bootstrap.model_band import Options, band_of_model, describe_job
from fastkb.bootstrap.models import Training
from fastkb.bootstrap.network_band import band_of_network
from fastkb.bootstrap.prediction_error import OutOfBag, PredictionError
from fastkb.bootstrap.quantiles import column_quantiles
from fastkb.bootstrap.replicates import Job, Replicates, compute_replicates, progress_bar
from fastkb.bootstrap.response_schemes import ResponseScheme
from fastkb.bootstrap.result import BandResult
from fastkb.bootstrap.smoother import response_replicates
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.validation.bootstrap import (
    BandData,
    check_band_data,
    check_fit_params_of,
    check_level,
    check_model,
    check_n_resamples,
    check_out_of_bag,
    check_predictions,
    check_refittable,
    check_response_method,
    check_rng,
    check_sample,
    check_sampler,
    check_scheme_of_band,
    check_seed_for_checkpoint,
    check_solver,
    check_solver_of,
    check_training,
    check_weights_of_rows,
    is_network,
    is_ridge,
)

# Weights that are drawn again at a time, for the out-of-bag error.
_WEIGHTS = 2**20


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
    scheme: Any = None,
    response_method: str = "auto",
    n_jobs: int | None = None,
    out_of_bag: bool = False,
    checkpoint: Any = None,
    keep_distribution: bool = True,
    progress: bool = False,
    fit_params: Mapping[str, Any] | None = None,
) -> BandResult:
    r"""Bootstrap confidence band of a fitted function: of kernel ridge regression, or any other model.

    For each replicate b, n rows are drawn from the data with replacement, the estimator is fitted on
    them, duplicates and all, and evaluated:

    .. math:: f^{(b)} = \arg\min_f \sum_i w_i^{(b)} (y_i - f(x_i))^2 + \lambda \|f\|^2

    where :math:`w_i^{(b)}` counts how often row i was drawn. The band spans, at every evaluation point,
    the percentiles of :math:`f^{(1)}(x), …, f^{(B)}(x)`. For kernel ridge regression nothing is refitted
    from scratch, and every prediction agrees with that of an estimator refitted on the duplicated rows to
    10⁻⁶ of the range of y, up to rounding, whichever solver ran. Networks are trained side by side, in
    compiled code, on the counts as weights. Any other model is refitted by itself: with the counts as
    `sample_weight` where its `fit` takes that, else on the drawn rows.

    Parameters
    ----------
    estimator : KernelRidge, fastkb.nn.Sequential, scikit-learn estimator or callable
        It is not changed. KernelRidge: fastkb's or scikit-learn's, any kernel, also precomputed. Of a
        network the architecture counts, not its parameters. A callable is
        ``fit_predict(X, y, w, X_eval)`` with the counts w as floats, and returns the predictions at
        X_eval.
    X : array-like or sparse matrix of shape (n, d)
        Training data; for ``kernel="precomputed"`` the Gram matrix K(X, X) of shape (n, n). Models other
        than KernelRidge get it as it is, data frames included.
    y : array-like of shape (n,) or (n, n_targets)
        Targets, or the labels of classes.
    X_eval : array-like or sparse matrix of shape (n_eval, d)
        Where to evaluate; for ``kernel="precomputed"`` K(X_eval, X) of shape (n_eval, n).
    n_resamples : int, default 1000
        The number B of replicates.
    confidence_level : float, default 0.9
        The band holds the middle `confidence_level` of the replicates: 0.9 means the 5% and the 95%
        percentile.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed of the resamples. The rows of resample b depend on the seed and b alone.
    solver : {"auto", "lowrank", "cholesky", "ensemble", "weights", "rows"}, default "auto"
        How the replicates are computed (docs/band.md); ``result.reason`` says why. ``"lowrank"`` gives
        way to ``"cholesky"`` where it cannot be certified; both are for KernelRidge. ``"ensemble"``
        trains networks side by side: a Sequential, or fastkb's MLPClassifier and MLPRegressor with the
        solvers sgd and adam. ``"weights"`` and ``"rows"`` refit the model itself, with `sample_weight`
        or on the drawn rows.
    scheme : Scheme, optional
        Another way to resample: see :mod:`fastkb.schemes` (strata, clusters, blocks, Bayesian weights,
        residual and wild bootstrap, whose fitted values are the model's own unless they are given).
    response_method : {"auto", "predict", "predict_proba", "decision_function"}, default "auto"
        What the band is of. Auto: `predict`; for classifiers `predict_proba`, or else
        `decision_function`. Of two classes, the second alone.
    n_jobs : int, optional
        Workers of joblib for models that are refitted: None is 1 unless ``joblib.parallel_config`` says
        otherwise, -1 all processors. Any backend will do (loky, threading, dask); results do not depend
        on it. KernelRidge and networks run on all threads in this process.
    out_of_bag : bool, default False
        Whether to estimate the prediction error from the rows that each replicate left out
        (``result.prediction_error``: .632 and .632+). Takes memory of n_resamples · n for KernelRidge; a
        callable is called twice as often.
    checkpoint : path, optional
        Finished replicates are saved to this file (.npz) every ten seconds or so, and when the work
        ends or is interrupted; the same call goes on from there, to identical results. Needs `rng`. The
        file remains.
    keep_distribution : bool, default True
        Whether the result keeps every replicate's predictions, n_resamples · n_eval · n_targets
        numbers; :meth:`BandResult.cdf` and :meth:`BandResult.interval` need them.
    progress : bool, default False
        Whether to show a progress bar on standard error.
    fit_params : dict, optional
        What `fit` is told beside the data. For a Sequential any of ``loss``, ``optimizer``, ``epochs``,
        ``batch_size``, ``l2``, ``shuffle`` and ``sample_weight``, with the defaults of its `fit`. What
        has a value for each row goes with the rows; ``sample_weight`` is multiplied by the counts.

    Returns
    -------
    BandResult
        Curves of shape (n_eval,), or (n_eval, n_targets) for y with two dimensions; float32 where both
        X and y are, float64 otherwise. All is computed in float64.

    Raises
    ------
    TypeError, ValueError
        For bad input, before any work; for a model that fails on a replicate, naming it.
    FloatingPointError
        If the loss of a Sequential is no longer finite, naming the member.
    OSError
        If the checkpoint cannot be written.

    Warns
    -----
    scipy.linalg.LinAlgWarning
        If a replicate's system is singular (``alpha=0`` and equal rows): it is then solved in the sense
        of least squares.
    sklearn.exceptions.ConvergenceWarning
        If perceptrons were still making progress after their last epoch.

    See Also
    --------
    fastkb.sampling_band : fresh samples from a known distribution instead.
    fastkb.nn.bootstrap_fit : the networks themselves.

    Notes
    -----
    Results are the same to the last bit on any number of threads, and however the work was cut. A
    `random_state` of None is replaced by one that depends on `rng` and on the replicate; a number stays.

    References
    ----------
    Efron, Tibshirani (1997), Improvements on cross-validation: the .632+ bootstrap method, JASA 92.
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
    check_refittable(estimator)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    check_solver(solver)
    rng = check_rng(rng)
    ridge = is_ridge(estimator) and solver not in ("weights", "rows")
    check_solver_of(solver, estimator)
    fit_params = check_fit_params_of(estimator, fit_params, ridge)
    check_scheme_of_band(scheme)
    check_out_of_bag(out_of_bag, scheme)
    check_seed_for_checkpoint(checkpoint, rng)
    if ridge:
        check_response_method(estimator, response_method, False)
        data: Any = check_band_data(estimator, X, y, X_eval)
    else:
        data = Training(*check_training(X, y, X_eval))
        check_weights_of_rows(fit_params, len(data.y))
    key = key_from_rng(rng)
    options = Options(
        key, n_resamples, scheme, response_method, n_jobs, out_of_bag, progress, fit_params
    )
    saved = None
    if checkpoint is not None:
        given = Training(X, y, X_eval)
        saved = Checkpoint(checkpoint, describe_job(estimator, given, solver, options))
    band = _of_ridge if ridge else _of_model
    center, distribution, about = band(estimator, data, solver, options, saved)
    dtype = about.pop("dtype")
    curves: dict[str, Any] = _curves(center, distribution, level)
    curves = {name: curve.astype(dtype, copy=False) for name, curve in curves.items()}
    distribution = curves.pop("distribution")
    return BandResult(
        x=X_eval if hasattr(X_eval, "iloc") or hasattr(X_eval, "nnz") else np.asarray(X_eval),
        **curves,
        confidence_level=level,
        distribution=distribution if keep_distribution else None,
        n_resamples=n_resamples,
        seconds=time.perf_counter() - start,
        **about,
    )


# What a band consists of: the fit on all data, all replicates, and how they came about.
_Parts = tuple[np.ndarray, np.ndarray, dict[str, Any]]


def _of_model(
    estimator: Any, data: Training, solver: str, options: Options, checkpoint: Checkpoint | None
) -> _Parts:
    if is_network(estimator):
        band = band_of_network(estimator, data, options, checkpoint)
    else:
        band = band_of_model(estimator, data, solver, options, checkpoint)
    about = {
        "dtype": band.refits.center.dtype,
        "solver": band.solver,
        "reason": band.reason,
        "classes": band.classes,
        "prediction_error": band.refits.prediction_error,
    }
    return band.refits.center, band.refits.distribution, about


def _of_ridge(
    estimator: Any, data: BandData, solver: str, options: Options, checkpoint: Checkpoint | None
) -> _Parts:
    n_eval, points = data.X_eval.shape[0], data.X_eval
    if options.out_of_bag:  # the data themselves are evaluation points too
        points = _stacked(points, data.X)
    source = KernelSource(estimator, data.X, points)
    plan = options.scheme
    if plan is not None and not isinstance(plan, ResponseScheme):
        plan = plan.prepare([data.y.T], True)
    n_resamples, progress = options.n_resamples, options.progress
    job = Job(source, data.y, data.alpha, options.key, n_resamples, progress, plan, checkpoint)
    if isinstance(plan, ResponseScheme):
        replicates = response_replicates(job)
    else:
        replicates = compute_replicates(job, solver)
    error = _error_of_ridge(replicates, data, options.key, plan) if options.out_of_bag else None
    curves = [replicates.center[:n_eval], replicates.distribution[:, :n_eval]]
    if data.single_target:
        curves = [curve[..., 0] for curve in curves]
    about = {
        "dtype": data.dtype,
        "solver": replicates.plan.solver,
        "reason": replicates.plan.reason,
        "rank": replicates.rank,
        "error_bound": replicates.error_bound,
        "n_exact": replicates.n_exact,
        "prediction_error": error,
    }
    return curves[0], curves[1], about


def _stacked(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    from scipy import sparse

    return sparse.vstack([first, second], format="csr")


def _error_of_ridge(
    replicates: Replicates, data: BandData, key: np.ndarray, plan: Any
) -> PredictionError:
    """From predictions whose last points are the data."""
    n = len(data.y)
    errors = OutOfBag(data.y)
    together = max(1, _WEIGHTS // n)
    for first in range(0, len(replicates.distribution), together):
        some = replicates.distribution[first : first + together, -n:]
        if plan is None:
            weights = bootstrap_counts(key, first, len(some), n)
        else:
            weights = plan.counts(key, first, len(some))
        errors.add_many(some, weights)
    return errors.result(replicates.center[-n:])


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
