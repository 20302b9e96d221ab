"""The compiled statistics over blocks of resamples, each given by a row of indices.

A replicate's result depends on its own indices alone, so that neither threads nor blocks can be seen in
it. The formulas stand in `moment_kernels.py`, `rank_kernels.py` and `correlation_kernels.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.bootstrap.evaluate.correlation_kernels import correlation
from fastkb.bootstrap.evaluate.moment_kernels import moment
from fastkb.bootstrap.evaluate.rank_kernels import neighbours, trimmed_mean
from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.runtime import jit, prange

# Where rows are drawn for every series, and not each for one of them.
EVERY = np.empty(0, np.intp)

DEVIATION, MEDIAN, SUM = int(Code.DEVIATION), int(Code.MEDIAN), int(Code.SUM)
TRIMMED_MEAN = int(Code.TRIMMED_MEAN)


class Sample(NamedTuple):
    """Data of one of the two samples; y is x for statistics of one sample."""

    # Sorted along the last axis for statistics that only compare and for the trimmed mean; float64 for
    # correlations.
    values: np.ndarray  # shape: (series, n)
    # The place of each observation among the sorted ones, or, for Spearman's correlation, among the
    # different ones; uint32.
    ranks: np.ndarray  # shape: (series, n), or (series, any) if unused
    indices: np.ndarray  # uint32.  shape: (replicates, n)


class Formula(NamedTuple):
    """Which statistic."""

    code: int  # fastkb.bootstrap.evaluate.statistics.Code
    # ddof, the place of a quantile among n sorted observations, from 0 to n - 1, or how many of them are
    # trimmed at each end.
    parameter: float
    # fastkb.scalar.pairwise.summation_tree of a row's length; empty: term after term.
    leaves: np.ndarray
    merges: np.ndarray


class Scratch(NamedTuple):
    """Uninitialised memory of each thread; `longest` is that of all rows of values and indices."""

    numbers: np.ndarray  # of the type of the values.  shape: (workers, 3·longest + LEAF)
    words: np.ndarray  # uint32.                       shape: (workers, longest)


def _signature(T):
    words = types.Array(types.uint32, 2, "C")
    values = types.Array(T, 2, "C")
    order = types.Array(types.intp, 1, "C")
    sample = types.NamedTuple((values, words, words), Sample)
    formula = types.NamedTuple((types.intp, types.float64, order, order), Formula)
    scratch = types.NamedTuple((values, words), Scratch)
    return sample, sample, order, formula, scratch, types.Array(T, 3, "C")


@jit(parallel=True, signature=_signature)
def resample(x, y, of, formula, scratch, out):
    """out[:, series, replicate] = the statistic of one series over the rows of one resample.

    Parameters
    ----------
    x, y : Sample
    of : array of intp
        The one series that each resample is of, in out[:, 0, replicate]; or :data:`EVERY`.
        # shape: (replicates,)
    formula : Formula
    scratch : Scratch
    out : array of the type of the values
        Two numbers for statistics that only compare: the neighbouring order statistics, or minimum and
        maximum; else one.  # shape: (1 or 2, series, replicates)
    """
    workers = len(scratch.numbers)
    code, parameter = formula.code, formula.parameter
    for worker in prange(workers):
        mine, words = scratch.numbers[worker], scratch.words[worker]
        for b in range(worker, len(x.indices), workers):
            rows = x.indices[b]
            for place in range(out.shape[1]):
                s = of[b] if len(of) else place
                values, ranks = x.values[s], x.ranks[s]
                if code <= DEVIATION or code == SUM:
                    out[0, place, b] = moment(values, rows, formula, mine)
                elif code <= MEDIAN:
                    low, high = neighbours(values, ranks, rows, code, parameter, words)
                    out[0, place, b] = low
                    out[1, place, b] = high
                elif code == TRIMMED_MEAN:
                    out[0, place, b] = trimmed_mean(values, ranks, rows, int(parameter), words)
                else:
                    out[0, place, b] = correlation(x, y, s, b, code, mine, words)
