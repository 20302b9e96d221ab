"""From a statistic that is evaluated and resamples that are drawn to a distribution and its interval."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult, ConfidenceInterval, one_sided
from fastkb.bootstrap.checks import (
    Request,
    Samples,
    check_memory,
    check_previous,
    check_statistic,
    takes_axis,
)
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.evaluators import Evaluator, make_evaluator
from fastkb.bootstrap.evaluate.jitted_function import JittedFunction
from fastkb.bootstrap.evaluate.python_function import PythonFunction
from fastkb.bootstrap.evaluate.response_statistic import OfResponses
from fastkb.bootstrap.evaluate.run_sums import OverRuns
from fastkb.bootstrap.evaluate.statistics import NAMED, Statistic, recognise
from fastkb.bootstrap.intervals import Ends, acceleration_of, standard_deviation
from fastkb.bootstrap.nested import Nested, nested_key
from fastkb.random.streams import key_from_rng
from fastkb.resample.index_blocks import INDICES, index_blocks, row_blocks
from fastkb.resample.members import member_blocks
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.resample.row_schemes import RunScheme
from fastkb.resample.scheme import Block, Scheme
from fastkb.resample.weight_schemes import WeightScheme
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import Count, part_of
from fastkb.runtime.threads import limit_blas


class Estimate(NamedTuple):
    """What is estimated, and how its interval is to be made."""

    statistic: Any  # as the user passed it
    known: Statistic | None  # the same, if it is compiled
    standard_error: Any
    request: Request

    @property
    def compiled(self) -> bool:
        """Whether no function of the user's is called."""
        error = self.standard_error
        return self.known is not None and (error is None or recognise(error) is not None)


def resampled(
    estimate: Estimate,
    samples: Samples,
    prepared: Scheme | None,
    source: Any,
    count: Count,
    alone: bool = False,
) -> BootstrapResult:
    """Draw all resamples of some samples, and read the interval off them.

    Parameters
    ----------
    estimate : Estimate
    samples : Samples
    prepared : Scheme or None
        None: row by row, with NumPy's own indices.
    source
        What the indices are drawn from: without a scheme one of NumPy's generators; else what
        :func:`key_from_rng` takes, or the key itself.
    count : context manager
        Where resamples are counted.
    alone : bool, default False
        Whether the sums of each series are formed as if there were no other.
    """
    request = estimate.request
    with contextlib.ExitStack() as context:
        # Sums of numbers near the largest one overflow, and the result says so. NumPy's warnings in
        # a user's function are left to the user.
        if estimate.compiled:
            context.enter_context(np.errstate(all="ignore"))
        evaluator = make_evaluator(
            estimate.statistic, estimate.known, samples, request, prepared, alone
        )
        check_previous(request.previous, evaluator.observed.shape)
        check_memory(request, evaluator.observed.shape, [evaluator.observed])
        spread = make_spread(estimate.standard_error, samples, request, prepared, evaluator, source)
        # Idle threads of BLAS would disturb the compiled loops; a Python function may want them.
        python = any(isinstance(one, PythonFunction | OfResponses) for one in (evaluator, spread))
        if not python:
            context.enter_context(limit_blas(1))
        blocks = _blocks(evaluator, spread, prepared, samples, request, source, python)
        bar = context.enter_context(count)
        draws = _distribution(evaluator, spread, blocks, request, bar.update)
        return result_of(evaluator, spread, draws, prepared, request)


def warn_of_no_interval(interval: ConfidenceInterval) -> None:
    """Say so where an end is NaN."""
    from scipy.stats import DegenerateDataWarning

    missing = np.isnan(interval.low) | np.isnan(interval.high)
    if missing.any():
        message = (
            "The BCa confidence interval cannot be calculated. This problem is known to occur when the "
            "distribution is degenerate or the statistic is np.min."
        )
        if missing.ndim:
            message += f" There is none for {missing.sum()} of {missing.size}."
        warnings.warn(DegenerateDataWarning(message), stacklevel=stacklevel())


class Draws(NamedTuple):
    """What the resamples gave."""

    values: np.ndarray  # of the statistic.             # shape: (…, B)
    errors: np.ndarray | None  # its standard errors.   # shape: (…, B)


def make_spread(
    standard_error: Any,
    samples: Samples,
    request: Request,
    prepared: Scheme | None,
    evaluator: Evaluator,
    source: Any,
) -> Evaluator | None:
    """What evaluates a resample's own standard error, if the method needs it."""
    if request.method != "studentized":
        return None
    if standard_error is None:
        lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
        return Nested(evaluator, lengths, nested_key(source))
    check_statistic(standard_error, NAMED)
    options = request._replace(vectorized=takes_axis(standard_error))
    return make_evaluator(standard_error, recognise(standard_error), samples, options, prepared)


def _blocks(
    evaluator: Evaluator,
    spread: Evaluator | None,
    prepared: Scheme | None,
    samples: Samples,
    request: Request,
    source: Any,
    ahead: bool,
) -> Generator[Block, None, None]:
    """The resamples, as the evaluators take them."""
    size = evaluator.largest_block
    if prepared is None:
        lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
        return index_blocks(source, lengths, request.n_resamples, request.batch, size, ahead)
    return scheme_blocks(evaluator, spread, prepared, key_from_rng(source), 0, request.n_resamples)


def scheme_blocks(
    evaluator: Evaluator,
    spread: Evaluator | None,
    prepared: Scheme,
    key: np.ndarray,
    first: int,
    last: int,
) -> Generator[Block, None, None]:
    """A scheme's resamples from `first` to `last` - 1, as the evaluators take them."""
    draw = prepared.run_blocks if takes_runs(prepared, evaluator, spread) else prepared.blocks
    return draw(key, last, evaluator.largest_block, first)


def _distribution(
    evaluator: Evaluator,
    spread: Evaluator | None,
    blocks: Generator[Block, None, None],
    request: Request,
    advance: Callable[[int], Any],
) -> Draws:
    draws = evaluate_blocks(evaluator, spread, blocks, 0, request.n_resamples, advance)
    return extended(draws, request)


def extended(draws: Draws, request: Request) -> Draws:
    """An earlier result's distribution, and what was drawn now."""
    if request.previous is None:
        return draws
    return draws._replace(values=np.concatenate([request.previous, draws.values], axis=-1))


def evaluate_blocks(
    evaluator: Evaluator,
    spread: Evaluator | None,
    blocks: Generator[Block, None, None],
    first: int,
    count: int,
    advance: Callable[[int], Any],
) -> Draws:
    """The statistic, and its standard error if it is asked for, of replicates from `first` on."""
    shape = (*evaluator.observed.shape, count)
    values: np.ndarray | None = None
    errors = None if spread is None else np.empty(shape)
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
            places = _moved(block.places, -first)
            values[..., places] = part
            if spread is not None and errors is not None:
                errors[..., places] = spread.replicates(block.rows)
            advance(part.shape[-1])
    if values is None:
        values = np.empty(shape, evaluator.observed.dtype)
    return Draws(values, errors)


def _moved(places: slice | np.ndarray, by: int) -> slice | np.ndarray:
    """Places as they are counted from elsewhere."""
    if isinstance(places, slice):
        return slice(places.start + by, places.stop + by)
    return places + by


def takes_runs(prepared: Scheme, *evaluators: Evaluator | None) -> TypeGuard[RunScheme]:
    """Whether a scheme's runs are evaluated as they are, not as rows of indices."""
    return isinstance(prepared, RunScheme) and all(
        one is None or isinstance(one, OverRuns) for one in evaluators
    )


def _jackknife(evaluator: Evaluator, prepared: Scheme | None) -> list[np.ndarray]:
    """The statistic without each observation, or without each of a scheme's independent groups."""
    if prepared is None or prepared.row_by_row:
        return evaluator.jackknife()
    if takes_runs(prepared, evaluator):
        return [evaluator.replicates(runs) for runs in prepared.runs_left()]
    return [evaluate_rows(evaluator, rows) for rows in prepared.left_out()]


def evaluate_rows(evaluator: Evaluator, rows: Iterable[np.ndarray]) -> np.ndarray:
    """The statistic of rows of indices, which may differ in length.  # shape: (…, rows)"""
    parts = [
        (block.places, evaluator.replicates(block.rows))
        for block in row_blocks(rows, evaluator.largest_block)
    ]
    places = np.concatenate([place for place, _ in parts])
    values = np.concatenate([value for _, value in parts], axis=-1)
    return values[..., np.argsort(places)]


def result_of(
    evaluator: Evaluator,
    spread: Evaluator | None,
    draws: Draws,
    prepared: Scheme | None,
    request: Request,
    jackknife: list[np.ndarray] | None = None,
) -> BootstrapResult:
    """The interval, the standard error and what else is read off a distribution.

    A `jackknife` that is given is not computed.
    """
    observed, distribution = evaluator.observed, draws.values
    if observed.dtype.kind != "f":  # small whole numbers would wrap around
        observed = observed.astype(np.float64)
    ends = Ends(request.method, observed, 1.0 if prepared is None else prepared.scale())
    error = np.full(observed.shape, np.nan)
    if distribution.shape[-1] > 1:
        error = standard_deviation(ends.scaled(distribution))
    if request.method == "bca":
        left_out = _jackknife(evaluator, prepared) if jackknife is None else jackknife
        ends = ends._replace(acceleration=acceleration_of(left_out))
    elif request.method == "studentized":
        own = error if isinstance(spread, Nested) or spread is None else spread.observed
        ends = ends._replace(errors=draws.errors, own=own)
    low, high = ends.at(distribution, request.level, request.alternative)
    return BootstrapResult(
        confidence_interval=one_sided(low, high, request.alternative),
        bootstrap_distribution=distribution,
        standard_error=error[()],
        observed=evaluator.observed[()],
        confidence_level=request.level,
        alternative=request.alternative,
        method=request.method,
        scheme=None if prepared is None or prepared.row_by_row else prepared,
        _ends=ends,
    )


# What evaluates resamples of several series, each drawn for one of them.
_OfMembers = Compiled | OverRuns | JittedFunction


def resampled_members(
    estimate: Estimate,
    samples: Samples,
    prepared: Scheme,
    keys: np.ndarray,
    advance: Callable[[int], Any],
) -> BootstrapResult:
    """As :func:`resampled`, for several series, each with resamples from a key of its own.

    Parameters
    ----------
    estimate : Estimate
    samples : Samples
        # shapes: (series, n_j)
    prepared : Scheme
        For all series alike.
    keys : ndarray of uint32
        # shape: (series, 4)
    advance : callable
        Told of every resample.
    """
    request, error = estimate.request, estimate.standard_error
    nested = request.method == "studentized" and error is None
    if isinstance(prepared, WeightScheme | ResponseScheme) or nested:
        return resampled_one_by_one(estimate, samples, prepared, keys, advance)
    with contextlib.ExitStack() as context:
        if estimate.compiled:
            context.enter_context(np.errstate(all="ignore"))
        evaluator = make_evaluator(
            estimate.statistic, estimate.known, samples, request, prepared, alone=True
        )
        spread = make_spread(error, samples, request, prepared, evaluator, keys)
        if not isinstance(evaluator, _OfMembers) or not isinstance(spread, _OfMembers | None):
            return resampled_one_by_one(estimate, samples, prepared, keys, advance)
        context.enter_context(limit_blas(1))
        as_runs = takes_runs(prepared, evaluator, spread)
        shape = (*evaluator.observed.shape, request.n_resamples)
        values = np.empty(shape, evaluator.observed.dtype)
        errors = None if spread is None else np.empty(shape)
        for block in member_blocks(prepared, keys, request.n_resamples, INDICES, as_runs):
            of = block.of()
            block.store(evaluator.replicates(block.rows, of), values)
            if spread is not None and errors is not None:
                block.store(spread.replicates(block.rows, of), errors)
            advance(len(of))
        return result_of(evaluator, spread, Draws(values, errors), prepared, request)


def resampled_one_by_one(
    estimate: Estimate,
    samples: Samples,
    prepared: Scheme,
    sources: Iterable[Any],
    advance: Callable[[int], Any],
) -> BootstrapResult:
    """As :func:`resampled_members`, series after series, each from what :func:`resampled` draws from.

    It serves where a function of the user's is called, where weights are drawn, and for responses.
    """
    found = [
        resampled(
            estimate,
            Samples(tuple(one[s] for one in samples.arrays), samples.finite),
            prepared,
            source,
            part_of(advance),
        )
        for s, source in enumerate(sources)
    ]
    low, high = (np.stack([one.confidence_interval[k] for one in found], axis=-1) for k in range(2))
    return replace(
        found[0],
        confidence_interval=ConfidenceInterval(low, high),
        bootstrap_distribution=np.empty(0),
        standard_error=np.stack([one.standard_error for one in found], axis=-1),
        observed=np.stack([one.observed for one in found], axis=-1),
        _ends=None,
    )
