"""The work "an interval by a scheme": series, strata, clusters, fewer rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.agreement import drawn_interval_disagreement
from bench.bounds import Bound, interval_bound
from bench.rivals import ARCH, TSBOOTSTRAP, arch_block_interval, tsbootstrap_interval
from bench.rivals import Interval as RivalInterval
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

SEED = 0
BLOCKS = ("moving", "circular", "stationary")
STATISTICS: dict[str, Callable] = {"mean": np.mean, "median": np.median}


def autoregressive_series(n: int) -> np.ndarray:
    """Each value is half the one before, and noise."""
    noise = np.random.default_rng(SEED).standard_normal(n + 100)
    x = np.zeros(n + 100)
    for k in range(1, n + 100):
        x[k] = 0.5 * x[k - 1] + noise[k]
    return x[100:]


@dataclass(frozen=True)
class SchemeInterval:
    """A 95% percentile interval of one statistic of a series of `n` values, by one scheme.

    `length` is that of blocks or, on average, of stationary ones; of a stratum or cluster; or how many
    rows are drawn.
    """

    scheme: str
    n: int
    length: int
    statistic: str = "mean"
    n_resamples: int = 9999
    # arch does a `part`-th of the resamples.
    arch_part: int = 1

    @property
    def name(self) -> str:
        return f"scheme-{self.scheme}-{self.statistic}-n{self.n}"

    group = "Bootstrap interval by a scheme"

    @property
    def title(self) -> str:
        what = {
            "iid": "single rows",
            "stratified": f"strata of {self.length}",
            "clusters": f"clusters of {self.length}",
            "fewer": f"{self.length} rows of n",
            "subsampling": f"{self.length} different rows",
            "bayesian": "Bayesian weights",
        }.get(self.scheme, f"{self.scheme} blocks of {self.length}")
        return f"{self.statistic}, {what}, n = {self.n}, B = {self.n_resamples}"

    @property
    def rivals(self) -> tuple[str, ...]:
        if self.scheme not in (*BLOCKS, "iid"):
            return ()
        return (TSBOOTSTRAP, ARCH) if self.statistic == "mean" else (ARCH,)

    @cached_property
    def data(self) -> np.ndarray:
        return autoregressive_series(self.n)

    def fastkb(self) -> Contender:
        import fastkb
        from fastkb import schemes

        groups = np.arange(self.n) // self.length
        make: dict[str, Callable] = {
            "iid": lambda: None,
            "moving": lambda: schemes.MovingBlocks(self.length),
            "circular": lambda: schemes.CircularBlocks(self.length),
            "stationary": lambda: schemes.StationaryBlocks(self.length),
            "stratified": lambda: schemes.Stratified(groups),
            "clusters": lambda: schemes.Clusters(groups),
            "fewer": lambda: schemes.MOutOfN(self.length),
            "subsampling": lambda: schemes.Subsampling(self.length),
            "bayesian": schemes.Bayesian,
        }
        data, statistic = (self.data,), STATISTICS[self.statistic]
        options = {"n_resamples": self.n_resamples, "method": "percentile", "rng": SEED}
        options["scheme"] = make[self.scheme]()
        return Contender(FASTKB, lambda: fastkb.bootstrap(data, statistic, **options))

    def rival(self, name: str) -> Contender | Absent:
        try:
            if name == TSBOOTSTRAP:
                arguments = self.scheme, self.length, self.statistic, self.n_resamples, SEED
                return Contender(name, tsbootstrap_interval(self.data, *arguments))
            return self._arch()
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")

    def _arch(self) -> Contender:
        resamples = -(-self.n_resamples // self.arch_part)
        arguments = self.scheme, self.length, STATISTICS[self.statistic], resamples, SEED
        call = arch_block_interval(self.data, *arguments)
        if self.arch_part == 1:
            return Contender(ARCH, call)
        part = f"{resamples} of {self.n_resamples} resamples"
        return Contender(ARCH, call, self.n_resamples / resamples, part)

    def disagreement(self, ours: Any, theirs: RivalInterval) -> float:
        ends = np.array(ours.confidence_interval)
        return drawn_interval_disagreement(
            ours.bootstrap_distribution, ends, theirs.ends, theirs.n_resamples, False
        )

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        drawn = self.length if self.scheme in ("fewer", "subsampling") else self.n
        looked_up = 1
        if self.statistic == "mean" and self.scheme in (*BLOCKS, "clusters"):
            # A run is one draw and, with partial sums at hand, two values, however long it is.
            drawn, looked_up = -(-self.n // self.length), 2
        return interval_bound(self.n_resamples * drawn, looked_up, ceilings.draw, ceilings.gather)
