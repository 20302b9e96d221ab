"""Bands of kernel ridge regression with a choice in each refit, and for new observations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.agreement import band_disagreement
from bench.band import SEED, Data, smooth_sample
from bench.bounds import Bound
from bench.machine import available_cores
from bench.rivals import REFIT, in_processes, left_out_chunk, searched_chunk
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings

N_EVAL = 200


@dataclass(frozen=True)
class Searched:
    """Refits to resampled rows, each with a choice of width and penalty by leave-one-out."""

    n: int
    timed_refits: int  # replicates that the rival is timed on
    n_resamples: int = 1000
    processes: int = 0  # 0: as many as there are cores

    group = "Bootstrap band"
    rivals = (REFIT,)

    @property
    def name(self) -> str:
        return f"band-search-n{self.n}"

    @property
    def title(self) -> str:
        return f"KernelRidgeCV in each refit, B = {self.n_resamples}, n = {self.n}, d = 1"

    @cached_property
    def data(self) -> Data:
        return smooth_sample(self.n, 1, N_EVAL)

    def fastkb(self) -> Contender:
        import fastkb

        model = fastkb.KernelRidgeCV(fit_intercept=True)

        def call():
            return fastkb.bootstrap_band(model, *self.data, n_resamples=self.n_resamples, rng=SEED)

        return Contender(FASTKB, call)

    def rival(self, name: str) -> Contender | Absent:
        """scikit-learn's RidgeCV on a factor of each kernel: the same leave-one-out errors and fits."""
        from fastkb.random.streams import bootstrap_counts, key_from_rng

        try:
            weights = bootstrap_counts(key_from_rng(SEED), 0, self.timed_refits, self.n)
            factors = [self.factor(gamma) for gamma in self.gammas]
            arguments = ([one[0] for one in factors], [one[1] for one in factors], self.data.y)
            call = in_processes(
                searched_chunk, arguments, weights, self.processes or available_cores()
            )
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")
        scale = self.n_resamples / self.timed_refits
        return Contender(name, call, scale, f"{self.timed_refits} of {self.n_resamples} refits")

    @cached_property
    def gammas(self) -> np.ndarray:
        from fastkb.ridge.selection.grid import default_gammas

        gammas = default_gammas(self.data.X, "rbf")
        assert gammas is not None
        return gammas

    def factor(self, gamma: float) -> tuple[np.ndarray, np.ndarray]:
        """L of K = LLᵀ on the data, and its rows at the points.  # shapes: (n, rank), (n_eval, rank)"""
        import fastkb

        X, _, X_eval = self.data
        values, vectors = np.linalg.eigh(fastkb.rbf_kernel(X, gamma=gamma))
        kept = values > 1e-12 * values[-1]
        root = np.sqrt(values[kept])
        cross = fastkb.rbf_kernel(X_eval, X, gamma=gamma)
        return vectors[:, kept] * root, cross @ vectors[:, kept] / root

    def disagreement(self, ours: Any, theirs: Any) -> float:
        return band_disagreement(ours.distribution[: len(theirs)], theirs, self.data.y)

    def facts(self, ours: Any) -> Any:
        return [self.factor(gamma)[0].shape[1] for gamma in self.gammas]

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        """LᵀWL over the distinct rows, its eigenvectors, and a fit's leverages, for each kernel."""
        distinct = 0.632 * self.n
        flops = self.n_resamples * sum(2 * distinct * r**2 + 9 * r**3 for r in facts)
        seconds = flops / ceilings.flop_rate("float64", "gemm")
        return Bound(seconds, f"search, ranks {min(facts)} to {max(facts)}", {"flops": flops})


@dataclass(frozen=True)
class Prediction:
    """The jackknife+: all curves that are fitted without one of the rows."""

    n: int
    sigma: float = 0.1
    alpha: float = 1e-2
    processes: int = 0  # 0: as many as there are cores

    group = "Bootstrap band"
    rivals = (REFIT,)

    @property
    def name(self) -> str:
        return f"band-prediction-n{self.n}"

    @property
    def title(self) -> str:
        return (
            f"prediction (jackknife+), n = {self.n}, d = 1, σ = {self.sigma:g}, λ = {self.alpha:g}"
        )

    @cached_property
    def data(self) -> Data:
        return smooth_sample(self.n, 1, N_EVAL)

    @property
    def gamma(self) -> float:
        return 1.0 / (2.0 * self.sigma**2)

    def fastkb(self) -> Contender:
        import fastkb

        model = fastkb.KernelRidge(self.alpha, kernel="rbf", gamma=self.gamma)

        def call():
            return fastkb.bootstrap_band(model, *self.data, kind="prediction", rng=SEED)

        return Contender(FASTKB, call)

    def rival(self, name: str) -> Contender | Absent:
        try:
            arguments = (*self.data, self.alpha, self.gamma)
            rows = np.arange(self.n)
            call = in_processes(
                left_out_chunk, arguments, rows, self.processes or available_cores()
            )
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")
        return Contender(name, call)

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """Of the band that is read off the rival's left-out curves, their errors in the last column."""
        from fastkb.bands.coverage.jackknife import interval

        edges = interval(theirs[:, :-1].T, np.abs(theirs[:, -1]), 0.9)
        return band_disagreement(np.array([ours.low, ours.high]), np.array(edges), self.data.y)

    def facts(self, ours: Any) -> Any:
        return ours.rank or self.n

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        """A basis of the rank, and the smoother."""
        flops = self.n * facts**2 + 2 * self.n * facts * N_EVAL
        seconds = flops / ceilings.flop_rate("float64", "gemm")
        return Bound(seconds, f"smoother, rank {facts}", {"flops": flops})
