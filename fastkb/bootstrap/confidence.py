"""Bootstrap confidence intervals of a statistic: SciPy's function, its numbers, and less time."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastkb.bootstrap.bootstrap_result import BootstrapResult
from fastkb.bootstrap.checks import (
    Request,
    check_combination,
    check_memory,
    check_request,
    check_rng_of_numpy,
    check_samples,
    check_statistic,
)
from fastkb.bootstrap.device import resampled_on_device
from fastkb.bootstrap.distribution import Estimate, resampled, warn_of_no_interval
from fastkb.bootstrap.evaluate.cuda.checks import check_served, on_host
from fastkb.bootstrap.evaluate.statistics import NAMED, recognise
from fastkb.bootstrap.shards import resampled_on
from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_progress
from fastkb.executors.parts import check_executor
from fastkb.runtime.progress import ProgressLike, counted


class _NotGiven:
    """The default of arguments whose None means something."""

    def __repr__(self) -> str:
        return "<not given>"


_NOT_GIVEN: Any = _NotGiven()


def bootstrap(
    data: Any,
    statistic: Any,
    *,
    n_resamples: int = 9999,
    batch: int | None = None,
    vectorized: bool | None = None,
    paired: bool = False,
    axis: int = 0,
    confidence_level: float = 0.95,
    alternative: str = "two-sided",
    method: str = "BCa",
    bootstrap_result: Any = None,
    rng: Any = _NOT_GIVEN,
    random_state: Any = _NOT_GIVEN,
    scheme: Any = None,
    standard_error: Any = None,
    executor: Any = None,
    device: str | None = None,
    progress: ProgressLike = False,
) -> BootstrapResult:
    r"""Confidence interval of a statistic, from resamples of the data.

    A drop-in for :func:`scipy.stats.bootstrap`: the same resamples for the same seed, and so the same
    distribution (sums are formed in another order: to about 1e-15 of their size), with indices drawn and
    statistics computed on all cores, in blocks: memory is O(n_resamples + threads·n).

    Parameters
    ----------
    data : sequence of array_like
        One sample or more, observations along `axis`; for a single sample x write ``(x,)``. Or of arrays
        on a GPU, see `device`.
    statistic : callable or str
        Compiled, and recognised as these functions themselves: ``np.mean``, ``np.sum``, ``np.std``,
        ``np.var``, ``np.median``, ``np.min``, ``np.max``, ``np.ptp``, ``scipy.stats.pearsonr`` and
        ``scipy.stats.spearmanr``, ``functools.partial`` of ``np.std`` or ``np.var`` with `ddof`, of
        ``np.quantile`` or ``np.percentile`` with `q`, of ``scipy.stats.trim_mean`` with
        `proportiontocut`; or by name: ``"mean"``, ``"sum"``, ``"std"``, ``"var"``, ``"median"``,
        ``"min"``, ``"max"``, ``"ptp"``, ``"trimmed_mean"`` (10% at each end), and of two samples
        ``"pearson"``, ``"spearman"``, ``"mean_difference"``, ``"mean_ratio"``.
        A function compiled by ``numba.njit`` (of up to three one-dimensional arrays, returning a number)
        runs in parallel. Any other function is called as SciPy calls it.
    n_resamples : int, default 9999
    batch : int, optional
        Resamples that a Python function gets at a time, at most. With two samples or more it also
        alters the order of drawing, as in SciPy; with one it alters nothing.
    vectorized : bool, optional
        Whether `statistic` takes an `axis`; None: if it has a parameter of that name.
    paired : bool, default False
        Whether the observations of the samples belong together, and are drawn together.
    axis : int, default 0
    confidence_level : float, default 0.95
    alternative : {"two-sided", "less", "greater"}, default "two-sided"
        One-sided intervals end at infinity on the other side.
    method : {"percentile", "basic", "BCa", "studentized", "cheap"}, default "BCa"
        The last two are not SciPy's. ``"studentized"`` (bootstrap-t; Efron 1981) takes the quantiles of
        (θ* - θ̂) / s*, where s* is the resample's own standard error: second-order accurate, for location
        parameters above all. ``"cheap"`` (Lam 2022) is θ̂ ± t·S, with Student's t of n_resamples degrees
        of freedom and S² the mean of (θ* - θ̂)²: valid for smooth statistics from very few resamples.
    bootstrap_result : BootstrapResult, optional
        An earlier result, whose distribution is extended; with ``n_resamples=0`` only the interval is
        computed again.
    rng : None, int, numpy.random.Generator, …
        Anything that ``numpy.random.default_rng`` takes. A Generator is left in the state in which SciPy
        would leave it.
    random_state : None, int, numpy.random.RandomState or Generator
        SciPy's older name, with NumPy's older generator.
    scheme : Scheme, optional
        Another way to draw than row by row with replacement: see :mod:`fastkb.schemes` for strata,
        clusters, blocks of a series, m out of n, subsampling, Bayesian weights, and residuals of a
        regression. One sample, or several that are paired
        (Bayesian weights: or not).
        Resamples are then drawn from this package's own streams; a Generator is advanced by four draws.
    standard_error : callable or str, optional
        For ``method="studentized"``: the standard error of `statistic`, as a function of the same samples
        (up to a constant factor: for a mean ``"std"`` will do). None: by a nested bootstrap of 50
        resamples for each resample (not with a scheme).
    executor : concurrent.futures.Executor, dask.distributed.Client or the like, optional
        Anything with a method ``submit``: resamples are evaluated there in 64 parts, and leaving out
        observations for a function of yours, too. The data are brought to every worker once, and the
        result is that of one process to the last bit. `statistic` is pickled with cloudpickle. For
        processes on this machine, compiled statistics gain nothing: they run on all cores anyway.
    device : {None, "cpu", "cuda"}, optional
        ``"cuda"`` draws and evaluates the resamples on the current GPU; None: where the data are. They
        are the same resamples; order statistics of them are the same to the last bit, sums to rounding.
        One sample, the statistics ``np.mean``, ``np.sum``, ``np.std``, ``np.var``, ``np.median``,
        ``np.min``, ``np.max``, ``np.ptp``, quantiles, percentiles and trimmed means; every `method` but
        ``"studentized"``; without a scheme, or with ``MOutOfN``, ``MovingBlocks`` or ``CircularBlocks``.
        Everything else is an error that says so. Arrays on a GPU must be float32 or float64. Results are
        NumPy arrays.
    progress : bool or callable, default False
        True shows a bar on standard error. A function is called with what is counted, how many are
        done, and how many there will be.

    Returns
    -------
    BootstrapResult
        With ``confidence_interval`` (low, high), ``bootstrap_distribution`` (resamples along the last
        axis) and ``standard_error``.

    Raises
    ------
    ValueError, TypeError
        Before any work, with the argument and what was expected.
    CudaUnavailableError
        With ``device="cuda"``, if there is no device that could be used.
    fastkb.ExecutorError
        If the executor breaks, for instance because a process of it was killed. What is finished is
        kept: ``error.go_on(executor)`` computes the rest.

    Warns
    -----
    scipy.stats.DegenerateDataWarning
        If no BCa interval exists: its ends are NaN.

    References
    ----------
    Efron, Tibshirani (1993), An Introduction to the Bootstrap. Efron (1981), Canadian Journal of
    Statistics 9. Lam (2022), A cheap bootstrap method for fast inference, arXiv 2202.00090.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap
    >>> x = np.random.default_rng(0).exponential(size=200)
    >>> result = bootstrap((x,), np.median, confidence_level=0.9, rng=0)
    >>> low, high = result.confidence_interval
    >>> bool(low < np.median(x) < high)
    True
    """
    check_progress(progress)
    check_executor(executor)
    known = recognise(statistic)
    check_statistic(statistic, NAMED)
    asked = Request(
        vectorized,
        paired,
        confidence_level,
        alternative,
        n_resamples,
        batch,
        method,
        bootstrap_result,
    )
    request = check_request(asked, statistic)
    data, on_device = on_host(data, device)
    samples = check_samples(data, axis, request.paired)
    check_memory(request, samples.arrays[0].shape[:-1], samples.arrays)
    check_combination(request, samples, scheme, standard_error, random_state is not _NOT_GIVEN)
    if scheme is None:
        prepared = None
        generator = check_rng_of_numpy(rng, random_state, _NOT_GIVEN)
    else:
        prepared = scheme.prepare(samples.arrays, request.paired, axis)
        generator = check_rng(None if rng is _NOT_GIVEN else rng)
    if on_device:
        check_served(statistic, known, samples, request, scheme, executor)
    estimate = Estimate(statistic, known, standard_error, request)
    count = partial(counted, progress, "resamples", request.n_resamples)
    if executor is not None:
        return resampled_on(executor, estimate, samples, prepared, generator, count)
    draw = resampled_on_device if on_device else resampled
    result = draw(estimate, samples, prepared, generator, count())
    warn_of_no_interval(result.confidence_interval)
    return result
