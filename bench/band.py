"""The work "a bootstrap band of kernel ridge regression": data, contenders, agreement and bound."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.agreement import band_disagreement
from bench.band_rivals import LOW_RANK, WEIGHTED, low_rank, weighted_cholesky
from bench.bounds import BandFigures, Bound, band_bound
from bench.machine import available_cores
from bench.rivals import REFIT, joblib_refit
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

SEED = 0


class Data(NamedTuple):
    """A sample and where its band is evaluated."""

    X: np.ndarray  # shape: (n, d)
    y: np.ndarray  # shape: (n,)
    X_eval: np.ndarray  # shape: (n_eval, d)


def smooth_sample(n: int, d: int, n_eval: int) -> Data:
    """A smooth function and normal noise of a third of its spread, y standardised.

    One or two columns: uniform on the unit interval or square, y = Σₖ sin(4πxₖ) + cos(2πx₁)/2, two
    waves across. More columns: standard normal, y = sin(Σₖ xₖ/√d) + x₁x₂/2, no structure that a few
    directions could carry.
    """
    rng = np.random.default_rng(SEED)
    if d <= 2:
        X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(n_eval, d))
        f = np.sin(4 * np.pi * X).sum(axis=1) + 0.5 * np.cos(2 * np.pi * X[:, 0])
    else:
        X, X_eval = rng.standard_normal((n, d)), rng.standard_normal((n_eval, d))
        f = np.sin(X.sum(axis=1) / np.sqrt(d)) + 0.5 * X[:, 0] * X[:, 1]
    y = f + rng.standard_normal(n) * f.std() / 3
    return Data(X, (y - y.mean()) / y.std(), X_eval)


@dataclass(frozen=True)
class Band:
    """`n_resamples` refits of one kernel ridge regression, predicted at `n_eval` points."""

    n: int
    d: int
    sigma: float  # the textbook's bandwidth, in the units of X: gamma = 1/(2σ²)
    alpha: float  # the penalty λ
    timed_refits: int  # replicates that the rival is timed on
    n_resamples: int = 1000
    n_eval: int = 200
    processes: int = 0  # 0: as many as there are cores

    @property
    def name(self) -> str:
        return f"band-n{self.n}-d{self.d}"

    group = "Bootstrap band"

    @property
    def title(self) -> str:
        return (
            f"B = {self.n_resamples}, n = {self.n}, d = {self.d}, "
            f"σ = {self.sigma:g}, λ = {self.alpha:g}"
        )

    @property
    def rivals(self) -> tuple[str, ...]:
        # Where the kernel has full rank, nobody would take a basis of a few directions.
        return (REFIT, WEIGHTED, LOW_RANK) if self.d <= 2 else (REFIT, WEIGHTED)

    @property
    def gamma(self) -> float:
        return 1.0 / (2.0 * self.sigma**2)

    @cached_property
    def data(self) -> Data:
        return smooth_sample(self.n, self.d, self.n_eval)

    def fastkb(self) -> Contender:
        import fastkb

        model = fastkb.KernelRidge(kernel="rbf", alpha=self.alpha, gamma=self.gamma)
        X, y, X_eval = self.data

        def call():
            return fastkb.bootstrap_band(
                model, X, y, X_eval, n_resamples=self.n_resamples, rng=SEED
            )

        return Contender(FASTKB, call)

    def rival(self, name: str) -> Contender | Absent:
        processes = self.processes or available_cores()
        data, kernel = tuple(self.data), (self.alpha, self.gamma)
        try:
            if name == LOW_RANK:
                return Contender(name, low_rank(data, self.counts(self.n_resamples), *kernel))
            if name == WEIGHTED:
                counts = self.counts(self.timed_refits)
                call = weighted_cholesky(data, counts, *kernel, processes)
            else:
                call = joblib_refit(data, self.resampled_rows(), *kernel, processes)
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")
        scale = self.n_resamples / self.timed_refits
        return Contender(name, call, scale, f"{self.timed_refits} of {self.n_resamples} refits")

    def counts(self, n_resamples: int) -> np.ndarray:
        """How often fastkb's first resamples hold each row.  # shape: (n_resamples, n)"""
        from fastkb.random.streams import bootstrap_counts, key_from_rng

        return bootstrap_counts(key_from_rng(SEED), 0, n_resamples, self.n)

    def resampled_rows(self) -> np.ndarray:
        """The rows of fastkb's first resamples, duplicates and all.  # shape: (timed_refits, n)"""
        counts = self.counts(self.timed_refits)
        return np.array([np.repeat(np.arange(self.n), c) for c in counts])

    def disagreement(self, ours: Any, theirs: Any) -> float:
        return band_disagreement(ours.distribution[: len(theirs)], theirs, self.data.y)

    def facts(self, ours: Any) -> BandFigures:
        ratios: tuple[float, ...] = ()
        if ours.rank is not None:
            import fastkb

            K = fastkb.rbf_kernel(self.data.X, gamma=self.gamma)
            eigenvalues = np.linalg.eigvalsh(K)[::-1][: ours.rank]
            ratios = tuple((np.maximum(eigenvalues, 0.0) / self.alpha).tolist())
        return BandFigures(ours.n_resamples, ours.solver, ours.n_exact, ratios)

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        return band_bound(self.n, self.n_eval, facts, ceilings.flop_rate("float64", "gemm"))
