"""The statistics that are compiled: their values on data, on resamples, and without an observation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.jackknife import (
    combine,
    leave_one_out,
    leave_one_pair_out,
    leave_one_rank_out,
    trimmed,
    virtual_index,
)
from fastkb.bootstrap.evaluate.statistic_kernels import EVERY, Formula, Sample, Scratch, resample
from fastkb.bootstrap.evaluate.statistics import Code, Statistic
from fastkb.linalg.quantiles import sorted_with_places
from fastkb.resample.index_blocks import INDICES, VALUES, left_out_rows
from fastkb.runtime.threads import n_threads
from fastkb.scalar.pairwise import LEAF, summation_tree


class Compiled:
    """A statistic of :data:`fastkb.bootstrap.evaluate.statistics.NAMED`.

    Parameters
    ----------
    statistic : Statistic
    samples : sequence of ndarray
        With the same leading axes.  # shapes: (…, n_j)
    paired : bool
        One row of indices serves both samples.
    like : ndarray
        What the user's own function says of the data, which has the type of all results.
    alone : bool, default False
        Whether the sums of each series are formed as if there were no other: pairwise, as NumPy adds
        up a contiguous row. Resamples of several series it adds up row by row.

    Attributes
    ----------
    series : list of ndarray
        The samples as they are computed with.  # shapes: (series, n_j)
    observed : ndarray
        Computed as resamples are: one that holds every observation once must be equal to it, since the
        bias correction counts how many are below.
    """

    def __init__(
        self,
        statistic: Statistic,
        samples: Sequence[np.ndarray],
        paired: bool,
        like: np.ndarray,
        alone: bool = False,
    ) -> None:
        self._dtype = like.dtype
        self.statistic = statistic
        self._paired = paired
        self.lead = samples[0].shape[:-1]
        single = statistic.n_samples == 1 and samples[0].dtype == np.float32
        self.series = [_series(sample, np.float32 if single else np.float64) for sample in samples]
        self.largest_block = max(1, INDICES // len(self.series[0]))
        self._pairwise = alone or len(self.series[0]) == 1
        nothing = np.zeros((1, 1), np.uint32)
        nothing = np.broadcast_to(nothing, (len(self.series[0]), 1)).copy()
        values: list[Any] = list(self.series)
        ranks: list[Any] = [nothing, nothing]
        if statistic.code == Code.PEARSON:
            # It does not depend on location and scale, and sums of squares neither cancel nor overflow.
            values = self.series = [_centred(x) for x in values]
        elif statistic.code == Code.SPEARMAN:
            ranks = [np.array([np.unique(s, return_inverse=True)[1] for s in x]) for x in values]
        elif statistic.ranked:
            ordered, places = sorted_with_places(values[0])
            values, ranks = [ordered], [places, nothing]
        self._values = (values[0], values[-1])
        self._ranks = tuple(np.ascontiguousarray(r, np.uint32) for r in ranks)
        self._scratch = Scratch(
            np.empty((0, 0), self._values[0].dtype), np.empty((0, 0), np.uint32)
        )

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The first sample's values as they are evaluated, sorted if by rank, and their ranks.

        # shapes: (series, n), (series, n) or (series, any) if unused
        """
        return self._values[0], self._ranks[0]

    @cached_property
    def observed(self) -> np.ndarray:
        """See the class; computed when it is asked for."""
        lengths = [x.shape[1] for x in self.series]
        everything = [np.arange(n, dtype=np.uint32)[None, :] for n in lengths]
        return self.replicates(everything)[..., 0]

    def replicates(self, indices: Sequence[np.ndarray], of: np.ndarray = EVERY) -> np.ndarray:
        """The statistic of every series over each row of indices, or of one series over each.

        Parameters
        ----------
        indices : sequence of ndarray
            # shapes: (rows, n_j)
        of : ndarray of intp, optional
            The series that each row is drawn for.  # shape: (rows,)

        Returns
        -------
        ndarray
            # shape: (…, rows); with `of` without the series' axes
        """
        return self.finish(self._evaluate(indices, of), indices[0].shape[1], len(of) > 0)

    def _evaluate(self, indices: Sequence[np.ndarray], of: np.ndarray = EVERY) -> np.ndarray:
        """The statistic of each series.  # shape: (series, rows), or (1, rows)"""
        n = indices[0].shape[1]
        if self.statistic.code in (Code.DIFFERENCE, Code.RATIO):
            pairs = zip(self._values, (indices[0], indices[-1]), strict=True)
            parts: Any = [self._run(Code.MEAN, (x, x), (rows, rows), of)[0] for x, rows in pairs]
        else:
            parts = self._run(self.statistic.code, self._values, (indices[0], indices[-1]), of)
        return combine(self.statistic, parts, n, virtual_index(self.statistic, n))

    def _run(
        self,
        code: Code,
        values: tuple[np.ndarray, np.ndarray],
        rows: tuple[np.ndarray, np.ndarray],
        of: np.ndarray,
    ) -> np.ndarray:
        """The kernel's one or two numbers.  # shape: (1 or 2, series or 1, rows)"""
        count = len(rows[0])
        longest = max(*(x.shape[1] for x in values), *(r.shape[1] for r in rows))
        workers = min(n_threads(), count)
        kind = values[0].dtype
        n_series = 1 if len(of) else len(values[0])
        out = np.empty((2 if self.statistic.orders else 1, n_series, count), kind)
        tree = summation_tree(rows[0].shape[1] if self._pairwise else 0)
        x, y = (Sample(*one) for one in zip(values, self._ranks, rows, strict=True))
        formula = Formula(int(code), float(self._parameter(rows[0].shape[1])), *tree)
        resample(x, y, of, formula, self._scratch_of(workers, longest), out)
        return out

    def _scratch_of(self, workers: int, longest: int) -> Scratch:
        """Uninitialised, for each thread. Fresh memory for each block would take as long as its sums."""
        numbers, words = self._scratch
        if len(numbers) != workers or words.shape[1] != longest:
            numbers = np.empty((workers, 3 * longest + LEAF), numbers.dtype)
            words = np.empty((workers, longest), np.uint32)
            self._scratch = Scratch(numbers, words)
        return self._scratch

    def _parameter(self, n: int) -> float:
        if self.statistic.code in (Code.MEDIAN, Code.QUANTILE):
            return virtual_index(self.statistic, n)
        if self.statistic.code == Code.TRIMMED_MEAN:
            return trimmed(self.statistic, n)
        return self.statistic.parameter

    def jackknife(self) -> list[np.ndarray]:
        statistic, series = self.statistic, self.series
        n = series[0].shape[1]
        if statistic.orders:
            ordered = self._values[0].astype(np.float64, copy=False)
            return [self.finish(leave_one_rank_out(statistic, ordered, self._ranks[0]), n - 1)]
        if statistic.n_samples == 1:
            return [self.finish(leave_one_out(statistic, series[0]), n - 1)]
        if self._paired:
            if statistic.code == Code.SPEARMAN:
                return [self.finish(self._without_each_pair(), n - 1)]
            return [self.finish(leave_one_pair_out(statistic, *series), n - 1)]
        means = [x.mean(axis=1, keepdims=True) for x in series]
        mean = Statistic("mean", Code.MEAN)
        return [
            self.finish(combine(statistic, [leave_one_out(mean, series[0]), means[1]], n, 0), n),
            self.finish(combine(statistic, [means[0], leave_one_out(mean, series[1])], n, 0), n),
        ]

    def _without_each_pair(self) -> np.ndarray:
        """Spearman's correlation, whose ranks all change: by the compiled kernel, on n - 1 rows."""
        n = self.series[0].shape[1]
        out = np.empty((len(self.series[0]), n))
        start = 0
        for rows in left_out_rows(n, max(n_threads(), VALUES // n)):
            out[:, start : start + len(rows)] = self._evaluate([rows, rows])
            start += len(rows)
        return out

    def finish(self, values: np.ndarray, n: int | np.ndarray, single: bool = False) -> np.ndarray:
        """From (series, count) to the shape and type of what the user's function returns.

        n is the number of observations that the values come from, or for each of them its own. `single`
        values are each of one series: (1, count).
        """
        lead = () if single else self.lead
        shaped = values.reshape((*lead, values.shape[-1]))
        if self.statistic.with_pvalue:
            shaped = np.stack([shaped, _pvalues(self.statistic, shaped, n)])
        return shaped.astype(self._dtype, copy=False)


def _series(sample: np.ndarray, kind: type) -> np.ndarray:
    """C-ordered floats.  # shape: (series, n)"""
    return np.ascontiguousarray(sample, kind).reshape(-1, sample.shape[-1])


def _centred(x: np.ndarray) -> np.ndarray:
    """Deviations from the median, which one huge value does not move: smaller values keep their digits.

    Then scaled by a power of two, which rounds nothing.
    """
    x = np.asarray(x, np.float64)
    x = x / 2  # the difference of the largest numbers would overflow
    x = x - np.median(x, axis=1, keepdims=True)
    return np.ldexp(x, -np.frexp(np.abs(x).max(axis=1, keepdims=True))[1])


def _pvalues(statistic: Statistic, r: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Two-sided, as scipy.stats computes them."""
    from scipy import special

    with np.errstate(divide="ignore", invalid="ignore"):
        if statistic.code == Code.PEARSON:
            half = n / 2 - 1
            values = 2 * special.betainc(half, half, (1 - np.abs(r)) / 2)
        else:
            t = r * np.sqrt((n - 2) / ((1 + r) * (1 - r)).clip(0))
            values = 2 * special.stdtr(n - 2, -np.abs(t))
    return np.where((n == 2) & ~np.isnan(r), 1.0, values)
