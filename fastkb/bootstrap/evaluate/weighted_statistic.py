"""Statistics of weighted samples: what the Bayesian bootstrap evaluates.

A replicate is a row of positive weights w that sum to one, and the statistic that of the distribution
with mass wᵢ at xᵢ::

    mean, sum          m = Σ w x,  n·m
    var, std           n / (n - ddof) · Σ w (x - m)²  and its root
    quantile(q)        the smallest x with Σ {w of values ≤ x} ≥ q
    pearson            Σ w (x - m)(y - l) / √(Σ w (x - m)² · Σ w (y - l)²)
    spearman           pearson of the mid-ranks  Σⱼ wⱼ ([xⱼ < xᵢ] + ½ [xⱼ = xᵢ])
    mean_difference    m - l
    mean_ratio         m / l

With equal weights these are the plain statistics; only quantiles are not, which NumPy interpolates where
there are no weights: ``observed`` is interpolated, and the replicates are values that were observed.

Sums are formed of data centred at their plain mean: an offset costs no digits. Second moments are
Σ w x² - m², which loses the digits by which a replicate's variance is below its second moment about the
plain mean: a few at worst, for the weight is seldom all on one observation.

References
----------
Rubin (1981), The Bayesian bootstrap, Annals of Statistics 9.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastkb.bootstrap.checks import Request, Samples
from fastkb.bootstrap.evaluate.python_function import PythonFunction, along_last_axis
from fastkb.bootstrap.evaluate.statistics import Code, Statistic, plain_function
from fastkb.resample.index_blocks import VALUES
from fastkb.runtime import inline, jit, prange
from fastkb.runtime.threads import n_threads

# Weights of a block, and results of a block: 2 MB of each.
_WEIGHTS = 2**18

# Rows of weights that meet a series at a time, which is read once for all of them. BLAS would do it, but
# its sums depend in their last digit on how many rows there are, and so on the number of threads.
_TOGETHER = 8

_OF_MEANS = (Code.MEAN, Code.SUM, Code.DIFFERENCE, Code.RATIO)
_OF_MOMENTS = (Code.VARIANCE, Code.DEVIATION, Code.PEARSON)
_OF_ORDER = (Code.MEDIAN, Code.QUANTILE)
_EXTREMES = (Code.MINIMUM, Code.MAXIMUM, Code.RANGE)


class Weighted:
    """A statistic of weighted samples.

    Parameters
    ----------
    statistic : callable or str
        As the user gave it. If it is not known, a function with a parameter `weights`:
        ``statistic(*samples, weights=w)`` of one-dimensional samples, or with ``axis=-1`` on blocks if
        ``request.vectorized``; samples and weights have then one shape, (…, rows, n), and may be
        read-only. w is an array if there is one sample or if they are paired, else a tuple of one array
        for each sample.
    known : Statistic or None
        What `recognise` of `statistics.py` says of it. Computed in float64; the results are float32
        where the statistic of the data is.
    samples : Samples
        Of finite values, if the statistic is known: what it would be with NaN or infinity is refused.
    request : Request

    Raises
    ------
    ValueError
        If the statistic has no weighted form: extremes (no weights alter them), SciPy's correlations
        with their p-value, functions without a parameter `weights`; if the samples do not fit it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.bootstrap.evaluate.statistics import recognise
    >>> from fastkb.bootstrap.evaluate.weighted_statistic import Weighted
    >>> from fastkb.bootstrap.checks import Request, Samples
    >>> samples = Samples((np.array([1.0, 2.0, 6.0]),), finite=True)
    >>> request = Request(True, False, 0.95, "two-sided", 9, None, "percentile", None)
    >>> weights = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    >>> Weighted(np.mean, recognise(np.mean), samples, request).replicates([weights])
    array([2.5 , 2.75])
    >>> Weighted(np.average, None, samples, request).replicates([weights])
    array([2.5 , 2.75])
    """

    def __init__(
        self, statistic: Any, known: Statistic | None, samples: Samples, request: Request
    ) -> None:
        self._form: _Functional | _Function
        if known is not None:
            self._form = _Functional(statistic, known, samples, request)
        else:
            self._form = _Function(statistic, samples, request)
        self.observed = self._form.observed
        self.largest_block = self._form.largest_block

    def replicates(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Of rows of weights for each sample; of one for all if they are paired.  # shape: (…, rows)"""
        return self._form.replicates(weights)

    def jackknife(self) -> list[np.ndarray]:
        raise TypeError("a statistic of weighted samples has no jackknife")


class _Functional:
    """A statistic of `statistics.NAMED`, as a functional of a distribution."""

    def __init__(
        self, statistic: Any, known: Statistic, samples: Samples, request: Request
    ) -> None:
        arrays = samples.arrays
        _check(known, samples, request)
        function = plain_function(known) if isinstance(statistic, str) else statistic
        # scipy.stats.spearmanr takes the columns of a matrix for variables.
        vectorized = known.code != Code.SPEARMAN
        self.observed = PythonFunction(
            function, arrays, request.paired, vectorized, request.batch
        ).observed
        # A sum of whole numbers is whole; with weights it is not.
        kind = self.observed.dtype
        self._kind = np.result_type(kind if kind.kind == "f" else np.float64, np.float32)
        self._known = known
        self._lead = arrays[0].shape[:-1]
        self._n = arrays[0].shape[-1]
        series = [np.array(x, np.float64).reshape(-1, x.shape[-1]) for x in arrays]
        drawn = sum(x.shape[1] for x in (series[:1] if request.paired else series))
        self.largest_block = max(1, _WEIGHTS * drawn // max(drawn, len(series[0])))
        self._prepare(series)

    def _prepare(self, series: list[np.ndarray]) -> None:
        """What does not depend on the weights."""
        code = self._known.code
        if code in _OF_ORDER:
            # The unstable sort is numpy.quantile's: equal values' weights are added in its order.
            self._order = np.argsort(series[0], axis=1)
            self._sorted = np.take_along_axis(series[0], self._order, axis=1)
        elif code == Code.SPEARMAN:
            codes = [[np.unique(x, return_inverse=True)[1] for x in one] for one in series]
            self._codes = np.array(codes, np.uint32)
        else:
            self._centres = [_centre(x) for x in series]
            values = [x - c for x, c in zip(series, self._centres, strict=True)]
            if code in _OF_MEANS:
                self._columns = values
            elif code == Code.PEARSON:
                x, y = (_scaled(one) for one in values)
                self._columns = [np.concatenate([x, y, x * x, y * y, x * y])]
            else:
                self._columns = [np.concatenate([values[0], values[0] ** 2])]

    def replicates(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self._evaluate(weights)
        shaped = values.reshape((*self._lead, len(weights[0])))
        return shaped.astype(self._kind, copy=False)

    def _evaluate(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """The statistic of each series.  # shape: (series, rows)"""
        known = self._known
        if known.code in _OF_MEANS:
            parts = zip(self._centres, self._columns, (weights[0], weights[-1]), strict=False)
            return self._combine([centre + _products(x, w) for centre, x, w in parts])
        if known.code in _OF_ORDER:
            level = 0.5 if known.code == Code.MEDIAN else known.parameter
            level = level / 100 if known.percent else level
            return _in_parallel(_quantiles, weights[0], self._order, self._sorted, level)
        if known.code == Code.SPEARMAN:
            return _in_parallel(_rank_correlations, weights[0], *self._codes).clip(-1, 1)
        sums = _products(self._columns[0], weights[0])
        sums = sums.reshape(-1, len(self._centres[0]), sums.shape[1])
        if known.code == Code.PEARSON:
            return _correlation(*sums)
        left = self._n - known.parameter
        variance = _second_moment(*sums) * np.divide(self._n, max(left, 0.0))
        return np.sqrt(variance) if known.code == Code.DEVIATION else variance

    def _combine(self, means: list[np.ndarray]) -> np.ndarray:
        if self._known.code == Code.DIFFERENCE:
            return means[0] - means[1]
        if self._known.code == Code.RATIO:
            return means[0] / means[1]
        return means[0] * self._n if self._known.code == Code.SUM else means[0]


def _check(known: Statistic, samples: Samples, request: Request) -> None:
    """Errors before any work."""
    arrays, name = samples.arrays, known.name
    if len(arrays) != known.n_samples:
        raise ValueError(
            f"statistic {name} takes {known.n_samples} sample{'s' * (known.n_samples > 1)}, and `data` "
            f"has {len(arrays)}"
        )
    ends = (0.0, 100.0 if known.percent else 1.0)
    if known.code in _EXTREMES or (known.code == Code.QUANTILE and known.parameter in ends):
        raise ValueError(
            f"statistic {name} is the same for all weights, which are positive: no observation ever "
            "leaves the sample. For extremes see fastkb.schemes.MOutOfN and Subsampling"
        )
    if known.code not in (*_OF_MEANS, *_OF_MOMENTS, *_OF_ORDER, Code.SPEARMAN):
        raise ValueError(
            f"statistic {name} of weighted samples is not known here: pass a function with a parameter "
            "`weights`, as numpy.average has"
        )
    if known.with_pvalue:
        raise ValueError(
            f"there is no p-value of a weighted sample, and so no scipy.stats.{name}r: use "
            f'statistic="{name}", the correlation alone'
        )
    if known.pair and not request.paired:
        raise ValueError(
            f"statistic {name} takes weights with paired=True alone: an observation's weight is that of "
            "both its values"
        )
    for j, array in enumerate(arrays):
        wrong = 0 if samples.finite else int(np.count_nonzero(~np.isfinite(array)))
        if wrong:
            raise ValueError(
                f"data[{j}] contains {wrong} NaN or infinite values, of which there is no weighted "
                f"{name}: drop them, or pass a function with a parameter `weights` that leaves them out"
            )


def _centre(x: np.ndarray) -> np.ndarray:
    """The mean, but exactly the value where all are equal: their deviations must be 0."""
    constant = (x == x[:, :1]).all(axis=1, keepdims=True)
    return np.where(constant, x[:, :1], x.mean(axis=1, keepdims=True))


def _scaled(x: np.ndarray) -> np.ndarray:
    """A correlation does not depend on the scale, and squares then do not overflow."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    return x / np.where(largest > 0, largest, 1.0)


def _second_moment(mean: np.ndarray, square: np.ndarray) -> np.ndarray:
    return np.maximum(square - mean * mean, 0.0)


def _correlation(
    x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> np.ndarray:
    spread = np.sqrt(_second_moment(x, xx)) * np.sqrt(_second_moment(y, yy))
    return np.clip((xy - x * y) / spread, -1, 1)


def _in_parallel(kernel: Any, weights: np.ndarray, *arguments: Any) -> np.ndarray:
    """A kernel on all threads, with scratch for each.  # shape: (series, rows)"""
    rows, n = weights.shape
    scratch = np.empty((max(1, min(n_threads(), rows)), 2, n))
    out = np.empty((len(arguments[0]), rows))
    kernel(np.ascontiguousarray(weights), *arguments, scratch, out)
    return out


def _products(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``columns @ weights.T``, each row's the same in any company.  # shape: (columns, rows)"""
    # The engine, which packs the weights first, takes 1.2 (20 columns) to 17 times (one) as long.
    out = np.empty((len(columns), len(weights)))
    together = max(1, min(_TOGETHER, len(weights) // n_threads()))
    _many_products(np.ascontiguousarray(weights), columns, together, out)
    return out


@inline(any_order=True)
def _dot(x, y):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@jit(parallel=True)
def _many_products(weights, columns, together, out):
    for tile in prange(-(-len(weights) // together)):
        last = min((tile + 1) * together, len(weights))
        for s in range(len(columns)):
            for b in range(tile * together, last):
                out[s, b] = _dot(columns[s], weights[b])


@jit(parallel=True)
def _quantiles(weights, order, values, level, scratch, out):
    """``numpy.quantile(..., weights=w, method="inverted_cdf")``: sums in its order, divided as there."""
    workers = len(scratch)
    for worker in prange(workers):
        below = scratch[worker, 0]
        for b in range(worker, len(weights), workers):
            row = weights[b]
            for s in range(len(order)):
                total = 0.0
                for i in range(len(row)):
                    total += row[order[s, i]]
                    below[i] = total
                # The first i with below[i] / total ≥ level.
                low, high = 0, len(row) - 1
                while low < high:
                    middle = (low + high) // 2
                    if below[middle] / total < level:
                        low = middle + 1
                    else:
                        high = middle
                out[s, b] = values[s, low]


@inline
def _centred_ranks(weights, codes, ranks):
    """ranks[k]: the mid-rank of the values with code k, less its weighted mean, half the total."""
    ranks[:] = 0.0
    for i in range(len(codes)):
        ranks[codes[i]] += weights[i]
    below = 0.0
    for k in range(len(ranks)):
        equal = ranks[k]
        ranks[k] = below + 0.5 * equal
        below += equal
    for k in range(len(ranks)):
        ranks[k] -= 0.5 * below


@jit(parallel=True)
def _rank_correlations(weights, x_codes, y_codes, scratch, out):
    workers = len(scratch)
    for worker in prange(workers):
        x_ranks, y_ranks = scratch[worker, 0], scratch[worker, 1]
        for b in range(worker, len(weights), workers):
            row = weights[b]
            for s in range(len(x_codes)):
                _centred_ranks(row, x_codes[s], x_ranks)
                _centred_ranks(row, y_codes[s], y_ranks)
                xx = yy = xy = 0.0
                for i in range(len(row)):
                    x, y = x_ranks[x_codes[s, i]], y_ranks[y_codes[s, i]]
                    xx += row[i] * x * x
                    yy += row[i] * y * y
                    xy += row[i] * x * y
                out[s, b] = xy / np.sqrt(xx * yy)


class _Function:
    """A Python function with a parameter `weights`."""

    def __init__(self, function: Callable, samples: Samples, request: Request) -> None:
        if not _takes_weights(function):
            name = getattr(function, "__name__", repr(function))
            raise ValueError(
                f"statistic {name} must have a parameter `weights`, as numpy.average has: the scheme "
                "weighs the observations, and draws none"
            )
        arrays = list(samples.arrays)
        shared = request.paired or len(arrays) == 1
        call = _of_arrays(function, len(arrays), shared)
        if not request.vectorized:
            kind = np.result_type(*arrays)  # one type, as for a function without weights
            arrays = [array.astype(kind, copy=False) for array in arrays]
            call = along_last_axis(call)
        self._function = call
        self._samples = arrays
        equal = [np.broadcast_to(1 / array.shape[-1], array.shape) for array in arrays]
        whole = [*arrays, *equal[: 1 if shared else None]]
        self.observed = PythonFunction(call, whole, request.paired, True, None).observed
        self.largest_block = _WEIGHTS
        values = sum(array.size for array in whole)
        self._together = min(max(1, VALUES // values), request.batch or 2**63)

    def replicates(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        lead = self._samples[0].shape[:-1]
        parts = []
        for start in range(0, len(weights[0]), self._together):
            some = [rows[start : start + self._together] for rows in weights]
            count = len(some[0])
            taken = [
                np.broadcast_to(x, (*lead, count, x.shape[-1]))
                for x in [*(sample[..., None, :] for sample in self._samples), *some]
            ]
            parts.append(np.asarray(self._function(*taken, axis=-1)))
        return np.concatenate(parts, axis=-1)


def _takes_weights(function: Any) -> bool:
    try:
        return "weights" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _of_arrays(function: Callable, n_samples: int, shared: bool) -> Callable:
    """``function(*samples, weights=…)`` as a function of samples and weights alike."""

    def call(*arrays: np.ndarray, **axis: int) -> Any:
        samples, weights = arrays[:n_samples], arrays[n_samples:]
        return function(*samples, weights=weights[0] if shared else weights, **axis)

    return call
