"""Bands of kernel ridge regression from new responses: one factorisation serves all replicates.

Kernel ridge regression is linear in y: f(x) = k(x)ᵀ (K + λI)⁻¹ y. Where the inputs are held fixed and
only responses are drawn, the matrix S of k(x)ᵀ (K + λI)⁻¹ at all evaluation points is computed once, and
a replicate is S y*.
"""

from __future__ import annotations

import warnings

import numpy as np

from fastkb.bootstrap.kernel_source import KernelSource
from fastkb.bootstrap.plan import Plan
from fastkb.bootstrap.replicates import Job, Replicates, Saving, allocate, progress_bar, restore
from fastkb.bootstrap.scheme import rows_together
from fastkb.gram.pairwise import linear_kernel
from fastkb.runtime.threads import limit_blas

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
    with limit_blas(1):
        smoothers, fitted = _smoothers(job.source, y, job.alpha)
    plan = job.scheme.around(y, fitted)
    distribution = allocate(job)
    together = rows_together(_VALUES, y.size)
    done = restore(job.checkpoint, "responses", distribution)
    with progress_bar(job.n_resamples, job.progress) as bar, Saving(job.checkpoint) as saving:
        bar.update(done)
        for first in range(done, job.n_resamples, together):
            count = min(together, job.n_resamples - first)
            responses = plan.responses(job.key, first, count)
            for t, smoother in enumerate(smoothers):
                distribution[first : first + count, :, t] = linear_kernel(responses[t], smoother)
            saving.finished(responses=distribution[: first + count])
            bar.update(count)
    center = np.stack([s @ y[:, t] for t, s in enumerate(smoothers)], axis=1)
    reason = "predictions are linear in the responses: one factorisation serves all replicates"
    return Replicates(center, distribution, Plan("cholesky", reason), None, None, 0)


def _smoothers(
    source: KernelSource, y: np.ndarray, alpha: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """S for each target, and the fitted values at the data.  # shapes: (n_eval, n), (n, n_targets)"""
    from scipy import linalg

    K, cross = source.gram(), source.cross()
    by_penalty: dict[float, np.ndarray] = {}
    fitted = np.empty_like(y)
    for t, penalty in enumerate(alpha.tolist()):
        A = K + penalty * np.eye(len(K))
        rhs = np.concatenate([cross.T, y], axis=1)
        if penalty not in by_penalty:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", linalg.LinAlgWarning)
                    solution = linalg.solve(A, rhs, assume_a="pos")
            except (linalg.LinAlgError, linalg.LinAlgWarning):
                warnings.warn(
                    "K + alpha·I is singular to working precision and was solved by least squares. A "
                    "larger alpha makes it well posed.",
                    linalg.LinAlgWarning,
                    stacklevel=5,
                )
                solution = np.linalg.lstsq(A, rhs, rcond=None)[0]
            by_penalty[penalty] = solution
        fitted[:, t] = K @ by_penalty[penalty][:, cross.shape[0] + t]
    n_eval = len(cross)
    smoothers = [np.ascontiguousarray(by_penalty[p][:, :n_eval].T) for p in alpha.tolist()]
    return smoothers, fitted
