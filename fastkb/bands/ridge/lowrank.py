"""The solver `lowrank`: all replicates in one small basis, each with a certificate.

:mod:`fastkb.bands.ridge.basis` finds the basis, :mod:`fastkb.bands.ridge.lowrank_block` solves a block of
replicates in it; here the data are packed for the micro-kernel and the blocks are handed out.
"""

from __future__ import annotations

import numpy as np

from fastkb.bands.ridge.basis import ITERATION_SHARE, TOLERANCE, Basis, Whitened, whiten
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.lowrank_block import solve_blocks
from fastkb.bands.ridge.lowrank_problem import (
    BATCH,
    MR,
    Limits,
    LowRankProblem,
    LowRankWorkspace,
    Sizes,
    pack_columns,
    pack_rows,
    up,
    workspace,
)
from fastkb.bands.ridge.solver_choice import Split, split_basis
from fastkb.linalg.lanes import QUAD
from fastkb.runtime.threads import n_threads

# Evaluation points at which the fit on all data is compared with the kernel's own values.
_CHECKED = 512


class Group:
    """The targets of one penalty, in the basis whitened for it."""

    def __init__(
        self,
        basis: Basis,
        whitened: Whitened,
        split: Split,
        targets: np.ndarray,
        y: np.ndarray,
        scale: np.ndarray,
    ) -> None:
        n, rank = whitened.psi.shape
        n_eval = len(whitened.psi_eval)
        strong = split.strong
        self.targets = targets
        self.scale = scale[targets]
        self.sizes = Sizes(n, up(n), rank, up(rank), strong, n_eval)
        self._whitened = whitened
        self._y = y[:, targets]
        self._residual, self._residual_eval = basis.residual, basis.residual_eval
        self._prior = basis.prior_eval
        # Filled up with zeros, which never are the largest.
        quads = -(-n_eval // QUAD)
        padded_eval = np.zeros((quads * QUAD, rank))
        padded_eval[:n_eval] = whitened.psi_eval
        in_fours = padded_eval.reshape(quads, QUAD, rank).transpose(0, 2, 1)
        weak_ratio = (
            float(whitened.eigenvalues[strong]) / whitened.penalty if strong < rank else 0.0
        )
        limits = Limits(
            whitened.penalty,
            weak_ratio,
            self._prior,
            float(self._residual_eval.max()),
            ITERATION_SHARE * TOLERANCE * float(self.scale.min()),
        )
        padded_y = np.zeros((len(targets), self.sizes.n_padded))
        padded_y[:, :n] = self._y.T
        residual = np.zeros(self.sizes.n_padded)
        residual[:n] = self._residual
        self.problem = LowRankProblem(
            pack_rows(whitened.psi),
            pack_columns(whitened.psi),
            pack_rows(whitened.psi_eval),
            np.ascontiguousarray(in_fours[:, :strong]),
            np.ascontiguousarray((in_fours[:, strong:] ** 2).sum(axis=1)),
            np.ascontiguousarray(whitened.shrinkage),
            residual,
            np.sqrt(residual) / whitened.penalty,
            padded_y,
            np.array(limits),
        )

    def center(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The fit on all data, bounds of its error, and its coefficients α.

        The basis is whitened for unit weights: the system's matrix is the identity up to the
        rounding of the eigendecomposition, which two corrections remove.

        # shapes: (n_eval, n_targets), (n_targets,), (n, n_targets)
        """
        basis, y = self._whitened, self._y
        psi, shrinkage = basis.psi, basis.shrinkage[:, None]
        z = psi.T @ y
        for _ in range(2):
            z += psi.T @ (y - psi @ z) - shrinkage * z
        misfit = y - psi @ z
        left = psi.T @ misfit - shrinkage * z
        rho = np.sqrt(self._residual) @ np.abs(misfit) / basis.penalty
        trace = float(self._residual.sum())
        tau = trace / basis.penalty
        reach = (basis.psi_eval**2).sum(axis=1).max() / 0.99
        inside = np.sqrt(trace * (1 + tau) * min(reach, self._prior / basis.penalty))
        outside = np.sqrt(self._residual_eval.max()) * (1 + np.sqrt(tau))
        error = np.sqrt(reach / 0.99) * np.sqrt((left**2).sum(axis=0))
        return basis.psi_eval @ z, rho * (inside + outside) + error, misfit / basis.penalty


class LowRank:
    """Replicates of a band in a low-rank basis.

    Parameters
    ----------
    source : KernelSource
    basis : Basis
    y : ndarray
        # shape: (n, n_targets)
    alpha, scale : ndarray
        Penalty and range of each target.  # shape: (n_targets,)
    """

    def __init__(
        self,
        source: KernelSource,
        basis: Basis,
        y: np.ndarray,
        alpha: np.ndarray,
        scale: np.ndarray,
    ) -> None:
        self._source, self._basis = source, basis
        self._y, self._alpha, self._scale = y, alpha, scale
        n, n_eval = len(y), len(basis.residual_eval)
        self._eigenvalues, self._rotated = basis.axes()
        self._penalties = np.unique(alpha)
        self.splits = [
            split_basis(
                n, n_eval, int(np.sum(alpha == penalty)), self._eigenvalues, float(penalty), MR
            )
            for penalty in self._penalties
        ]
        self._groups: list[Group] = []
        self._work: list[LowRankWorkspace] = []

    @property
    def rank(self) -> int:
        """Number of directions."""
        return len(self._eigenvalues)

    def prepare(self) -> None:
        """Pack the data and take scratch; call before the other methods."""
        for penalty, split in zip(self._penalties, self.splits, strict=True):
            targets = np.flatnonzero(self._alpha == penalty)
            whitened = whiten(self._eigenvalues, self._rotated, len(self._y), float(penalty))
            group = Group(self._basis, whitened, split, targets, self._y, self._scale)
            self._groups.append(group)
            self._work.append(workspace(group.sizes, n_threads()))
        del self._rotated

    def center(self) -> tuple[np.ndarray, float]:
        """The fit on all data, and its error's bound as a fraction of the range.

        The bound is for exact arithmetic. Rounding errors that the decomposition amplified would show
        in f(x) = b + Σ α_i K(x, x_i), evaluated with the kernel itself at some of the points: what
        differs there counts as error too.

        Returns
        -------
        center : ndarray
            # shape: (n_eval, n_targets)
        bound : float
        """
        n, n_eval = len(self._y), self._groups[0].sizes.n_eval
        out = np.empty((n_eval, self._y.shape[1]))
        sample = np.unique(np.linspace(0, n_eval - 1, min(n_eval, _CHECKED)).astype(np.intp))
        rows = self._source.rows(n + sample)
        worst = 0.0
        for group in self._groups:
            values, bounds, dual = group.center()
            out[:, group.targets] = values
            of_kernel = rows @ dual
            if self._source.fit_intercept:
                of_kernel += self._basis.constants(dual, group.targets)
            difference = np.abs(of_kernel - values[sample]).max(axis=0)
            worst = max(worst, float((np.maximum(bounds, difference) / group.scale).max()))
        return out, worst

    def predict(self, key: np.ndarray, first: int, out: np.ndarray) -> np.ndarray:
        """Write the predictions of replicates `first`, … into `out`, with certified bounds.

        Parameters
        ----------
        key : ndarray of uint32, shape (4,)
        first : int
            A multiple of BATCH.
        out : ndarray
            C-contiguous.  # shape: (count, n_eval, n_targets)

        Returns
        -------
        ndarray
            Bounds of the errors as a fraction of the range, the worst target's; NaN where a
            factorisation failed.  # shape: (count,)
        """
        count, n_eval, n_targets = out.shape
        worst = np.zeros(count)
        for group, work in zip(self._groups, self._work, strict=True):
            shape = (len(group.targets), count, n_eval)
            values = out.reshape(shape) if n_targets == 1 else np.empty(shape)
            bounds = np.empty((len(group.targets), count))
            solve_blocks(group.problem, group.sizes, key, first, work, values, bounds)
            if n_targets > 1:
                out[:, :, group.targets] = values.transpose(1, 2, 0)
            worst = np.maximum(worst, (bounds / group.scale[:, None]).max(axis=0))
        return worst


__all__ = ["BATCH", "LowRank"]
