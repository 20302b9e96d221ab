"""The work "a Gram matrix": shapes in, contenders, agreement and bound out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.agreement import GramParameters, gram_disagreement
from bench.bounds import Bound, gram_bound
from bench.rivals import GAUSSIAN_PROCESS, GRAM_RIVALS
from bench.work import FASTKB, Absent, Contender

if TYPE_CHECKING:
    from bench.ceilings import Ceilings


def _object(p: GramParameters) -> Any:
    """The kernel object of this gamma; a period of 1."""
    from fastkb import kernels

    return {
        "matern32": lambda: kernels.Matern(1.5, p.gamma**-0.5),
        "matern52": lambda: kernels.Matern(2.5, p.gamma**-0.5),
        "rational_quadratic": lambda: kernels.RationalQuadratic(1.0, (2 * p.gamma) ** -0.5),
        "periodic": lambda: kernels.Periodic(1.0, p.gamma**-0.5),
    }[p.kernel]()


@dataclass(frozen=True)
class Gram:
    """K(X, X) or K(X, Y) of standard normal data; gamma = 1/d, coef0 = 1, degree = 3.

    Kernels of Gaussian processes have the length scale that goes with this gamma.
    """

    kernel: str
    n: int
    d: int
    dtype: str = "float64"
    two: bool = False  # Y differs from X, with as many rows
    out: bool = False  # fastkb writes into an array that is there (no rival can)
    fresh: bool = False  # fastkb keeps no pages of an earlier result, as in a first call
    rivals_offered: tuple[str, ...] = tuple(GRAM_RIVALS)

    @property
    def name(self) -> str:
        parts = [self.kernel, f"n{self.n}", f"d{self.d}"]
        parts += [self.dtype] * (self.dtype != "float64")
        parts += ["xy"] * self.two + ["out"] * self.out + ["fresh"] * self.fresh
        return "-".join(parts)

    group = "Gram matrix"

    @property
    def title(self) -> str:
        what = f"{self.kernel}, {self.dtype}, n = {self.n}, d = {self.d}"
        return what + ", X and Y" * self.two + ", `out=`" * self.out + ", new pages" * self.fresh

    @property
    def rivals(self) -> tuple[str, ...]:
        return tuple(r for r in self.rivals_offered if self.kernel in GRAM_RIVALS[r][1])

    @property
    def parameters(self) -> GramParameters:
        return GramParameters(self.kernel, gamma=1.0 / self.d)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray | None]:
        """X and Y, or X and None."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.n, self.d)).astype(self.dtype)
        Y = rng.standard_normal((self.n, self.d)).astype(self.dtype) if self.two else None
        return X, Y

    def fastkb(self) -> Contender:
        import fastkb
        from fastkb.runtime import pages

        X, Y = self.data
        p = self.parameters
        options: dict[str, Any] = {} if self.kernel == "linear" else {"gamma": p.gamma}
        if self.kernel in GAUSSIAN_PROCESS:
            function, options = partial(fastkb.gram, _object(p)), {}
        else:
            function = getattr(fastkb, f"{self.kernel}_kernel")
        if self.kernel in ("polynomial", "sigmoid"):
            options["coef0"] = p.coef0
        if self.kernel == "polynomial":
            options["degree"] = p.degree
        if self.out:
            options["out"] = np.zeros((self.n, self.n), self.dtype)  # touched: its pages are there

        def call():
            if self.fresh:
                pages.release()
            return function(X, Y, **options)

        return Contender(FASTKB, call)

    def rival(self, name: str) -> Contender | Absent:
        X, Y = self.data
        try:
            call = GRAM_RIVALS[name][0](X, Y, self.parameters)
        except ImportError as error:
            return Absent(name, f"{error.name} is not installed")
        return Contender(name, call)

    def disagreement(self, ours: Any, theirs: Any) -> float:
        X, Y = self.data
        return gram_disagreement(
            self.parameters, np.asarray(ours), np.asarray(theirs), X, X if Y is None else Y
        )

    def facts(self, ours: Any) -> None:
        return None

    def bound(self, ceilings: Ceilings, facts: Any) -> Bound:
        # Manhattan distances are no matrix product: their own inner form is the fastest there is.
        form = "absdiff" if self.kernel == "laplacian" else "gemm"
        return gram_bound(
            (self.n, self.n, self.d),
            symmetric=not self.two,
            itemsize=np.dtype(self.dtype).itemsize,
            write_rate=ceilings.write_fresh if self.fresh else ceilings.write_existing,
            epilogue_seconds=ceilings.epilogue(self.kernel, self.dtype),
            flop_rate=ceilings.flop_rate(self.dtype, form),
        )
