"""Statistics that are made of sums, of resamples that are given as runs.

With the partial sums of the data in a table, the sum over a run is a difference of two entries, however
long the run is. Partial sums are pairs of float64 numbers, of which the second holds what the first has
rounded away, and so is every sum that is made of them: it is right to some 100 bits. So two resamples
that hold the same observations in another order have the same statistic to the last bit, and a resample
that holds each of them once has that of the data, as the bias correction needs.

Where the table's errors may be seen in a result none the less, because an observation is 2⁵⁰ times as far
off as those in the resample, it is marked, and computed from the rows themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba.core import types

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.jackknife import combine
from fastkb.bootstrap.evaluate.statistic_kernels import EVERY
from fastkb.bootstrap.evaluate.statistics import Code, Statistic
from fastkb.resample.index_blocks import INDICES, row_blocks
from fastkb.resample.row_schemes import RunScheme
from fastkb.resample.runs import RUNS, Runs, chosen_runs
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.cpu import cpu
from fastkb.runtime.threads import n_threads
from fastkb.scalar.bits import fma
from fastkb.scalar.sums import two_product, two_sum

MEAN, VARIANCE, SUM, DEVIATION = (
    int(one) for one in (Code.MEAN, Code.VARIANCE, Code.SUM, Code.DEVIATION)
)

# Sums for each statistic: of x; of x and x²; of x, y, x², y² and xy.
TERMS = {
    Code.MEAN: 1,
    Code.SUM: 1,
    Code.VARIANCE: 2,
    Code.DEVIATION: 2,
    Code.PEARSON: 5,
}

# An entry of the table is wrong by at most so much of the sum of all terms' sizes, for each term in it.
_ERROR = 2.0**-104
# Replicates whose runs are read again and again while one series' table is in the caches, at most.
_TOGETHER = 64
# A larger table than of so many numbers, a gigabyte, is not made: resamples take rows of indices then.
_LARGEST_TABLE = 2**27
# The square of a smaller deviation would lose digits, or vanish.
_VANISHING = 2.0**-400
# What an error may be of the result: it is not seen in the last bit then.
_UNSEEN = 2.0**-54


class Table(NamedTuple):
    """Partial sums of a statistic's terms, over places of the arrangement."""

    sums: np.ndarray  # float64.                            shape: (series, terms, places + 1, 2)
    sizes: np.ndarray  # Σ |term| over all places.          shape: (series, terms)
    centres: np.ndarray  # what x is a deviation from.      shape: (series,)
    units: np.ndarray  # half of what x is a multiple of.   shape: (series,)


def _table_signature(T):
    whole = types.Array(T, 2, "C")
    return whole, whole, types.Array(T, 4, "C"), whole


@jit(parallel=True, signature=_table_signature)
def _fill_table(x, y, sums, sizes):
    for s in prange(len(x)):
        for t in range(sums.shape[1]):
            # x, x² or x, y, x², y², xy
            first = y[s] if (t == 1 and sums.shape[1] > 2) or t == 3 else x[s]
            second = x[s] if t == 1 or t == 2 else y[s]
            single = t == 0 or (t == 1 and sums.shape[1] > 2)
            high, low, size = 0.0, 0.0, 0.0
            sums[s, t, 0, 0] = sums[s, t, 0, 1] = 0.0
            for i in range(x.shape[1]):
                term, rest = (first[i], 0.0) if single else two_product(first[i], second[i])
                high, error = two_sum(high, term)
                high, low = two_sum(high, low + (error + rest))
                sums[s, t, i + 1, 0] = high
                sums[s, t, i + 1, 1] = low
                size += abs(term)
            sizes[s, t] = size


def make_table(code: Code, x: np.ndarray, y: np.ndarray, order: np.ndarray) -> Table | None:
    """The partial sums of what a statistic is made of.

    None if products could not be summed exactly, or if they would take too much memory.

    Parameters
    ----------
    code : Code
        One of :data:`TERMS`.
    x, y : ndarray
        Finite; `y` is for correlations.  # shape: (series, n)
    order : ndarray of int
        The arrangement.  # shape: (places,)
    """
    terms = TERMS[code]
    shape = len(x), terms, len(order) + 1, 2
    if math.prod(shape) > _LARGEST_TABLE or (terms > 1 and not cpu().has_fma):
        return None
    x, centres, units = _deviations(x)
    y = _deviations(y)[0] if code == Code.PEARSON else x
    for deviations in (x, y):
        if np.abs(deviations).min(initial=1.0, where=deviations != 0) < _VANISHING:
            return None
    sums, sizes = np.empty(shape), np.empty(shape[:2])
    first = np.ascontiguousarray(x[:, order])
    second = first if y is x else np.ascontiguousarray(y[:, order])
    _fill_table(first, second, sums, sizes)
    return Table(sums, sizes, centres, units)


def _deviations(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x = 2·unit·(centre + deviation), in units for which no square overflows.

    The centre is the median: one huge value does not move it, and smaller ones keep their digits.
    """
    x = np.asarray(x, np.float64)
    exponents = np.frexp(np.abs(x).max(axis=1))[1]
    scaled = np.ldexp(x, -exponents[:, None])
    centres = np.median(scaled, axis=1)
    return scaled - centres[:, None], centres, np.ldexp(0.5, exponents)


@inline
def _sum_of_runs(sums, starts, lengths, used):
    """The sum over all runs, from the table of one term, as a pair."""
    total, rest = 0.0, 0.0
    for k in range(used):
        start = np.intp(starts[k])
        end = start + np.intp(lengths[k])
        difference, error = two_sum(sums[end, 0], -sums[start, 0])
        total, lost = two_sum(total, difference)
        rest += lost + (error + (sums[end, 1] - sums[start, 1]))
    return two_sum(total, rest)


@inline
def _spread(a, b, product, n):
    """n·Σxy - Σx·Σy from pairs of sums, rounded once."""
    left, left_error = two_product(product[0], n)
    right, right_error = two_product(a[0], b[0])
    difference, error = two_sum(left, -right)
    error += left_error - right_error
    return difference + (error + (product[1] * n - (a[0] * b[1] + a[1] * b[0])))


@inline
def _is_unsure(spread, size, n):
    """Whether n·Σx² - (Σx)² may show the errors of the table, whose Σx² over all data is `size`."""
    return spread <= 4.0 * n * n * size * (_ERROR / _UNSEEN)


def _signature(T):
    whole, one = types.Array(T, 2, "C"), types.Array(T, 1, "C")
    table = types.NamedTuple((types.Array(T, 4, "C"), whole, one, one), Table)
    found = types.Array(types.bool_, 2, "C")
    series = types.Array(types.intp, 1, "C")
    return table, RUNS, series, types.intp, types.float64, types.intp, whole, found


@jit(parallel=True, signature=_signature)
def _of_runs(table, runs, of, code, ddof, together, out, unsure):
    """out[series, replicate] = the statistic; `together` replicates are one series' at a time.

    If `of` names the one series of each replicate, that is out[0, replicate].
    """
    starts, lengths, used, sizes = runs
    sums, weights, centres, units = table
    count = len(used)
    for group in prange(-(-count // together)):
        for place in range(len(out)):
            for b in range(group * together, min(count, (group + 1) * together)):
                s = of[b] if len(of) else place
                unit = units[s]
                n = np.float64(sizes[b])
                mine, long, many = starts[b], lengths[b % len(lengths)], used[b]
                x = _sum_of_runs(sums[s, 0], mine, long, many)
                if code in (MEAN, SUM):
                    # Of a pair the second is at most half a unit of the first's last place.
                    value = centres[s] + x[0] / n if code == MEAN else fma(centres[s], n, x[0])
                    seen = max(abs(x[0]), abs(centres[s]) * n)
                    out[place, b] = value * unit * 2.0
                    unsure[place, b] = 2.0 * n * _ERROR * weights[s, 0] > _UNSEEN * seen
                elif code in (VARIANCE, DEVIATION):
                    squares = _sum_of_runs(sums[s, 1], mine, long, many)
                    spread = _spread(x, x, squares, n)
                    unsure[place, b] = _is_unsure(spread, weights[s, 1], n)
                    if x[0] == 0.0 and squares[0] == 0.0:  # all observations are the centre
                        spread, unsure[place, b] = 0.0, False
                    variance = spread / n / max(n - ddof, 0.0)
                    if code == VARIANCE:
                        out[place, b] = variance * unit * unit * 4.0
                    else:
                        out[place, b] = math.sqrt(variance) * unit * 2.0
                else:
                    y = _sum_of_runs(sums[s, 1], mine, long, many)
                    xx = _spread(x, x, _sum_of_runs(sums[s, 2], mine, long, many), n)
                    yy = _spread(y, y, _sum_of_runs(sums[s, 3], mine, long, many), n)
                    xy = _spread(x, y, _sum_of_runs(sums[s, 4], mine, long, many), n)
                    unsure[place, b] = _is_unsure(xx, weights[s, 2], n) or _is_unsure(
                        yy, weights[s, 3], n
                    )
                    out[place, b] = min(max(xy / math.sqrt(xx) / math.sqrt(yy), -1.0), 1.0)


class OverRuns:
    """A compiled statistic of resamples that are runs; of rows of indices it is the compiled one's.

    Parameters
    ----------
    compiled : Compiled
    tables : list of Table
        One, or of a difference or ratio of means that of each sample.
    scheme : RunScheme
        Prepared.
    """

    def __init__(self, compiled: Compiled, tables: list[Table], scheme: RunScheme) -> None:
        self._compiled, self._tables, self._scheme = compiled, tables, scheme
        self.largest_block = max(1, INDICES // len(tables[0].sums))
        n = np.full(1, scheme.n)
        everything = np.zeros((1, 1), np.uint32), n[None].astype(np.uint32), np.ones(1, np.intp), n
        self.observed = self.replicates(Runs(*everything))[..., 0]

    def replicates(self, rows: Runs | Sequence[np.ndarray], of: np.ndarray = EVERY) -> np.ndarray:
        """As :meth:`Compiled.replicates`, and of runs."""
        if not isinstance(rows, Runs):
            return self._compiled.replicates(rows, of)
        statistic = self._compiled.statistic
        if len(self._tables) == 1:
            values, unsure = self._evaluate(statistic, self._tables[0], rows, of)
        else:
            mean = Statistic("mean", Code.MEAN)
            parts = [self._evaluate(mean, table, rows, of) for table in self._tables]
            unsure = parts[0][1] | parts[1][1]
            values = combine(statistic, [part[0] for part in parts], 0, 0)
        n = rows.sizes
        out = self._compiled.finish(values, n[0] if (n == n[0]).all() else n, len(of) > 0)
        (places,) = np.nonzero(unsure.any(axis=0))
        if len(places):
            self._replace(out, rows, of, places, unsure)
        return out

    def jackknife(self) -> list[np.ndarray]:
        return self._compiled.jackknife()

    def _evaluate(
        self, statistic: Statistic, table: Table, runs: Runs, of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values, and which ones are unsure.  # shapes: (series or 1, rows)"""
        shape = 1 if len(of) else len(table.sums), len(runs.used)
        out, unsure = np.empty(shape), np.empty(shape, np.bool_)
        together = min(_TOGETHER, -(-shape[1] // n_threads()))
        ddof = float(statistic.parameter)
        _of_runs(table, runs, of, int(statistic.code), ddof, together, out, unsure)
        return out, unsure

    def _replace(
        self, out: np.ndarray, runs: Runs, of: np.ndarray, places: np.ndarray, unsure: np.ndarray
    ) -> None:
        """Compute those replicates again that are unsure, from the rows themselves."""
        lead = () if len(of) else self._compiled.lead
        again = unsure.reshape((*lead, -1))
        rows = self._scheme.indices(chosen_runs(runs, places))
        for block in row_blocks(rows, self._compiled.largest_block):
            mine = places[block.places]
            values = self._compiled.replicates(block.rows, of[mine] if len(of) else of)
            out[..., mine] = np.where(again[..., mine], values, out[..., mine])


def over_runs(compiled: Compiled, scheme: RunScheme) -> Compiled | OverRuns:
    """The statistic over runs, if sums make it; else as it is."""
    code = compiled.statistic.code
    if code in (Code.DIFFERENCE, Code.RATIO):
        made = [make_table(Code.MEAN, x, x, scheme.order) for x in compiled.series]
    elif code in TERMS:
        made = [make_table(code, compiled.series[0], compiled.series[-1], scheme.order)]
    else:
        return compiled
    tables = [table for table in made if table is not None]
    return OverRuns(compiled, tables, scheme) if len(tables) == len(made) else compiled
