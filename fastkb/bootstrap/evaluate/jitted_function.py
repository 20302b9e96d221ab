"""A statistic that the user compiled with Numba: all resamples in parallel."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba.core.errors import TypingError

from fastkb.bootstrap.evaluate.statistic_kernels import EVERY
from fastkb.bootstrap.statistic_error import statistic_error
from fastkb.resample.index_blocks import EVERY_ROW, INDICES, VALUES, left_out_rows
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads


class NotANumber(TypeError):
    """A compiled function that returns something else than a number."""


class ParallelInside(TypeError):
    """A compiled function that has, or calls what has, parallel regions of its own.

    Where Numba's threads are its work queue, a region inside a region ends the process.
    """


class JittedFunction:
    """A function that the user compiled with :func:`numba.njit`: all replicates in parallel.

    Its code is compiled into a loop over replicates once for each number and type of samples.
    """

    def __init__(self, function: Any, samples: Sequence[np.ndarray], paired: bool) -> None:
        self.largest_block = INDICES
        self._paired = paired
        self._lead = samples[0].shape[:-1]
        kind = np.result_type(*samples)  # one type, as SciPy joins the samples in one array
        kind = np.dtype(np.float64) if kind == np.float16 else kind
        self._series = tuple(
            np.ascontiguousarray(s, kind).reshape(-1, s.shape[-1]) for s in samples
        )
        self._loop, guarded = _loop(function, len(samples))
        self._function = function
        try:
            for s in range(len(self._series[0])):
                self._call(s, None)
        except (NotANumber, TypingError):
            raise
        except Exception as error:
            raise statistic_error(error, "the data") from error
        lengths = [x.shape[1] for x in self._series]
        everything = [np.arange(n, dtype=np.uint32)[None, :] for n in lengths]
        self._run(everything, 0)  # by no worker: this compiles
        if _has_parallel_regions(guarded):
            raise ParallelInside
        # The data themselves: a resample of one observation alone may have no statistic. Observed value
        # and replicates come from the same code.
        self.observed = self.replicates(everything)[..., 0]

    def _call(self, s: int, rows: Sequence[np.ndarray] | None) -> float:
        """The function itself on one series, or on one resample of it."""
        samples = [series[s].copy() for series in self._series]
        if rows is not None:
            samples = [x[row] for x, row in zip(samples, rows, strict=True)]
        value = self._function(*samples)
        if np.ndim(value) != 0 or not np.issubdtype(np.asarray(value).dtype, np.number):
            raise NotANumber
        return float(value)

    def replicates(self, indices: Sequence[np.ndarray], of: np.ndarray = EVERY) -> np.ndarray:
        """As :meth:`Compiled.replicates`."""
        rows, out, failed = self._run(indices, n_threads(), of)
        for place, b in np.argwhere(failed):
            # Threads cannot pass an exception on: the function raises it here, again.
            try:
                out[place, b] = self._call(of[b] if len(of) else place, [r[b] for r in rows])
            except Exception as error:
                raise statistic_error(error, "a resample") from error
        return out.reshape((*(() if len(of) else self._lead), len(rows[0])))

    def _run(
        self, indices: Sequence[np.ndarray], workers: int, of: np.ndarray = EVERY
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
        """Each sample's rows, the results, and which ones failed.  # shapes: (series or 1, rows)"""
        rows = (
            tuple(indices)
            if len(indices) == len(self._series)
            else (indices[0],) * len(self._series)
        )
        total = sum(r.shape[1] for r in rows)
        scratch = np.empty((min(workers, len(rows[0])), total), self._series[0].dtype)
        out = np.empty((1 if len(of) else len(self._series[0]), len(rows[0])))
        failed = np.zeros(out.shape, np.bool_)
        self._loop(self._series, rows, of, scratch, out, failed)
        return rows, out, failed

    def jackknife(self) -> list[np.ndarray]:
        return [self.leave_out(j) for j in range(1 if self._paired else len(self._series))]

    def leave_out(self, j: int, part: slice = EVERY_ROW) -> np.ndarray:
        """As :meth:`PythonFunction.leave_out`."""
        n = self._series[j].shape[1]
        parts = []
        for left in left_out_rows(n, max(n_threads(), VALUES // n), part):
            rows = [
                left
                if self._paired or k == j
                else np.broadcast_to(
                    np.arange(x.shape[1], dtype=np.uint32), (len(left), x.shape[1])
                ).copy()
                for k, x in enumerate(self._series)
            ]
            parts.append(self.replicates(rows))
        return np.concatenate(parts, axis=-1)


@functools.lru_cache(maxsize=32)
def _loop(function: Any, n_samples: int) -> tuple[Any, Any]:
    """The parallel loop around a compiled function, and what it calls for each replicate.

    A closure over the function cannot be cached on disk.
    """
    if n_samples == 1:

        @inline
        def call(values, starts):
            return function(values[starts[0] : starts[1]])

    elif n_samples == 2:

        @inline
        def call(values, starts):
            return function(values[starts[0] : starts[1]], values[starts[1] : starts[2]])

    else:

        @inline
        def call(values, starts):
            return function(
                values[starts[0] : starts[1]],
                values[starts[1] : starts[2]],
                values[starts[2] : starts[3]],
            )

    @jit(cache=False)
    def guarded(values, starts):
        try:
            return float(call(values, starts)), False
        except Exception:
            return 0.0, True

    @jit(parallel=True, cache=False)
    def loop(series, rows, of, scratch, out, failed):
        workers = len(scratch)
        starts = np.zeros(n_samples + 1, np.int64)
        for j in range(n_samples):
            starts[j + 1] = starts[j] + rows[j].shape[1]
        for worker in prange(workers):
            values = scratch[worker]
            for b in range(worker, out.shape[1], workers):
                for place in range(out.shape[0]):
                    s = of[b] if len(of) else place
                    for j in range(n_samples):
                        for k in range(rows[j].shape[1]):
                            values[starts[j] + k] = series[j][s, rows[j][b, k]]
                    out[place, b], failed[place, b] = guarded(values, starts)

    return loop, guarded


def _has_parallel_regions(compiled: Any) -> bool:
    """Whether a compiled function starts threads, itself or in what it calls.

    Its own code says so, into which that of all the functions it calls was linked: they may have come
    from anywhere, and from the disk.
    """
    return any("do_scheduling" in one.library.get_llvm_str() for one in compiled.overloads.values())
