"""Bootstrap confidence intervals of a statistic: SciPy's function, its numbers, and less time."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult, ConfidenceInterval
from fastkb.bootstrap.evaluators import Compiled, Evaluator, JittedFunction, PythonFunction
from fastkb.bootstrap.index_blocks import index_blocks
from fastkb.bootstrap.intervals import bca_levels, quantiles
from fastkb.bootstrap.statistics import NAMED, Code, Statistic, plain_function, recognise
from fastkb.runtime.threads import limit_blas
from fastkb.validation.resampling import (
    Request,
    Samples,
    check_request,
    check_rng_of_numpy,
    check_samples,
    check_statistic,
    takes_axis,
)


class _NotGiven:
    """The default of arguments whose None means something."""

    def __repr__(self) -> str:
        return "<not given>"


_NOT_GIVEN: Any = _NotGiven()

# Indices at a time for a Python function, which takes a copy of the data for each.
_PYTHON_BLOCK = 2**18


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
        ``np.quantile`` or ``np.percentile`` with `q`; or by name: ``"mean"``, ``"sum"``, ``"std"``,
        ``"var"``, ``"median"``, ``"min"``, ``"max"``, ``"ptp"``, and of two samples ``"pearson"``,
        ``"spearman"``, ``"mean_difference"``, ``"mean_ratio"``.
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
    method : {"percentile", "basic", "BCa"}, default "BCa"
    bootstrap_result : BootstrapResult, optional
        An earlier result, whose distribution is gone on from; with ``n_resamples=0`` only the interval is
        computed again.
    rng : None, int, numpy.random.Generator, …
        Anything that ``numpy.random.default_rng`` takes. A Generator is left in the state in which SciPy
        would leave it.
    random_state : None, int, numpy.random.RandomState or Generator
        SciPy's older name, with NumPy's older generator.

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
    Efron, Tibshirani (1993), An Introduction to the Bootstrap.

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
    known = recognise(statistic)
    check_statistic(statistic, NAMED)
    if isinstance(statistic, str) and known is not None:
        statistic = plain_function(known)
    request = check_request(
        statistic=statistic,
        vectorized=vectorized,
        paired=paired,
        confidence_level=confidence_level,
        alternative=alternative,
        n_resamples=n_resamples,
        batch=batch,
        method=method,
        bootstrap_result=bootstrap_result,
    )
    samples = check_samples(data, axis, request.paired)
    generator = check_rng_of_numpy(rng, random_state, _NOT_GIVEN)
    with limit_blas(1):
        evaluator = _evaluator(statistic, known, samples, request)
        distribution = _distribution(evaluator, samples, request, generator)
        return _result(evaluator, distribution, request)


def _evaluator(
    statistic: Any, known: Statistic | None, samples: Samples, request: Request
) -> Evaluator:
    if known is not None and _compiled_serves(known, samples, request):
        observed = PythonFunction(
            statistic, samples.arrays, request.paired, _on_arrays(known), None
        ).observed
        return Compiled(known, samples.arrays, request.paired, observed)
    if _is_jitted(statistic) and not request.vectorized and len(samples.arrays) <= 3:
        return JittedFunction(statistic, samples.arrays, request.paired)
    return PythonFunction(
        statistic, samples.arrays, request.paired, request.vectorized, request.batch
    )


def _on_arrays(known: Statistic) -> bool:
    """scipy.stats.spearmanr takes the columns of a matrix for variables: series are passed one by one."""
    return known.code != Code.SPEARMAN


def _compiled_serves(known: Statistic, samples: Samples, request: Request) -> bool:
    arrays = samples.arrays
    if len(arrays) != known.n_samples:
        raise ValueError(
            f"statistic {known.name} takes {known.n_samples} sample{'s' * (known.n_samples > 1)}, and "
            f"`data` has {len(arrays)}"
        )
    lengths = {array.shape[-1] for array in arrays}
    if known.pair and len(lengths) > 1:
        raise ValueError(
            f"statistic {known.name} takes two samples of the same length, and those of `data` have "
            f"{arrays[0].shape[-1]} and {arrays[1].shape[-1]}"
        )
    for j, array in enumerate(arrays):
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(
                f"data[{j}] contains {int(np.isnan(array).sum())} NaN, and so {known.name} would be NaN: "
                "drop them, or pass a function that leaves them out, such as numpy.nanmean"
            )
    # Infinity makes no order and no correlation, and whole numbers beyond 2**53 are no float64: Python's
    # function says what then is.
    exact = all(a.dtype.kind == "f" or a.itemsize < 8 or _small(a) for a in arrays)
    return samples.finite and exact and not (known.pair and not request.paired and len(lengths) > 1)


def _small(array: np.ndarray) -> bool:
    return bool(np.abs(array.astype(np.float64)).max(initial=0.0) < 2.0**52 / array.shape[-1])


def _is_jitted(statistic: Any) -> bool:
    from numba.core.registry import CPUDispatcher

    return isinstance(statistic, CPUDispatcher) and not takes_axis(statistic)


def _distribution(
    evaluator: Evaluator, samples: Samples, request: Request, generator: Any
) -> np.ndarray:
    lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
    shape = (*evaluator.observed.shape, request.n_resamples)
    out = np.empty(shape, evaluator.observed.dtype)
    options = {} if not isinstance(evaluator, PythonFunction) else {"largest": _PYTHON_BLOCK}
    for block in index_blocks(generator, lengths, request.n_resamples, request.batch, **options):
        values = evaluator.replicates(block.indices)
        rows = len(block.indices[0])
        if values.shape != (*evaluator.observed.shape, rows):
            raise ValueError(
                f"statistic returned shape {values.shape} for {rows} resamples, expected "
                f"{(*evaluator.observed.shape, rows)}: it must reduce `axis` and no other"
            )
        out[..., block.first : block.first + rows] = values
    if request.previous is None:
        return out
    if request.previous.shape[:-1] != out.shape[:-1]:
        raise ValueError(
            f"`bootstrap_result` has a distribution of shape {request.previous.shape}, and this data "
            f"and statistic give {out.shape[:-1]} before the last axis"
        )
    return np.concatenate([request.previous, out], axis=-1)


class _Ends(NamedTuple):
    low: Any
    high: Any


def _result(evaluator: Evaluator, distribution: np.ndarray, request: Request) -> BootstrapResult:
    alpha = 1 - request.level
    alpha = alpha / 2 if request.alternative == "two-sided" else alpha
    observed = evaluator.observed
    if request.method == "bca":
        levels = bca_levels(distribution, observed, evaluator.jackknife(), alpha)
    else:
        levels = np.array([alpha, 1 - alpha])
    ends = quantiles(distribution, levels)
    if np.isnan(ends).any():
        _warn_of_nan()
    low, high = ends[..., 0], ends[..., 1]
    if request.method == "basic":
        low, high = 2 * observed - high, 2 * observed - low
    if request.alternative == "less":
        low = np.full_like(low, -np.inf)
    elif request.alternative == "greater":
        high = np.full_like(high, np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = distribution.std(axis=-1, ddof=1) if distribution.shape[-1] > 1 else _nan(low)
    return BootstrapResult(
        confidence_interval=ConfidenceInterval(low[()], high[()]),
        bootstrap_distribution=distribution,
        standard_error=error[()],
        observed=observed[()],
        confidence_level=request.level,
        alternative=request.alternative,
        method=request.method,
    )


def _nan(like: np.ndarray) -> np.ndarray:
    return np.full_like(like, np.nan)


def _warn_of_nan() -> None:
    from scipy.stats import DegenerateDataWarning

    message = (
        "The BCa confidence interval cannot be calculated. This problem is known to occur when the "
        "distribution is degenerate or the statistic is np.min."
    )
    warnings.warn(DegenerateDataWarning(message), stacklevel=4)
