"""Bands of fitted functions: what users call, and where each kind of model is sent."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkb.bands.checks import (
    check_kind,
    check_kind_of_model,
    check_solver_of_search,
    why_refitted,
)
from fastkb.bands.models.checks import (
    check_fit_params_of,
    check_n_jobs,
    check_out_of_bag,
    check_refittable,
    check_scheme_of_band,
    check_seed_for_checkpoint,
    check_solver,
    check_solver_of,
    check_training,
    check_weights_of_rows,
    fits_its_own_way,
    is_ridge,
    is_ridge_behind_steps,
)
from fastkb.bands.models.model_band import Options, describe_job
from fastkb.bands.models.model_kinds import of_model
from fastkb.bands.models.models import GivenData
from fastkb.bands.names import check_same_columns, column_names
from fastkb.bands.result import BandResult
from fastkb.bands.ridge.ridge_band import check_ridge, of_ridge
from fastkb.checks.requests import check_level, check_n_resamples, check_rng
from fastkb.checks.scalars import check_progress
from fastkb.executors.parts import check_executor, in_parts
from fastkb.random.streams import key_from_rng
from fastkb.ridge.search import KernelRidgeCV
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import ProgressLike
from fastkb.storage.checkpoint import Checkpoint


def bootstrap_band(
    estimator: Any,
    X: Any,
    y: Any,
    X_eval: Any,
    *,
    n_resamples: int = 1000,
    confidence_level: float = 0.9,
    kind: str = "percentile",
    rng: Any = None,
    solver: str = "auto",
    scheme: Any = None,
    response_method: str = "auto",
    executor: Any = None,
    n_jobs: int | None = None,
    out_of_bag: bool = False,
    checkpoint: Any = None,
    keep_distribution: bool = True,
    progress: ProgressLike = False,
    fit_params: Mapping[str, Any] | None = None,
) -> BandResult:
    r"""Band of a fitted function by the bootstrap: of kernel ridge regression, or any other model.

    What the band holds is its `kind`:

    ================ ===================================================================================
    `percentile`     the middle of the functions refitted to resampled rows, point by point. It says how
                     far the fit would move; the bias of the fit is not in it
    `confidence`     the true function, with probability `confidence_level` at three quarters or more of
                     the evaluation points among the data (KernelRidge and KernelRidgeCV). Noise, the
                     bias of smoothing and the choice of KernelRidgeCV are accounted for
    `simultaneous`   the whole true function, at all points at once: the studentized maximum
    `prediction`     new observations, on average over the inputs: the jackknife+, after bootstrap
                     for other models than kernel ridge regression
    ================ ===================================================================================

    **Percentiles.** For each replicate b, n rows are drawn from the data with replacement, the estimator
    is fitted on them, duplicates and all, and evaluated:

    .. math:: f^{(b)} = \arg\min_f \sum_i w_i^{(b)} (y_i - f(x_i))^2 + \lambda \|f\|^2

    where :math:`w_i^{(b)}` counts how often row i was drawn. For kernel ridge regression nothing is
    refitted from scratch, and every prediction agrees with that of an estimator refitted on the
    duplicated rows to 10⁻⁶ of the range of y, up to rounding, whichever solver ran; with
    ``fit_intercept=True`` a constant without penalty is part of f, and of every replicate. KernelRidgeCV
    chooses its width and penalty for every replicate anew. Networks are trained side by side, in
    compiled code, on the counts as weights. Any other model is refitted by itself: with the counts as
    `sample_weight` where its `fit` takes that, else on the drawn rows.

    **Confidence and simultaneous bands** of kernel ridge regression draw no rows. They are as wide as the
    distances, in standard errors, between curves and their refits to responses with random signs
    (:mod:`fastkb.bands.coverage.calibration`).

    Parameters
    ----------
    estimator : KernelRidge, KernelRidgeCV, fastkb.nn.Sequential, scikit-learn estimator or callable
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
        What the band holds. Of a percentile band 0.9 means the 5% and the 95% percentile.
    kind : {"percentile", "confidence", "simultaneous", "prediction"}, default "percentile"
        See above. The result has methods for the other kinds, which need no new call for kernel ridge
        regression.
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed of the resamples. The rows of resample b depend on the seed and b alone.
    solver : str, default "auto"
        One of auto, lowrank, cholesky, search, ensemble, weights and rows: how the replicates are
        computed (docs/band.md); ``result.reason`` says why. ``"lowrank"`` gives
        way to ``"cholesky"`` where it cannot be certified; both are for KernelRidge, and ``"search"`` is
        for KernelRidgeCV without `cv` and `scoring`. ``"ensemble"`` trains networks side by side: a
        Sequential, or fastkb's MLPClassifier and MLPRegressor with the solvers sgd and adam.
        ``"weights"`` and ``"rows"`` refit the model itself, with `sample_weight` or on the drawn rows.
    scheme : Scheme, optional
        Another way to resample, for percentile bands, and for any kind of other models: see
        :mod:`fastkb.schemes` (strata, clusters, blocks, Bayesian weights, residual and wild
        bootstrap, whose fitted values are the model's own unless they are given).
    response_method : {"auto", "predict", "predict_proba", "decision_function"}, default "auto"
        What the band is of. Auto: `predict`; for classifiers `predict_proba`, or else
        `decision_function`. Of two classes, the second alone.
    executor : concurrent.futures.Executor, dask.distributed.Client or the like, optional
        Anything with a method ``submit``: replicates of models that are refitted, and those of
        KernelRidge that are factorised one by one, are computed there in 64 parts. The data are brought
        to every worker once. Low-rank replicates and networks that are trained side by side are
        computed in this process, on all threads.
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
        ends or is interrupted; the same call resumes from there, to identical results. Needs `rng`. The
        file remains.
    keep_distribution : bool, default True
        Whether the result keeps every replicate's predictions, n_resamples · n_eval · n_targets
        numbers; :meth:`BandResult.cdf` and :meth:`BandResult.interval` need them.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.
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
    fastkb.ExecutorError
        If the executor breaks; what is finished is kept, and ``error.go_on(executor)`` computes the rest.

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
    Barber, Candès, Ramdas, Tibshirani (2021), Predictive inference with the jackknife+, AoS 49.
    Efron, Tibshirani (1997), Improvements on cross-validation: the .632+ bootstrap method, JASA 92.
    Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 13.
    Hall, Horowitz (2013), A simple bootstrap method for constructing nonparametric confidence bands for
    functions, AoS 41.
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

    A band for the true curve, of an estimator that chooses its width and penalty:

    >>> from fastkb import KernelRidgeCV
    >>> search = KernelRidgeCV(criterion="reml", fit_intercept=True)
    >>> band = bootstrap_band(search, x[:, None], y, grid[:, None], kind="confidence", rng=0)
    >>> bool(np.mean((band.low <= np.sin(grid)) & (np.sin(grid) <= band.high)) > 0.5)
    True
    >>> low, high = band.prediction(0.9)
    >>> bool((low < band.low).all() and (band.high < high).all())
    True
    """
    start = time.perf_counter()
    check_refittable(estimator)
    kind = check_kind(kind)
    n_resamples = check_n_resamples(n_resamples)
    level = check_level("confidence_level", confidence_level)
    check_progress(progress)
    check_executor(executor)
    if executor is not None and n_jobs is not None:
        raise ValueError(f"executor excludes n_jobs, which are joblib's; got n_jobs={n_jobs!r}")
    check_solver(solver)
    rng = check_rng(rng)
    check_solver_of(solver, estimator)
    check_solver_of_search(estimator, solver, scheme)
    ridge = is_ridge(estimator) and solver not in ("weights", "rows")
    searches = isinstance(estimator, KernelRidgeCV) and not fits_its_own_way(estimator)
    if searches and solver in ("auto", "search"):
        ridge = kind != "percentile" or why_refitted(estimator, scheme) is None
    fit_params = check_fit_params_of(estimator, fit_params, ridge)
    check_scheme_of_band(scheme)
    check_out_of_bag(out_of_bag, scheme)
    check_seed_for_checkpoint(checkpoint, rng)
    options = Options(
        key_from_rng(rng),
        n_resamples,
        scheme,
        response_method,
        check_n_jobs(n_jobs),
        out_of_bag,
        progress,
        fit_params,
        kind,
    )
    check_same_columns(X, X_eval)
    given = GivenData(X, y, X_eval)
    if ridge:
        data: Any = check_ridge(estimator, given, options, checkpoint)
    else:
        check_kind_of_model(estimator, kind, scheme)
        if is_ridge_behind_steps(estimator):
            warnings.warn(
                "the steps of the pipeline are fitted again to every resample, and so its kernel ridge "
                "regression is refitted by itself. To refit it at once, transform X beforehand and "
                "give the regression alone",
                UserWarning,
                stacklevel=stacklevel(),
            )
        data = GivenData(*check_training(X, y, X_eval))
        check_weights_of_rows(fit_params, len(data.y))
    saved = None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, describe_job(estimator, given, solver, options))
    band = of_ridge if ridge else of_model

    def compute(work: Any) -> BandResult:
        parts = band(estimator, data, solver, options._replace(work=work), saved)
        curves: dict[str, Any] = dict(zip(("low", "high"), parts.edges(level), strict=True))
        curves |= {"center": parts.center, "mean": parts.mean}
        curves = {name: curve.astype(parts.dtype, copy=False) for name, curve in curves.items()}
        distribution = parts.distribution if keep_distribution else None
        if distribution is not None:
            distribution = distribution.astype(parts.dtype, copy=False)
        return BandResult(
            x=X_eval if hasattr(X_eval, "iloc") or hasattr(X_eval, "nnz") else np.asarray(X_eval),
            **curves,
            confidence_level=level,
            distribution=distribution,
            n_resamples=parts.n_resamples,
            seconds=time.perf_counter() - start,
            kind=kind,
            x_names=column_names(X) if hasattr(X, "columns") else column_names(X_eval),
            y_names=column_names(y),
            _study=parts.study,
            _observed=(X, y),
            **parts.about,
        )

    return compute(None) if executor is None else in_parts(executor, compute)
