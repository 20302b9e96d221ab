"""A bootstrap's resamples in parts, on somebody's executor: the same bits as in one process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult
from fastkb.bootstrap.checks import Samples, check_memory, check_previous
from fastkb.bootstrap.distribution import (
    Draws,
    Estimate,
    evaluate_blocks,
    evaluate_rows,
    extended,
    make_spread,
    result_of,
    scheme_blocks,
    warn_of_no_interval,
)
from fastkb.bootstrap.evaluate.evaluators import Evaluator, make_evaluator
from fastkb.bootstrap.evaluate.jitted_function import JittedFunction
from fastkb.bootstrap.evaluate.python_function import PythonFunction
from fastkb.bootstrap.nested import Nested
from fastkb.executors.carriers import Job
from fastkb.executors.parts import PARTS, Parts, in_parts, spans
from fastkb.random.streams import key_from_rng
from fastkb.resample.index_blocks import IndexPart, index_parts
from fastkb.resample.scheme import Block, Scheme
from fastkb.runtime.progress import Count


def resampled_on(
    executor: Any,
    estimate: Estimate,
    samples: Samples,
    prepared: Scheme | None,
    source: Any,
    count: Callable[[], Count],
) -> BootstrapResult:
    """As :func:`fastkb.bootstrap.distribution.resampled`, in parts on an executor.

    Raises
    ------
    ExecutorError
        If the executor broke.
    """
    request = estimate.request
    with np.errstate(all="ignore" if estimate.compiled else None):
        evaluator = make_evaluator(estimate.statistic, estimate.known, samples, request, prepared)
        check_previous(request.previous, evaluator.observed.shape)
        check_memory(request, evaluator.observed.shape, [evaluator.observed])
        spread = make_spread(estimate.standard_error, samples, request, prepared, evaluator, source)
    nested = spread.key if isinstance(spread, Nested) else None
    draws = list(_draws(samples, prepared, source, estimate))
    left_out = list(_left_out(evaluator, samples, prepared, estimate))
    job = Job(_Resampler, (estimate, samples, prepared, nested))

    def finish(results: list) -> BootstrapResult:
        drawn, without = results[: len(draws)], results[len(draws) :]
        values, errors = _joined(drawn, evaluator)
        jackknife = None
        if left_out:
            parts: dict[int, list[np.ndarray]] = {}
            for (_, j, _, _), result in zip(left_out, without, strict=True):
                parts.setdefault(j, []).append(result)
            jackknife = [np.concatenate(parts[j], axis=-1) for j in sorted(parts)]
        with np.errstate(all="ignore" if estimate.compiled else None):
            found = extended(Draws(values, errors), request)
            result = result_of(evaluator, spread, found, prepared, request, jackknife)
        warn_of_no_interval(result.confidence_interval)
        return result

    def call(parts: Parts) -> BootstrapResult:
        results = []
        with count() as bar:
            for result in parts.results(job, [*draws, *left_out]):
                results.append(result)
                if isinstance(result, Draws):
                    bar.update(result.values.shape[-1])
        return finish(results)

    return in_parts(executor, call)


def _joined(drawn: list[Draws], evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray | None]:
    """All replicates, in their order."""
    if not drawn:
        return np.empty((*evaluator.observed.shape, 0), evaluator.observed.dtype), None
    values = np.concatenate([part.values for part in drawn], axis=-1)
    errors = [part.errors for part in drawn if part.errors is not None]
    return values, np.concatenate(errors, axis=-1) if errors else None


def _draws(
    samples: Samples, prepared: Scheme | None, source: Any, estimate: Estimate
) -> Iterator[tuple]:
    """The arguments of :meth:`_Resampler.__call__` for all replicates."""
    request = estimate.request
    n_resamples = request.n_resamples
    if prepared is None:
        size = max(1, math.ceil(n_resamples / PARTS))
        lengths = [array.shape[-1] for array in samples.arrays][: 1 if request.paired else None]
        for part in index_parts(source, lengths, n_resamples, request.batch, size):
            yield "indices", part
        return
    key = key_from_rng(source)
    for first, some in spans(n_resamples):
        yield "scheme", key, first, first + some


def _left_out(
    evaluator: Evaluator, samples: Samples, prepared: Scheme | None, estimate: Estimate
) -> Iterator[tuple]:
    """The same for the jackknife, where it calls a function of the user's."""
    functions = isinstance(evaluator, PythonFunction | JittedFunction)
    if estimate.request.method != "bca" or not functions:
        return
    if prepared is None:
        several = 1 if estimate.request.paired else None
        counts = [array.shape[-1] for array in samples.arrays][:several]
    else:
        counts = [sum(1 for _ in rows) for rows in prepared.left_out()]
    for j, rows in enumerate(counts):
        for first, some in spans(rows):
            yield "without", j, first, first + some


class _Resampler:
    """What computes a part, in a worker."""

    def __init__(
        self,
        estimate: Estimate,
        samples: Samples,
        prepared: Scheme | None,
        nested: np.ndarray | None,
    ) -> None:
        self._estimate, self._prepared = estimate, prepared
        request = estimate.request
        with self._quiet():
            self._evaluator = make_evaluator(
                estimate.statistic, estimate.known, samples, request, prepared
            )
            self._spread = make_spread(
                estimate.standard_error, samples, request, prepared, self._evaluator, nested
            )
        if isinstance(self._spread, Nested) and nested is not None:
            self._spread.key = nested

    def _quiet(self) -> np.errstate:
        return np.errstate(all="ignore" if self._estimate.compiled else None)

    def __call__(self, kind: str, *arguments: Any) -> Any:
        with self._quiet():
            if kind == "indices":
                return self._of_indices(*arguments)
            return self._of_scheme(*arguments) if kind == "scheme" else self._without(*arguments)

    def _of_indices(self, parts: list[IndexPart]) -> Draws:
        first = parts[0].start
        last = parts[-1].start + parts[-1].n_replicates
        return self._evaluate(self._blocks_of(parts), first, last)

    def _blocks_of(self, parts: list[IndexPart]) -> Iterator[Block]:
        for part in parts:
            yield from part.blocks(self._evaluator.largest_block)

    def _of_scheme(self, key: np.ndarray, first: int, last: int) -> Draws:
        assert self._prepared is not None
        return self._evaluate(
            scheme_blocks(self._evaluator, self._spread, self._prepared, key, first, last),
            first,
            last,
        )

    def _evaluate(self, blocks: Any, first: int, last: int) -> Draws:
        if isinstance(self._spread, Nested):
            self._spread.begin_at(first)
        return evaluate_blocks(
            self._evaluator, self._spread, blocks, first, last - first, lambda _: None
        )

    def _without(self, j: int, first: int, last: int) -> np.ndarray:
        if self._prepared is None:
            assert isinstance(self._evaluator, PythonFunction | JittedFunction)
            return self._evaluator.leave_out(j, slice(first, last))
        return evaluate_rows(self._evaluator, islice(self._prepared.left_out()[j], first, last))
