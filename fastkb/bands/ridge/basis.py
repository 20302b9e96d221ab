r"""A low-rank basis for all replicates of a band, as large as the certificate needs.

The functions K(·, z) of r pivots z, chosen among training and evaluation points by pivoted Cholesky,
span a space; kernel ridge regression restricted to it differs from the exact one by what E = K - LLᵀ left
out (docs/band.md). With L = QΣVᵀ the basis is whitened for a penalty λ,

    Ψ = L V (Σ² + λ)^{-1/2},      ΨᵀΨ + D = I,      D = λ (Σ² + λ)⁻¹,

so that every replicate's matrix ΨᵀWΨ + D scatters around the identity: well conditioned however small λ
is, and its weak directions (σ² below λ) hardly differ from it.

A constant that is fitted beside the kernel's functions is one more direction, the first, without penalty:
ψ₀ = 1/√n everywhere, σ² = ∞ and D = 0. What the others have in common with it, their means over the
training points, is taken from the rows of L, so that ΨᵀΨ + D = I holds for all directions together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.linalg.pivoted import ROUNDING, PivotedCholesky

# Certified error of every prediction, as a fraction of y's range; refits agree to 1e-6 of it.
TOLERANCE = 5e-7
# The part of it that conjugate gradients may use up.
ITERATION_SHARE = 0.1
# How a replicate's certificate compares with that of all data: residuals are weighted, leverages grow
# where rows are missing, and of a thousand replicates the worst should pass.
_SAFETY = 6.0
_LEVERAGE_GROWTH = 2.5
# An evaluation point becomes a pivot when its residual is this many times (inverse) the largest at a
# training point: looser, as fewer digits are needed there, but not by much (see Basis._grow).
_EVAL_PRIORITY = 1.0 / 16.0


class Refused(Exception):
    """No basis can be certified, or none that pays; the message says why."""


class Whitened(NamedTuple):
    """The basis for one penalty."""

    psi: np.ndarray  # Ψ over training points.     shape: (n, rank)
    psi_eval: np.ndarray  # over evaluation points. shape: (n_eval, rank)
    eigenvalues: np.ndarray  # σ², descending.      shape: (rank,)
    shrinkage: np.ndarray  # the diagonal of D.     shape: (rank,)
    penalty: float


class Basis:
    """Pivoted Cholesky of the kernel over training and evaluation points, rotated to its axes.

    Parameters
    ----------
    source : KernelSource
    y : ndarray
        Targets.  # shape: (n, n_targets)
    alpha : ndarray
        Penalty of each target.  # shape: (n_targets,)
    scale : ndarray
        What each target's errors are measured by: its range.  # shape: (n_targets,)
    max_rank : int

    Raises
    ------
    Refused
    """

    def __init__(
        self,
        source: KernelSource,
        y: np.ndarray,
        alpha: np.ndarray,
        scale: np.ndarray,
        max_rank: int,
    ) -> None:
        if source.is_precomputed:
            raise Refused("a precomputed kernel cannot be evaluated between evaluation points")
        if not source.is_positive_semidefinite:
            raise Refused("the kernel is not known to be positive semidefinite")
        if alpha.min() <= 0.0:
            raise Refused("alpha is 0")
        self._n = source.n
        self._fit_intercept = source.fit_intercept
        self._y, self._alpha, self._scale = y, alpha, scale
        diagonal = source.diagonal()
        if not diagonal.max(initial=0.0) > 0.0:
            raise Refused("the kernel is zero at all points")
        # No (k_x, (C + λ)⁻¹k_x) of docs/band.md exceeds the largest K(x, x)/λ, but of a constant without
        # penalty nothing is known before the data are.
        self.prior_eval = math.inf if self._fit_intercept else float(diagonal[self._n :].max())
        self._max_rank = max_rank
        self._decomposition = PivotedCholesky(diagonal, source.column, max_rank)
        self._is_eval = np.arange(len(diagonal)) >= self._n
        # Far enough for the fit on all data to show how large residuals and leverages are.
        self._grow(0.01 * float(alpha.min()), math.inf)
        self.raise_accuracy(1.0)

    @property
    def rank(self) -> int:
        """Number of pivots: of directions, if no constant is fitted."""
        return self._decomposition.rank

    @property
    def residual(self) -> np.ndarray:
        """Residual diagonal at the training points.  # shape: (n,)"""
        return self._decomposition.residual[: self._n]

    @property
    def residual_eval(self) -> np.ndarray:
        """Residual diagonal at the evaluation points.  # shape: (n_eval,)"""
        return self._decomposition.residual[self._n :]

    def raise_accuracy(self, factor: float) -> None:
        """Append pivots until certificates are expected to meet TOLERANCE / `factor`.

        Raises
        ------
        Refused
        """
        trace, at_points = self._requirements()
        self._grow(trace / factor, at_points / factor**2)

    def _grow(self, trace: float, at_points: float) -> None:
        """Append pivots until Σd at training points and max d at evaluation points are that small."""
        decomposition, n = self._decomposition, self._n
        # A pivot's residual d_p is known to eps only, so a point j of larger residual receives an error
        # of eps·√(d_j / d_p) in its kernel values: far evaluation points must not lag behind.
        both = np.where(self._is_eval, _EVAL_PRIORITY, 1.0)
        decomposition.grow(self._small_enough(trace), both)
        only_eval = self._is_eval.astype(float)
        decomposition.grow(lambda residual: float(residual[n:].max()) <= at_points, only_eval)
        # Where rounding errors end the decomposition before, the certificates may still be met: only
        # their margin is at stake, and each replicate is checked.
        margin = _SAFETY if self.rank < self._max_rank else 1.0
        if (
            self.residual.sum() <= margin * trace
            and self.residual_eval.max() <= margin**2 * at_points
        ):
            return
        if self.rank >= self._max_rank:
            if self._max_rank >= n:
                raise Refused(f"the kernel has full rank, {n}")
            raise Refused(
                f"the kernel's rank is above {self._max_rank}, too large for a low-rank basis to pay"
            )
        raise Refused(
            "alpha is so small that rounding errors of the kernel alone exceed the tolerance"
        )

    def _small_enough(self, trace: float) -> Callable[[np.ndarray], bool]:
        """Whether Σd at training points has come down to `trace`.

        At ranks 32, 64, 128, … it is also asked whether it ever will: the rate at which Σd fell since
        half the rank does not rise in more than one dimension, so what it promises is a lower bound of
        the rank. A kernel of finite rank falls to zero all at once; where that is expected too late,
        the other solver is slower, and no less exact.
        """
        n = self._n
        traces: dict[int, float] = {}

        def enough(residual: np.ndarray) -> bool:
            left = float(residual[:n].sum())
            rank = self.rank
            if left <= trace:
                return True
            if rank >= 16 and rank & (rank - 1) == 0 and self._max_rank < n:
                traces[rank] = left
                before = traces.get(rank // 2, math.inf)
                rate = math.log(before / left) / (rank / 2)
                expected = rank + math.log(left / trace) / max(rate, 1e-12)
                if before < math.inf and expected > self._max_rank:
                    raise Refused(
                        f"the kernel's rank is expected to be above {self._max_rank}, "
                        "too large for a low-rank basis to pay"
                    )
            return False

        return enough

    def _requirements(self) -> tuple[float, float]:
        """Trace of E over training points and largest d of evaluation points that would do.

        From the bound of docs/band.md for the fit on all data, its terms being typical:
        ρ ≈ |y - f| √trace / λ, τ = trace / λ, h ≈ max |ψ_eval|².
        """
        n = self._n
        L = self._factor()
        training, evaluation = L[:, :n], L[:, n:]
        # ψ₀² of the constant's direction at every point, and the targets without it.
        of_constant, responses = 0.0, self._y
        if self._fit_intercept:
            of_constant, responses = 1.0 / n, self._y - self._y.mean(axis=0)
        moments = training @ training.T  # shape: (rank, rank)
        trace, at_points = math.inf, math.inf
        for penalty in np.unique(self._alpha):
            targets = self._alpha == penalty
            factor = np.linalg.cholesky(moments + penalty * np.eye(self.rank))
            whitened = np.linalg.solve(factor, evaluation)
            leverage = float((whitened**2).sum(axis=0).max()) + of_constant
            y = responses[:, targets]
            beta = np.linalg.solve(factor.T, np.linalg.solve(factor, training @ y))
            misfit = np.sqrt(((y - training.T @ beta) ** 2).sum(axis=0)) / self._scale[targets]
            worst = max(float(misfit.max()), 1e-12)
            reach = math.sqrt(min(_LEVERAGE_GROWTH * leverage, self.prior_eval / penalty))
            # τ below a tenth keeps the bound's factors √(1 + τ) near 1.
            needed = min(0.7 * TOLERANCE * penalty / (worst * max(reach, 1e-12)), 0.1 * penalty)
            needed /= _SAFETY
            rho = worst * math.sqrt(needed) / penalty
            trace = min(trace, needed)
            at_points = min(at_points, (0.2 * TOLERANCE / rho) ** 2)
        return trace, max(at_points, 2 * ROUNDING)

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues σ² of LᵀL, descending, and Lᵀ rotated to their axes.  # shapes: (r,), (r, N)

        If a constant is fitted: σ² = ∞ and a row of ones, then these of the centred L.
        """
        L = self._factor()
        training = L[:, : self._n]
        values, vectors = np.linalg.eigh(training @ training.T)
        values, rotated = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T @ L
        if self._fit_intercept:
            values = np.concatenate([[math.inf], values])
            rotated = np.concatenate([np.ones((1, rotated.shape[1])), rotated])
        return values, rotated

    def _factor(self) -> np.ndarray:
        """Lᵀ, less the training points' mean if a constant is fitted.  # shape: (rank, n + n_eval)"""
        L = self._decomposition.factor
        return L - self._means()[:, None] if self._fit_intercept else L

    def _means(self) -> np.ndarray:
        """Means of L's columns over the training points.  # shape: (rank,)"""
        return self._decomposition.factor[:, : self._n].mean(axis=1)

    def constants(self, dual: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The constants b of the fits b + Σ α_i K(x, x_i) of several targets to all data.

        As Σ α_i = 0, a fit has the mean of its targets over the training points. What the kernel's part
        contributes to that is the mean row of L times Lᵀα; the constant is the rest.

        # shapes: (n, len(targets)) and (len(targets),) -> (len(targets),)
        """
        training = self._decomposition.factor[:, : self._n]
        return self._y[:, targets].mean(axis=0) - self._means() @ (training @ dual)


def whiten(eigenvalues: np.ndarray, rotated: np.ndarray, n: int, penalty: float) -> Whitened:
    """The whitened basis of one penalty.  # rotated: (rank, n + n_eval)"""
    roots = np.sqrt(eigenvalues + penalty)
    roots[np.isinf(roots)] = math.sqrt(n)  # a constant without penalty
    psi = (rotated / roots[:, None]).T
    return Whitened(psi[:n], psi[n:], eigenvalues, penalty / (eigenvalues + penalty), penalty)
