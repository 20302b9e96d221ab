"""A compiled statistic whose resamples are drawn and evaluated on a device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.cuda.order import extreme_kernel, rank_kernel
from fastkb.bootstrap.evaluate.cuda.plan import Shape, Sizes, rows_of, sizes_for, window_of
from fastkb.bootstrap.evaluate.cuda.resamples import (
    Resamples,
    drawn_by_key,
    drawn_by_numpy,
    every_observation,
)
from fastkb.bootstrap.evaluate.cuda.sums import moment_kernel
from fastkb.bootstrap.evaluate.cuda.trimmed import trimmed_kernel
from fastkb.bootstrap.evaluate.jackknife import combine, trimmed, virtual_index
from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.resample.scheme import Scheme
from fastkb.runtime import cuda as runtime

# Observations that one launch draws, for all series: some milliseconds, so that Ctrl-C answers, and long
# against a launch. Memory grows with the rows of a launch, and not with what they draw.
_AT_A_TIME = 2**30
_MOST_ROWS = 2**22  # of a launch: 100 MB on the device, with what comes back of them


class OnDevice:
    """What the bootstrap asks of a statistic, and its distribution.

    Parameters
    ----------
    compiled : Compiled
        Of one sample. What is computed once, such as the jackknife, it computes.
    prepared : Scheme or None
        One of :data:`fastkb.bootstrap.evaluate.cuda.plan.SCHEMES`.
    sizes : Sizes, optional
        Instead of the table's.

    Attributes
    ----------
    observed : ndarray
        Of sums computed by the kernel of the resamples: one that holds every observation once must be
        equal to it, since the bias correction counts how many are below.

    Raises
    ------
    CudaUnavailableError
        If there is no device.
    MemoryError
        If the data cannot fit into the device's memory.
    """

    def __init__(
        self, compiled: Compiled, prepared: Scheme | None, sizes: Sizes | None = None
    ) -> None:
        device = runtime.load()
        self._compiled, self._prepared = compiled, prepared
        self._values, ranks = compiled.arrays
        self._rows = rows_of(prepared, self._values.shape[1])
        self._sizes = sizes_for(self._rows.draws) if sizes is None else sizes
        self.largest_block = compiled.largest_block
        orders, ranked = compiled.statistic.orders, compiled.statistic.ranked
        read = ranks if ranked else self._values
        order = np.zeros(1, np.uint32) if self._rows.order is None else self._rows.order
        size = read.nbytes + order.nbytes + (self._values.nbytes if ranked and not orders else 0)
        runtime.check_memory(size, "the data for device='cuda'")
        self._read, self._order = device.to_device(read), device.to_device(order)
        self._ordered = device.to_device(self._values) if ranked and not orders else None
        if orders:
            self.observed = compiled.observed
        else:
            self.observed = self._evaluate(every_observation(self._values.shape[1]))[..., 0]

    def replicates(self, rows: Any, /) -> np.ndarray:
        """Of rows of indices, by the CPU: those without a group of a scheme, for BCa."""
        return self._compiled.replicates(rows)

    def jackknife(self) -> list[np.ndarray]:
        """By the CPU, from sums over all observations or from the sorted ones."""
        return self._compiled.jackknife()

    def distribution(self, source: Any, count: int, advance: Callable[[int], Any]) -> np.ndarray:
        """Of `count` resamples.  # shape: (…, count)

        Parameters
        ----------
        source
            Without a scheme one of NumPy's generators, which is left where NumPy would leave it; else
            what :func:`fastkb.random.streams.key_from_rng` takes.
        count : int
        advance : callable
            Told how many more resamples are done.
        """
        out = np.empty((*self.observed.shape, count), self.observed.dtype)
        series = len(self._values)
        together = _AT_A_TIME // (self._rows.size * series)
        together = max(1, min(together, _MOST_ROWS // series))
        draw = drawn_by_numpy if self._prepared is None else drawn_by_key
        for some in draw(source, self._rows, count, together):
            last = some.first + len(some.begins)
            out[..., some.first : last] = self._evaluate(some)
            advance(last - some.first)
        return out

    def _evaluate(self, some: Resamples) -> np.ndarray:
        """The statistic of some rows.  # shape: (…, rows)"""
        compute = self._moments
        if self._compiled.statistic.ranked:
            compute = self._trimmed if self._ordered is not None else self._order_statistics
        return self._compiled.finish(compute(some), some.rows.size)

    def _shape(self, some: Resamples, window: tuple[int, int, int] = (0, 0, 0)) -> Shape:
        rows, code = some.rows, int(self._compiled.statistic.code)
        width, target, low = window
        series = len(self._values)
        of_row = rows.draws, rows.length, rows.last, rows.size
        return Shape(code, series, *of_row, some.first, width, target, low)

    def _launch(self, kernel: Any, some: Resamples, shape: Shape, *rest: Any) -> None:
        blocks = len(some.begins) * shape.series
        begins = runtime.load().to_device(some.begins)
        task = some.table, some.numbers, shape, begins, self._read
        runtime.launch(kernel, blocks, self._sizes.threads, 0, *task, *rest)

    def _moments(self, some: Resamples) -> np.ndarray:
        """# shape: (series, rows)"""
        statistic = self._compiled.statistic
        kind: Any = self._values.dtype.type
        out = runtime.load().device_array((len(self._values), len(some.begins)), kind)
        divisor = max(some.rows.size - statistic.parameter, 0.0)
        kernel = moment_kernel(some.stream.source, kind, self._sizes, some.rows.runs)
        divisors = kind(some.rows.size), kind(divisor or 1.0)
        self._launch(kernel, some, self._shape(some), self._order, divisors, out)
        found = out.copy_to_host()
        if divisor == 0 and statistic.code in (Code.VARIANCE, Code.DEVIATION):
            with np.errstate(divide="ignore", invalid="ignore"):
                found = found / kind(0)
        return found

    def _trimmed(self, some: Resamples) -> np.ndarray:
        """# shape: (series, rows)"""
        kind: Any = self._values.dtype.type
        series, ranks = self._values.shape
        size = some.rows.size
        out = runtime.load().device_array((series, len(some.begins)), kind)
        cut = trimmed(self._compiled.statistic, size)
        targets = cut, size - 1 - cut
        (low, width), (far_low, far_width) = (
            window_of(target, size, ranks, self._sizes) for target in targets
        )
        width = max(width, far_width)
        far_low = min(far_low, ranks - width)
        shape = self._shape(some, (width, cut, min(low, ranks - width)))
        shape = shape._replace(far_target=targets[1], far_low=far_low)
        kernel = trimmed_kernel(some.stream.source, kind, self._sizes, some.rows.runs)
        self._launch(kernel, some, shape, self._ordered, self._order, out)
        return out.copy_to_host()

    def _order_statistics(self, some: Resamples) -> np.ndarray:
        """# shape: (series, rows)"""
        statistic, size = self._compiled.statistic, some.rows.size
        out = runtime.load().device_array((2, len(self._values), len(some.begins)), np.uint32)
        place = 0.0
        if statistic.code <= Code.RANGE:
            kernel = extreme_kernel(some.stream.source, self._sizes, some.rows.runs)
            shape = self._shape(some)
        else:
            place = virtual_index(statistic, size)
            target = min(math.floor(place), size - 1)
            low, width = window_of(target, size, self._values.shape[1], self._sizes)
            kernel = rank_kernel(some.stream.source, self._sizes, some.rows.runs)
            shape = self._shape(some, (width, target, low))
        self._launch(kernel, some, shape, self._order, out)
        low_ranks, high_ranks = out.copy_to_host()
        lower, upper = (
            np.take_along_axis(self._values, each.astype(np.intp), axis=1)
            for each in (low_ranks, high_ranks)
        )
        return combine(statistic, [lower, upper], size, place)
