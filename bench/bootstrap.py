"""The work "a bootstrap interval": data, contenders, agreement and bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.agreement import drawn_interval_disagreement, interval_disagreement
from bench.bounds import Bound, interval_bound
from bench.rivals import (
    ARCH,
    BATCH,
    SCIPY_BATCH,
    arch_interval,
    scipy_interval,
    scipy_part,
)
from bench.rivals import (
    Interval as RivalInterval,
)
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

SEED = 0


class Statistic(NamedTuple):
    """One statistic as each library likes it best."""

    fastkb: Callable[[], Any]  # gives what is passed on
    scipy: Callable[[], Any]
    arch: Callable[[], Any]
    samples: int = 1


def _same(function: Callable) -> Statistic:
    return Statistic(lambda: function, lambda: function, lambda: function)


def _pearsonr() -> Any:
    from scipy.stats import pearsonr

    return pearsonr


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return np.corrcoef(x, y)[0, 1]


def trimmed_mean(x: np.ndarray) -> float:
    """The mean without a tenth of the observations at either end."""
    cut = len(x) // 10
    return np.mean(np.sort(x)[cut : len(x) - cut])


@cache
def jitted_trimmed_mean() -> Any:
    """:func:`trimmed_mean` as a user of Numba has it."""
    import numba

    return numba.njit(trimmed_mean)


@cache
def selected_trimmed_mean() -> Any:
    """The same by what fastkb offers to jitted functions."""
    import numba

    from fastkb import statistics

    function = statistics.trimmed_mean

    def by_selection(x: np.ndarray) -> float:
        return function(x, 0.1)

    return numba.njit(by_selection)


def trimmed_means(x: np.ndarray, axis: int) -> np.ndarray:
    """:func:`trimmed_mean` along an axis, for all resamples of a batch at once."""
    n = x.shape[axis]
    inner = np.moveaxis(np.sort(x, axis=axis), axis, -1)[..., n // 10 : n - n // 10]
    return np.mean(inner, axis=-1)


@cache
def scipy_trimmed_mean() -> Any:
    """The same by SciPy's function, which fastkb recognises."""
    from scipy.stats import trim_mean

    return partial(trim_mean, proportiontocut=0.1)


STATISTICS = {
    "mean": _same(np.mean),
    "std": _same(np.std),
    "median": _same(np.median),
    "pearsonr": Statistic(_pearsonr, _pearsonr, lambda: _correlation, samples=2),
    "trim_mean": Statistic(scipy_trimmed_mean, scipy_trimmed_mean, scipy_trimmed_mean),
    "trimmed": Statistic(jitted_trimmed_mean, lambda: trimmed_means, lambda: trimmed_mean),
    "selected": Statistic(selected_trimmed_mean, lambda: trimmed_means, lambda: trimmed_mean),
}
WORDS = {
    "trim_mean": "trimmed mean",
    "trimmed": "trimmed mean (jitted, numpy.sort)",
    "selected": "trimmed mean (jitted, fastkb.statistics)",
    "pearsonr": "pearsonr (paired)",
}


def exponential_sample(n: int, samples: int) -> tuple[np.ndarray, ...]:
    """Exponential x; and y = x/2 + more of it, if there are two samples."""
    rng = np.random.default_rng(SEED)
    x = rng.exponential(size=n)
    return (x,) if samples == 1 else (x, 0.5 * x + rng.exponential(size=n))


@dataclass(frozen=True)
class Interval:
    """A 95% interval of one statistic of `n` observations, from `n_resamples` resamples."""

    statistic: str
    n: int
    method: str = "percentile"
    n_resamples: int = 9999
    # SciPy does a `part`-th of the resamples and of the left-out rows, arch of its resamples.
    scipy_part: int = 1
    arch_part: int = 1
    rivals_offered: tuple[str, ...] = (SCIPY_BATCH, ARCH)

    @property
    def name(self) -> str:
        return f"ci-{self.statistic}-n{self.n}-{self.method.lower()}"

    group = "Bootstrap interval"

    @property
    def title(self) -> str:
        what = WORDS.get(self.statistic, self.statistic)
        return f"{what}, {self.method}, n = {self.n}, B = {self.n_resamples}"

    @property
    def rivals(self) -> tuple[str, ...]:
        return self.rivals_offered

    @property
    def functions(self) -> Statistic:
        return STATISTICS[self.statistic]

    @cached_property
    def data(self) -> tuple[np.ndarray, ...]:
        return exponential_sample(self.n, self.functions.samples)

    @property
    def options(self) -> dict[str, Any]:
        """What SciPy's function and fastkb's are called with alike."""
        return {
            "n_resamples": self.n_resamples,
            "method": self.method,
            "paired": self.functions.samples > 1,
            "rng": SEED,
        }

    def fastkb(self) -> Contender:
        import fastkb

        data, statistic, options = self.data, self.functions.fastkb(), self.options
        return Contender(FASTKB, lambda: fastkb.bootstrap(data, statistic, **options))

    def rival(self, name: str) -> Contender | Absent:
        try:
            return self._arch(name) if name == ARCH else self._scipy(name)
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")

    def _scipy(self, name: str) -> Contender:
        statistic = self.functions.scipy()
        options = self.options | {"batch": BATCH if name == SCIPY_BATCH else None}
        if self.scipy_part == 1:
            return Contender(name, scipy_interval(self.data, statistic, options))
        if self.functions.samples > 1:
            raise ValueError(f"{self.name}: a part is timed for one sample only")
        resamples = -(-self.n_resamples // self.scipy_part)
        rows = -(-self.n // self.scipy_part) if self.method == "BCa" else 0
        call = scipy_part(self.data[0], statistic, options | {"n_resamples": resamples}, rows)
        part = f"{resamples} of {self.n_resamples} resamples"
        if rows:
            part += f" and {rows} of {self.n} rows of the jackknife"
        return Contender(name, call, self.n_resamples / resamples, part)

    def _arch(self, name: str) -> Contender:
        resamples = -(-self.n_resamples // self.arch_part)
        if self.arch_part > 1 and self.method == "BCa":
            raise ValueError(f"{self.name}: arch's jackknife is not scaled with its resamples")
        call = arch_interval(self.data, self.functions.arch(), resamples, self.method, SEED)
        if self.arch_part == 1:
            return Contender(name, call)
        part = f"{resamples} of {self.n_resamples} resamples"
        return Contender(name, call, self.n_resamples / resamples, part)

    def disagreement(self, ours: Any, theirs: RivalInterval) -> float:
        if theirs.drawn_otherwise:
            # arch is asked for pearsonr's coefficient alone; with its p-value there are two rows.
            distribution = np.atleast_2d(ours.bootstrap_distribution)[0]
            ends = np.array([np.atleast_1d(end)[0] for end in ours.confidence_interval])
            return drawn_interval_disagreement(
                distribution, ends, theirs.ends, theirs.n_resamples, self.method == "BCa"
            )
        pairs = [(ours.bootstrap_distribution[..., : theirs.n_resamples], theirs.distribution)]
        if theirs.ends is not None:
            pairs.append((np.array(ours.confidence_interval), theirs.ends))
        if theirs.jackknife is not None:
            pairs.append((self._jackknife()[: len(theirs.jackknife)], theirs.jackknife))
        return max(interval_disagreement(*pair) for pair in pairs)

    def _jackknife(self) -> np.ndarray:
        """Fastkb's statistic without each observation in turn.  # shape: (n,)"""
        from fastkb.bootstrap.evaluate.jackknife import leave_one_out
        from fastkb.bootstrap.evaluate.statistics import recognise

        return leave_one_out(recognise(self.functions.fastkb()), self.data[0][None, :])[0]

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        return interval_bound(
            self.n_resamples * self.n, self.functions.samples, ceilings.draw, ceilings.gather
        )
