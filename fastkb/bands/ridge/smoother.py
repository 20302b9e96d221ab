"""Bands of kernel ridge regression from new responses: one factorisation serves all replicates.

Kernel ridge regression is linear in y: f(x) = k(x)ᵀ (K + λI)⁻¹ y. Where the inputs are held fixed and
only responses are drawn, the matrix S of k(x)ᵀ (K + λI)⁻¹ at all evaluation points is computed once, and
a replicate is S y*.

All rows weigh the same here, so a constant that is fitted too is the mean of what the kernel's part
leaves: the fit is that of centred responses by the centred kernel,

    K̃(x, x') = K(x, x') - mean_i K(x_i, x') - mean_j K(x, x_j) + mean_ij K(x_i, x_j),

plus the mean of the responses, and S gains 1/n everywhere.
"""

from __future__ import annotations

import warnings

import numpy as np

from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.replicates import Job, Replicates, Saving, allocate, restore
from fastkb.bands.ridge.solver_choice import SolverChoice
from fastkb.gram import engine
from fastkb.resample.scheme import rows_together
from fastkb.ridge.dual import has_true_pivots
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.progress import counted
from fastkb.runtime.threads import limit_blas
from fastkb.scalar.kernels import find

# Responses of a block.
_VALUES = 2**20


def response_replicates(job: Job) -> Replicates:
    """Fit all data and all replicates, and evaluate.

    Parameters
    ----------
    job : Job
        Its scheme is a ResponseScheme, as the user gave it: without fitted values it takes those of the
        fit on all data.
    """
    y = job.y
    job.scheme.around(y, y)  # what is wrong with its arguments is found before any work
    # A shift of the responses is one of the constant. Without it no digits are lost to their size.
    means = y.mean(axis=0) if job.source.fit_intercept else np.zeros(y.shape[1])
    with limit_blas(1):
        smoothers, fitted = _smoothers(job.source, y - means, job.alpha)
        center = np.stack([s @ (y - means)[:, t] for t, s in enumerate(smoothers)], axis=1) + means
    prepared = job.scheme.around(y, fitted + means)
    distribution = allocate(job)
    together = rows_together(_VALUES, y.size)
    done = restore(job.checkpoint, "responses", distribution)
    with (
        counted(job.progress, "replicates", job.n_resamples) as bar,
        Saving(job.checkpoint) as saving,
    ):
        bar.update(done)
        for first in range(done, job.n_resamples, together):
            count = min(together, job.n_resamples - first)
            responses = prepared.responses(job.key, first, count)
            for t, smoother in enumerate(smoothers):
                values = engine.compute(find("linear"), (), responses[t] - means[t], smoother)
                distribution[first : first + count, :, t] = values + means[t]
            saving.finished(responses=distribution[: first + count])
            bar.update(count)
    reason = "predictions are linear in the responses: one factorisation serves all replicates"
    return Replicates(center, distribution, SolverChoice("cholesky", reason), None, None, 0)


def _smoothers(
    source: KernelSource, y: np.ndarray, alpha: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """S for each target, and the fitted values at the data.  # shapes: (n_eval, n), (n, n_targets)

    If a constant is fitted, the means of y are zero.
    """
    from scipy import linalg

    K, cross = source.gram(), source.cross()
    of_mean = 0.0
    if source.fit_intercept:
        K, cross = _centred(K, cross)
        of_mean = 1.0 / len(K)
    by_penalty: dict[float, np.ndarray] = {}
    fitted = np.empty_like(y)
    for t, penalty in enumerate(alpha.tolist()):
        A = K + penalty * np.eye(len(K))
        rhs = np.concatenate([cross.T, y], axis=1)
        if penalty not in by_penalty:
            solution = _solve_positive(A, rhs)
            if solution is None:
                warnings.warn(
                    "K + alpha·I is singular to working precision and was solved by least squares. A "
                    "larger alpha makes it well posed.",
                    linalg.LinAlgWarning,
                    stacklevel=stacklevel(),
                )
                solution = np.linalg.lstsq(A, rhs, rcond=None)[0]
            by_penalty[penalty] = solution
        fitted[:, t] = K @ by_penalty[penalty][:, cross.shape[0] + t]
    n_eval = len(cross)
    smoothers = [
        np.ascontiguousarray(by_penalty[p][:, :n_eval].T + of_mean) for p in alpha.tolist()
    ]
    return smoothers, fitted


def _solve_positive(A: np.ndarray, rhs: np.ndarray) -> np.ndarray | None:
    """A⁻¹ rhs by Cholesky's method; None where A is singular to working precision."""
    from scipy.linalg import get_lapack_funcs

    potrf, potrs, pocon = get_lapack_funcs(("potrf", "potrs", "pocon"), (A,))
    factor, info = potrf(A, lower=1, clean=0)
    if info != 0 or not has_true_pivots(factor.diagonal(), A.diagonal()):
        return None
    rcond, _ = pocon(factor, np.abs(A).sum(axis=0).max(), uplo="L")
    return potrs(factor, rhs, lower=1)[0] if rcond >= np.finfo(A.dtype).eps else None


def _centred(K: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K̃ among the data, and of evaluation points with the data.  # shapes: (n, n), (n_eval, n)

    The first has the ones as an eigenvector of eigenvalue zero, which is raised to max K̃(x, x). No
    right-hand side has a part along them, so no solution has either, but with λ = 0 the system would be
    singular where the fit is not.
    """
    means = K.mean(axis=0)
    cross = cross - means
    cross -= cross.mean(axis=1, keepdims=True)
    centred = K - means - means[:, None] + means.mean()
    centred += np.abs(centred.diagonal()).max() / len(K)
    return centred, cross
