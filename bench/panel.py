"""The work "intervals of many series at once": of one length or of several, in blocks or row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.agreement import panel_disagreement
from bench.bounds import Bound, interval_bound
from bench.rivals import TSBOOTSTRAP, tsbootstrap_panel
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

SEED = 0


@dataclass(frozen=True)
class PanelIntervals:
    """95% percentile intervals of the means of `n_series` series of `n` values, or of n/2 to 3n/2."""

    scheme: str
    n_series: int = 10_000
    n: int = 200
    length: int = 20
    n_resamples: int = 1000
    ragged: bool = False

    group = "Bootstrap intervals of many series"
    rivals = (TSBOOTSTRAP,)

    @property
    def name(self) -> str:
        return f"panel-{self.scheme}{'-ragged' * self.ragged}-s{self.n_series}"

    @property
    def title(self) -> str:
        what = "single rows" if self.scheme == "iid" else f"{self.scheme} blocks of {self.length}"
        sizes = f"{self.n // 2} to {3 * self.n // 2}" if self.ragged else str(self.n)
        return f"{self.n_series} means, {what}, n = {sizes}, B = {self.n_resamples}"

    @cached_property
    def data(self) -> list[np.ndarray]:
        random = np.random.default_rng(SEED)
        few, many = (self.n // 2, 3 * self.n // 2) if self.ragged else (self.n, self.n)
        lengths = random.integers(few, many, self.n_series, endpoint=True)
        return [random.normal(size=n) for n in lengths]

    def fastkb(self) -> Contender:
        import fastkb
        from fastkb import schemes

        scheme = {
            "iid": lambda: None,
            "moving": lambda: schemes.MovingBlocks(self.length),
            "stationary": lambda: schemes.StationaryBlocks(self.length),
        }[self.scheme]()
        options = {"n_resamples": self.n_resamples, "method": "percentile", "rng": SEED}
        data = (self.data,)
        return Contender(
            FASTKB, lambda: fastkb.bootstrap_panel(data, np.mean, scheme=scheme, **options)
        )

    def rival(self, name: str) -> Contender | Absent:
        try:
            arguments = self.scheme, self.length, self.n_resamples, SEED
            return Contender(name, tsbootstrap_panel(self.data, *arguments))
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")

    def disagreement(self, ours: Any, theirs: np.ndarray) -> float:
        ends = np.array(ours.confidence_interval)
        return panel_disagreement(ends, ours.standard_error, theirs, self.n_resamples)

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        sizes = np.array([len(x) for x in self.data])
        drawn = sizes.sum() if self.scheme == "iid" else (-(-sizes // self.length)).sum()
        looked_up = 1 if self.scheme == "iid" else 2
        indices = self.n_resamples * int(drawn)
        return interval_bound(indices, looked_up, ceilings.draw, ceilings.gather)
