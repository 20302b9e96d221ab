"""The work "predictions of kernel ridge regression": a Gram matrix times coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.bounds import Bound, gram_bound
from bench.rivals import SKLEARN
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings


@dataclass(frozen=True)
class Product:
    """``KernelRidge.predict`` of n rows by a model of as many, rbf, gamma = 1/d: no fit is timed."""

    n: int
    d: int
    dtype: str = "float64"

    group = "Kernel ridge regression"
    rivals = (SKLEARN,)

    @property
    def name(self) -> str:
        return f"ridge-predict-n{self.n}-d{self.d}" + f"-{self.dtype}" * (self.dtype != "float64")

    @property
    def title(self) -> str:
        return f"predict, rbf, {self.dtype}, {self.n} rows by {self.n}, d = {self.d}"

    @cached_property
    def _data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        X, Z = (rng.standard_normal((self.n, self.d)).astype(self.dtype) for _ in range(2))
        return X, Z, rng.standard_normal(self.n).astype(self.dtype)

    def _fitted(self, kind: Any) -> Any:
        """An estimator with these coefficients, without the fit that would have found them."""
        X, _, coefficients = self._data
        model = kind(kernel="rbf", gamma=1.0 / self.d).fit(X[:2], coefficients[:2])
        model.X_fit_, model.dual_coef_ = X, coefficients
        return model

    def fastkb(self) -> Contender:
        from fastkb import KernelRidge

        model, Z = self._fitted(KernelRidge), self._data[1]
        return Contender(FASTKB, lambda: model.predict(Z))

    def rival(self, name: str) -> Contender | Absent:
        from sklearn.kernel_ridge import KernelRidge

        model, Z = self._fitted(KernelRidge), self._data[1]
        return Contender(name, lambda: model.predict(Z))

    def disagreement(self, ours: Any, theirs: Any) -> float:
        """In units of the rounding error of sums of n products, of which each may be 1 at most."""
        size = np.finfo(self.dtype).eps * np.sqrt(self.n) * np.abs(self._data[2]).sum()
        return float(np.abs(ours - theirs).max() / size)

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        """A Gram matrix that is not written."""
        return gram_bound(
            (self.n, self.n, self.d),
            symmetric=False,
            itemsize=0,
            write_rate=1.0,
            epilogue_seconds=ceilings.epilogue("rbf", self.dtype),
            flop_rate=ceilings.flop_rate(self.dtype, "gemm"),
        )
