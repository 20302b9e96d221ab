"""A statistic's value on the data, on blocks of resamples, and with single observations left out.

Three kinds: compiled here (:mod:`fastkb.bootstrap.statistics`), compiled by the user with Numba, and any
Python function, which is called as SciPy calls it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from fastkb.bootstrap.jackknife import combine, leave_one_out, leave_one_pair_out
from fastkb.bootstrap.statistic_kernels import resample
from fastkb.bootstrap.statistics import Code, Statistic
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads
from fastkb.scalar.pairwise import summation_tree

# Values that are handed to a Python function at a time.
_VALUES = 2**21


class Evaluator(Protocol):
    """What the bootstrap asks of a statistic. The last axis of the results counts replicates."""

    observed: np.ndarray  # of the data.  # shape: (…)

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        """Of resamples, given by rows of indices for each sample.  # shape: (…, rows)"""

    def jackknife(self) -> list[np.ndarray]:
        """For each sample, without each of its observations.  # shapes: (…, n_j)"""


class Compiled:
    """A statistic of :data:`fastkb.bootstrap.statistics.NAMED`.

    Parameters
    ----------
    statistic : Statistic
    samples : sequence of ndarray
        With the same leading axes.  # shapes: (…, n_j)
    paired : bool
        One row of indices serves both samples.
    observed : ndarray
        What the user's own function says of the data: its type and shape count.
    """

    def __init__(
        self,
        statistic: Statistic,
        samples: Sequence[np.ndarray],
        paired: bool,
        observed: np.ndarray,
    ) -> None:
        self.observed = observed
        self._statistic = statistic
        self._paired = paired
        self._lead = samples[0].shape[:-1]
        single = all(sample.dtype == np.float32 for sample in samples)
        self._series = [_series(sample, np.float32 if single else np.float64) for sample in samples]
        nothing = np.zeros((1, 1), np.uint32)
        nothing = np.broadcast_to(nothing, (len(self._series[0]), 1)).copy()
        values: list[Any] = list(self._series)
        ranks: list[Any] = [nothing, nothing]
        if statistic.code == Code.PEARSON:
            # It does not depend on location and scale, and sums of squares neither cancel nor overflow.
            values = [_centred(x) for x in values]
        elif statistic.code == Code.SPEARMAN:
            ranks = [np.array([np.unique(s, return_inverse=True)[1] for s in x]) for x in values]
        elif statistic.orders:
            order = np.argsort(values[0], axis=1, kind="stable")
            place = np.empty_like(order)
            np.put_along_axis(place, order, np.arange(order.shape[1])[None, :], axis=1)
            values = [np.take_along_axis(values[0], order, axis=1)]
            ranks = [place, nothing]
        self._values = (values[0], values[-1])
        self._ranks = tuple(np.ascontiguousarray(r, np.uint32) for r in ranks)

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        n = indices[0].shape[1]
        if self._statistic.code in (Code.DIFFERENCE, Code.RATIO):
            pairs = zip(self._values, (indices[0], indices[-1]), strict=True)
            parts: Any = [self._run(Code.MEAN, (x, x), (rows, rows))[0] for x, rows in pairs]
        else:
            parts = self._run(self._statistic.code, self._values, (indices[0], indices[-1]))
        return self._finish(combine(self._statistic, parts, n), n)

    def _run(
        self,
        code: Code,
        values: tuple[np.ndarray, np.ndarray],
        rows: tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """The kernel's one or two numbers.  # shape: (1 or 2, series, rows)"""
        count = len(rows[0])
        longest = max(*(x.shape[1] for x in values), *(r.shape[1] for r in rows))
        workers = min(n_threads(), count)
        kind = values[0].dtype
        out = np.empty((2 if self._statistic.orders else 1, len(values[0]), count), kind)
        # NumPy adds up the resamples of several series row by row.
        tree = summation_tree(rows[0].shape[1] if len(values[0]) == 1 else 0)
        resample(
            *values,
            *self._ranks,
            *rows,
            int(code),
            float(self._statistic.probability),
            *tree,
            np.empty((workers, 3 * longest), kind),
            np.empty((workers, longest), np.uint32),
            out,
        )
        return out

    def jackknife(self) -> list[np.ndarray]:
        statistic, series = self._statistic, self._series
        n = series[0].shape[1]
        if statistic.n_samples == 1:
            return [self._finish(leave_one_out(statistic, series[0]), n - 1)]
        if self._paired:
            if statistic.code == Code.SPEARMAN:
                return [self._finish(self._without_each_pair(), n - 1)]
            return [self._finish(leave_one_pair_out(statistic, *series), n - 1)]
        means = [x.mean(axis=1, keepdims=True) for x in series]
        mean = Statistic("mean", Code.MEAN)
        return [
            self._finish(combine(statistic, [leave_one_out(mean, series[0]), means[1]], n), n),
            self._finish(combine(statistic, [means[0], leave_one_out(mean, series[1])], n), n),
        ]

    def _without_each_pair(self) -> np.ndarray:
        """Spearman's correlation, whose ranks all change: by the compiled kernel, on n - 1 rows."""
        n = self._series[0].shape[1]
        out = np.empty((len(self._series[0]), n))
        for start, rows in _left_out(n, max(n_threads(), _VALUES // n)):
            part = self._without_pvalue(rows)
            out[:, start : start + len(rows)] = part
        return out

    def _without_pvalue(self, rows: np.ndarray) -> np.ndarray:
        plain = self._statistic._replace(with_pvalue=False)
        twin = object.__new__(Compiled)
        twin.__dict__.update(self.__dict__, _statistic=plain, observed=np.zeros(self._lead))
        return twin.replicates([rows, rows]).reshape(len(self._series[0]), -1)

    def _finish(self, values: np.ndarray, n: int) -> np.ndarray:
        """From (series, count) to the shape and type of what the user's function returns.

        n is the number of observations that the values come from.
        """
        shaped = values.reshape((*self._lead, values.shape[-1]))
        if self._statistic.with_pvalue:
            shaped = np.stack([shaped, _pvalues(self._statistic, shaped, n)])
        return shaped.astype(self.observed.dtype, copy=False)


def _series(sample: np.ndarray, kind: type) -> np.ndarray:
    """C-ordered floats.  # shape: (series, n)"""
    return np.ascontiguousarray(sample, kind).reshape(-1, sample.shape[-1])


def _centred(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    x = x - x.mean(axis=1, keepdims=True)
    largest = np.abs(x).max(axis=1, keepdims=True)
    return x / np.where(largest > 0, largest, 1.0)


def _pvalues(statistic: Statistic, r: np.ndarray, n: int) -> np.ndarray:
    """Two-sided, as scipy.stats computes them."""
    from scipy import special

    if n == 2:
        return np.where(np.isnan(r), np.nan, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if statistic.code == Code.PEARSON:
            half = n / 2 - 1
            return 2 * special.betainc(half, half, (1 - np.abs(r)) / 2)
        t = r * np.sqrt((n - 2) / ((1 + r) * (1 - r)).clip(0))
        return 2 * special.stdtr(n - 2, -np.abs(t))


def _left_out(n: int, together: int) -> Iterator[tuple[int, np.ndarray]]:
    """Rows of the n - 1 indices without i, for i = start, ….  # shape: (rows, n - 1), uint32"""
    base = np.arange(n - 1, dtype=np.uint32)
    for start in range(0, n, together):
        omitted = np.arange(start, min(start + together, n), dtype=np.uint32)[:, None]
        yield start, base + (base >= omitted).astype(np.uint32)


class PythonFunction:
    """Any Python function, on blocks of resamples.

    Parameters
    ----------
    function : callable
        ``function(*samples, axis=-1)`` if `vectorized`, else of one-dimensional samples.
    samples : sequence of ndarray
        # shapes: (…, n_j)
    paired, vectorized : bool
    batch : int or None
        Rows handed over at a time, at most.
    """

    def __init__(
        self,
        function: Callable,
        samples: Sequence[np.ndarray],
        paired: bool,
        vectorized: bool,
        batch: int | None,
    ) -> None:
        self._function = function if vectorized else along_last_axis(function)
        self._samples = samples
        self._paired = paired
        values = sum(sample.size for sample in samples)
        self._together = min(max(1, _VALUES // max(1, values)), batch or 2**63)
        self.observed = _checked(self._function, samples)
        if vectorized:
            twice = [np.stack([sample, sample], axis=-2) for sample in samples]
            shape, expected = _checked(self._function, twice).shape, (*self.observed.shape, 2)
            if shape != expected:
                raise ValueError(
                    f"statistic returned shape {shape} for 2 resamples, expected {expected}: it must "
                    "reduce `axis` and no other (without a parameter `axis` it gets one at a time)"
                )

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        rows = indices if len(indices) == len(self._samples) else [indices[0]] * len(self._samples)
        parts = []
        for start in range(0, len(rows[0]), self._together):
            part = slice(start, start + self._together)
            taken = [s[..., r[part]] for s, r in zip(self._samples, rows, strict=True)]
            parts.append(np.asarray(self._function(*taken, axis=-1)))
        return np.concatenate(parts, axis=-1)

    def jackknife(self) -> list[np.ndarray]:
        out = []
        for j in range(1 if self._paired else len(self._samples)):
            parts = []
            for _, rows in _left_out(self._samples[j].shape[-1], self._together):
                taken = [
                    s[..., rows]
                    if self._paired or k == j
                    else np.broadcast_to(s[..., None, :], (*s.shape[:-1], len(rows), s.shape[-1]))
                    for k, s in enumerate(self._samples)
                ]
                parts.append(np.asarray(self._function(*taken, axis=-1)))
            out.append(np.concatenate(parts, axis=-1))
        return out


def _checked(function: Callable, samples: Sequence[np.ndarray]) -> np.ndarray:
    """What the function says of whole samples: an error now is better than one after hours."""
    try:
        value = function(*samples, axis=-1)
    except Exception as error:
        raise ValueError(
            f"statistic failed on the data: {type(error).__name__}: {error}"
        ) from error
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"statistic must return numbers, got {value!r}")
    return array


def along_last_axis(function: Callable) -> Callable:
    """``function`` of one-dimensional samples for arrays of them; its own axes come first."""

    def call(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        lead = samples[0].shape[:-1]
        values = [
            np.asarray(function(*[sample[place] for sample in samples]))
            for place in np.ndindex(lead)
        ]
        own = values[0].shape
        return np.moveaxis(np.array(values), 0, -1).reshape((*own, *lead))

    return call


class JittedFunction:
    """A function that the user compiled with :func:`numba.njit`: all replicates in parallel.

    Its code is compiled into a loop over replicates once for each number and type of samples.
    """

    def __init__(self, function: Any, samples: Sequence[np.ndarray], paired: bool) -> None:
        self._paired = paired
        self._lead = samples[0].shape[:-1]
        kinds = {np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)}
        same = samples[0].dtype if len({s.dtype for s in samples}) == 1 else np.dtype(np.float64)
        kind = same if same in kinds else np.dtype(np.float64)
        self._series = tuple(
            np.ascontiguousarray(s, kind).reshape(-1, s.shape[-1]) for s in samples
        )
        first = function(*[series[0].copy() for series in self._series])
        if np.ndim(first) != 0:
            raise ValueError(
                "a statistic compiled by Numba must return one number, got an array of shape "
                f"{np.shape(first)}"
            )
        self._loop = _loop(function, len(samples))
        values = [
            function(*[series[s].copy() for series in self._series])
            for s in range(len(self._series[0]))
        ]
        self.observed = np.array(values, np.float64).reshape(self._lead)

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        rows = (
            tuple(indices)
            if len(indices) == len(self._series)
            else (indices[0],) * len(self._series)
        )
        workers = min(n_threads(), len(rows[0]))
        total = sum(r.shape[1] for r in rows)
        scratch = np.empty((workers, total), self._series[0].dtype)
        out = np.empty((len(self._series[0]), len(rows[0])))
        self._loop(self._series, rows, scratch, out)
        return out.reshape((*self._lead, -1))

    def jackknife(self) -> list[np.ndarray]:
        out = []
        for j in range(1 if self._paired else len(self._series)):
            n = self._series[j].shape[1]
            parts = []
            for _, left in _left_out(n, max(n_threads(), _VALUES // n)):
                rows = [
                    left
                    if self._paired or k == j
                    else np.broadcast_to(
                        np.arange(x.shape[1], dtype=np.uint32), (len(left), x.shape[1])
                    ).copy()
                    for k, x in enumerate(self._series)
                ]
                parts.append(self.replicates(rows))
            out.append(np.concatenate(parts, axis=-1))
        return out


@functools.lru_cache(maxsize=32)
def _loop(function: Any, n_samples: int) -> Any:
    """The parallel loop around a compiled function. (A closure over it cannot be cached on disk.)"""
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

    @jit(parallel=True, cache=False)
    def loop(series, rows, scratch, out):
        workers = len(scratch)
        starts = np.zeros(n_samples + 1, np.int64)
        for j in range(n_samples):
            starts[j + 1] = starts[j] + rows[j].shape[1]
        for worker in prange(workers):
            values = scratch[worker]
            for b in range(worker, out.shape[1], workers):
                for s in range(out.shape[0]):
                    for j in range(n_samples):
                        for k in range(rows[j].shape[1]):
                            values[starts[j] + k] = series[j][s, rows[j][b, k]]
                    out[s, b] = call(values, starts)

    return loop
