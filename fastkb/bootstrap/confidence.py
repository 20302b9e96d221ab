"""Bootstrap confidence intervals of a statistic: SciPy's function, its numbers, and less time."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult, one_sided
from fastkb.bootstrap.checks import (
    Request,
    Samples,
    check_combination,
    check_memory,
    check_previous,
    check_request,
    check_rng_of_numpy,
    check_samples,
    check_statistic,
    takes_axis,
)
from fastkb.bootstrap.evaluate.evaluators import Evaluator, make_evaluator
from fastkb.bootstrap.evaluate.python_function import PythonFunction
from fastkb.bootstrap.evaluate.response_statistic import OfResponses
from fastkb.bootstrap.evaluate.run_sums import OverRuns
from fastkb.bootstrap.evaluate.statistics import NAMED, recognise
from fastkb.bootstrap.intervals import Ends, acceleration_of, standard_deviation
from fastkb.bootstrap.nested import Nested, nested_key
from fastkb.checks.requests import check_rng
from fastkb.checks.scalars import check_progress
from fastkb.random.streams import key_from_rng
from fastkb.resample.index_blocks import index_blocks, row_blocks
from fastkb.resample.row_schemes import RunScheme
from fastkb.resample.scheme import Scheme
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import ProgressLike, counted
from fastkb.runtime.threads import limit_blas


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
    progress: ProgressLike = False,
) -> BootstrapResult:
    r"""Confidence interval of a statistic, from resamples of the data.

    A drop-in for :func:`scipy.stats.bootstrap`: the same resamples for the same seed, and so the same
    distribution (sums are formed in another order: to about 1e-15 of their size), with indices drawn and
    statistics computed on all cores, in blocks: memory is O(n_resamples + threads·n).

    Parameters
    ----------
    data : sequence of array_like
        One sample or more, observations along `axis`; for a single sample x write ``(x,)``.
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
    samples = check_samples(data, axis, request.paired)
    check_memory(request, samples.arrays[0].shape[:-1], samples.arrays)
    check_combination(request, samples, scheme, standard_error, random_state is not _NOT_GIVEN)
    if scheme is None:
        prepared = None
        generator = check_rng_of_numpy(rng, random_state, _NOT_GIVEN)
    else:
        prepared = scheme.prepare(samples.arrays, request.paired, axis)
        generator = check_rng(None if rng is _NOT_GIVEN else rng)
    # Sums of numbers near the largest one overflow, and the result says so. NumPy's warnings in
    # a user's function are left to the user.
    ours = known is not None and (standard_error is None or recognise(standard_error) is not None)
    with contextlib.ExitStack() as context:
        if ours:
            context.enter_context(np.errstate(all="ignore"))
        evaluator = make_evaluator(statistic, known, samples, request, prepared)
        check_previous(request.previous, evaluator.observed.shape)
        check_memory(request, evaluator.observed.shape, [evaluator.observed])
        spread = _spread(standard_error, samples, request, prepared, evaluator, generator)
        # Idle threads of BLAS would disturb the compiled loops; a Python function may want them.
        python = any(isinstance(one, PythonFunction | OfResponses) for one in (evaluator, spread))
        if not python:
            context.enter_context(limit_blas(1))
        with counted(progress, "resamples", request.n_resamples) as bar:
            draws = _distribution(
                evaluator, spread, prepared, samples, request, generator, python, bar.update
            )
        return _result(evaluator, spread, draws, prepared, request)


class _Draws(NamedTuple):
    """What the resamples gave."""

    values: np.ndarray  # of the statistic.             # shape: (…, B)
    errors: np.ndarray | None  # its standard errors.   # shape: (…, B)


def _spread(
    standard_error: Any,
    samples: Samples,
    request: Request,
    prepared: Scheme | None,
    evaluator: Evaluator,
    generator: Any,
) -> Evaluator | None:
    """What evaluates a resample's own standard error, if the method needs it."""
    if request.method != "studentized":
        return None
    if standard_error is None:
        lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
        return Nested(evaluator, lengths, nested_key(generator))
    check_statistic(standard_error, NAMED)
    options = request._replace(vectorized=takes_axis(standard_error))
    return make_evaluator(standard_error, recognise(standard_error), samples, options, prepared)


def _distribution(
    evaluator: Evaluator,
    spread: Evaluator | None,
    prepared: Scheme | None,
    samples: Samples,
    request: Request,
    generator: Any,
    ahead: bool,
    advance: Callable[[int], Any],
) -> _Draws:
    shape = (*evaluator.observed.shape, request.n_resamples)
    values: np.ndarray | None = None
    errors = None if spread is None else np.empty(shape)
    size = evaluator.largest_block
    if prepared is None:
        lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
        blocks = index_blocks(generator, lengths, request.n_resamples, request.batch, size, ahead)
    else:
        draw = prepared.run_blocks if _takes_runs(prepared, evaluator, spread) else prepared.blocks
        blocks = draw(key_from_rng(generator), request.n_resamples, size)
    with contextlib.closing(blocks):  # the generator's lock is given back after errors, too
        for block in blocks:
            expected = (*evaluator.observed.shape, block.n_replicates)
            part = evaluator.replicates(block.rows)
            if part.shape != expected:
                raise ValueError(
                    f"statistic returned shape {part.shape} for {expected[-1]} resamples, expected "
                    f"{expected}: it must reduce `axis` and no other"
                )
            if values is None:
                values = np.empty(shape, part.dtype)
            elif not np.can_cast(part.dtype, values.dtype):
                # A function that returned whole numbers before.
                values = values.astype(np.result_type(part, values))
            values[..., block.places] = part
            if spread is not None and errors is not None:
                errors[..., block.places] = spread.replicates(block.rows)
            advance(part.shape[-1])
    if values is None:
        values = np.empty(shape, evaluator.observed.dtype)
    if request.previous is not None:
        values = np.concatenate([request.previous, values], axis=-1)
    return _Draws(values, errors)


def _takes_runs(prepared: Scheme, *evaluators: Evaluator | None) -> TypeGuard[RunScheme]:
    """Whether a scheme's runs are evaluated as they are, not as rows of indices."""
    return isinstance(prepared, RunScheme) and all(
        one is None or isinstance(one, OverRuns) for one in evaluators
    )


def _jackknife(evaluator: Evaluator, prepared: Scheme | None) -> list[np.ndarray]:
    """The statistic without each observation, or without each of a scheme's independent groups."""
    if prepared is None:
        return evaluator.jackknife()
    if _takes_runs(prepared, evaluator):
        return [evaluator.replicates(runs) for runs in prepared.runs_left()]
    out = []
    for rows in prepared.left_out():
        parts = [
            (block.places, evaluator.replicates(block.rows))
            for block in row_blocks(rows, evaluator.largest_block)
        ]
        places = np.concatenate([place for place, _ in parts])
        values = np.concatenate([value for _, value in parts], axis=-1)
        out.append(values[..., np.argsort(places)])
    return out


def _result(
    evaluator: Evaluator,
    spread: Evaluator | None,
    draws: _Draws,
    prepared: Scheme | None,
    request: Request,
) -> BootstrapResult:
    observed, distribution = evaluator.observed, draws.values
    if observed.dtype.kind != "f":  # small whole numbers would wrap around
        observed = observed.astype(np.float64)
    ends = Ends(request.method, observed, 1.0 if prepared is None else prepared.scale())
    error = np.full(observed.shape, np.nan)
    if distribution.shape[-1] > 1:
        error = standard_deviation(ends.scaled(distribution))
    if request.method == "bca":
        ends = ends._replace(acceleration=acceleration_of(_jackknife(evaluator, prepared)))
    elif request.method == "studentized":
        own = error if isinstance(spread, Nested) or spread is None else spread.observed
        ends = ends._replace(errors=draws.errors, own=own)
    low, high = ends.at(distribution, request.level, request.alternative)
    if np.isnan(low).any() or np.isnan(high).any():
        _warn_of_nan()
    return BootstrapResult(
        confidence_interval=one_sided(low, high, request.alternative),
        bootstrap_distribution=distribution,
        standard_error=error[()],
        observed=evaluator.observed[()],
        confidence_level=request.level,
        alternative=request.alternative,
        method=request.method,
        scheme=prepared,
        _ends=ends,
    )


def _warn_of_nan() -> None:
    from scipy.stats import DegenerateDataWarning

    message = (
        "The BCa confidence interval cannot be calculated. This problem is known to occur when the "
        "distribution is degenerate or the statistic is np.min."
    )
    warnings.warn(DegenerateDataWarning(message), stacklevel=stacklevel())
