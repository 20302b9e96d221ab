"""Statistics that are compiled, and how they are recognised: by the function's identity alone.

``np.mean`` is known because it *is* ``numpy.mean``; a lambda around it is a Python function like any
other and is called as SciPy calls it. Nothing is guessed from values.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from enum import IntEnum
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

# The share that the name "trimmed_mean" leaves out at each end.
_TRIMMED = 0.1


class Code(IntEnum):
    """Which formula of :mod:`fastkb.bootstrap.evaluate.statistic_kernels`."""

    MEAN = 0
    VARIANCE = 1
    DEVIATION = 2
    MINIMUM = 3
    MAXIMUM = 4
    RANGE = 5
    QUANTILE = 6
    MEDIAN = 7
    SUM = 8
    TRIMMED_MEAN = 9
    # of two samples
    PEARSON = 10
    SPEARMAN = 11
    DIFFERENCE = 12
    RATIO = 13


class Statistic(NamedTuple):
    """A compiled statistic."""

    name: str
    code: Code
    n_samples: int = 1
    parameter: float = 0.0  # ddof, the level of a quantile, or the part trimmed at each end
    percent: bool = False  # whether that level is in per cent
    pair: bool = False  # the observations of two samples belong together
    with_pvalue: bool = False  # scipy.stats' result: the statistic and its p-value

    @property
    def orders(self) -> bool:
        """Whether the observations are only compared: the result is one of them, or between two."""
        return Code.MINIMUM <= self.code <= Code.MEDIAN

    @property
    def ranked(self) -> bool:
        """Whether the kernel works on sorted data and on the observations' places in them."""
        return self.orders or self.code == Code.TRIMMED_MEAN

    @property
    def alone(self) -> bool:
        """Whether the kernel computes the statistic itself, and not two numbers that it is made of."""
        return not (self.orders or self.code in (Code.DIFFERENCE, Code.RATIO))


NAMED: dict[str, Statistic] = {
    "mean": Statistic("mean", Code.MEAN),
    "sum": Statistic("sum", Code.SUM),
    "std": Statistic("std", Code.DEVIATION),
    "var": Statistic("var", Code.VARIANCE),
    "median": Statistic("median", Code.MEDIAN),
    "min": Statistic("min", Code.MINIMUM),
    "max": Statistic("max", Code.MAXIMUM),
    "ptp": Statistic("ptp", Code.RANGE),
    "trimmed_mean": Statistic("trimmed_mean", Code.TRIMMED_MEAN, parameter=_TRIMMED),
    "pearson": Statistic("pearson", Code.PEARSON, n_samples=2, pair=True),
    "spearman": Statistic("spearman", Code.SPEARMAN, n_samples=2, pair=True),
    "mean_difference": Statistic("mean_difference", Code.DIFFERENCE, n_samples=2),
    "mean_ratio": Statistic("mean_ratio", Code.RATIO, n_samples=2),
}


def recognise(statistic: Any) -> Statistic | None:
    """The compiled twin of what the user passed, if there is one.

    Parameters
    ----------
    statistic : callable or str
        A name of :data:`NAMED`; a function of NumPy or SciPy; ``functools.partial`` of ``numpy.std`` or
        ``numpy.var`` with `ddof`, of ``numpy.quantile`` with `q`, of ``numpy.percentile`` with `q` or of
        ``scipy.stats.trim_mean`` with `proportiontocut`.

    Examples
    --------
    >>> import functools
    >>> import numpy as np
    >>> from fastkb.bootstrap.evaluate.statistics import recognise
    >>> recognise(np.median).name
    'median'
    >>> recognise(functools.partial(np.percentile, q=90)).name
    'percentile(90)'
    >>> recognise(lambda x, axis: np.mean(x, axis=axis)) is None
    True
    """
    if isinstance(statistic, str):
        return NAMED.get(statistic)
    if isinstance(statistic, functools.partial):
        return _of_partial(statistic)
    return _known().get(id(statistic))


@functools.cache
def _known() -> dict[int, Statistic]:
    from scipy import stats

    pairs: list[tuple[Callable, Statistic]] = [
        (np.mean, NAMED["mean"]),
        (np.sum, NAMED["sum"]),
        (np.std, NAMED["std"]),
        (np.var, NAMED["var"]),
        (np.median, NAMED["median"]),
        (np.min, NAMED["min"]),
        (np.amin, NAMED["min"]),
        (np.max, NAMED["max"]),
        (np.amax, NAMED["max"]),
        (np.ptp, NAMED["ptp"]),
        (stats.pearsonr, NAMED["pearson"]._replace(with_pvalue=True)),
        (stats.spearmanr, NAMED["spearman"]._replace(with_pvalue=True)),
    ]
    return {id(function): statistic for function, statistic in pairs}


def _of_partial(partial: functools.partial) -> Statistic | None:
    options = dict(partial.keywords)
    if partial.args:
        return None
    if partial.func in (np.std, np.var) and set(options) <= {"ddof"}:
        base = NAMED["std" if partial.func is np.std else "var"]
        ddof = _number(options.get("ddof", 0))
        return None if ddof is None else base._replace(parameter=ddof)
    if partial.func in (np.quantile, np.percentile):
        if options.pop("method", "linear") != "linear" or set(options) != {"q"}:
            return None
        q = _plain_number(options["q"])
        # A NumPy scalar as q would change the type of the result.
        if q is None:
            return None
        percent = partial.func is np.percentile
        if not 0 <= q <= (100 if percent else 1):
            return None
        name = f"{'percentile' if percent else 'quantile'}({q:g})"
        return Statistic(name, Code.QUANTILE, parameter=q, percent=percent)
    if _is_trim_mean(partial.func):
        cut = _plain_number(options.get("proportiontocut"))
        # From one half on nothing may be left, and SciPy's own function decides.
        if set(options) != {"proportiontocut"} or cut is None or not 0 <= cut < 0.5:
            return None
        return Statistic(f"trim_mean({cut:g})", Code.TRIMMED_MEAN, parameter=cut)
    known = _known().get(id(partial.func))
    return known if known is not None and not options else None


def _number(value: Any) -> float | None:
    """A finite real number; None for anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return None
    return float(value) if math.isfinite(value) else None


def _plain_number(value: Any) -> float | None:
    """A finite number of one of Python's own types; None for anything else."""
    return _number(value) if type(value) in (int, float) else None


def _is_trim_mean(function: Any) -> bool:
    from scipy import stats

    return function is stats.trim_mean


def plain_function(statistic: Statistic) -> Callable:
    """A statistic that was asked for by name as a function of arrays, with `axis`."""
    return _PLAIN[statistic.code]


def _trimmed_mean(x: Any, axis: int = -1) -> Any:
    from scipy import stats

    return stats.trim_mean(x, _TRIMMED, axis=axis)


def _mean_difference(x: Any, y: Any, axis: int = -1) -> Any:
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


def _mean_ratio(x: Any, y: Any, axis: int = -1) -> Any:
    return np.mean(x, axis=axis) / np.mean(y, axis=axis)


def _pearson(x: Any, y: Any, axis: int = -1) -> Any:
    from scipy import stats

    return stats.pearsonr(x, y, axis=axis)[0]


def _spearman(x: Any, y: Any) -> Any:
    from scipy import stats

    return stats.spearmanr(x, y)[0]


_PLAIN: dict[Code, Callable] = {
    Code.MEAN: np.mean,
    Code.SUM: np.sum,
    Code.DEVIATION: np.std,
    Code.VARIANCE: np.var,
    Code.MEDIAN: np.median,
    Code.MINIMUM: np.min,
    Code.MAXIMUM: np.max,
    Code.RANGE: np.ptp,
    Code.TRIMMED_MEAN: _trimmed_mean,
    Code.PEARSON: _pearson,
    Code.SPEARMAN: _spearman,
    Code.DIFFERENCE: _mean_difference,
    Code.RATIO: _mean_ratio,
}
