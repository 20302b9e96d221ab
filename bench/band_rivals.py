"""Replicates of kernel ridge regression without refits, as a careful user of NumPy and SciPy has them.

A resample weights observation i by the number wᵢ of times it was drawn, and an observation that was not
drawn is left out. All kernels are computed once; a replicate costs a factorisation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh

from bench.rivals import in_processes

WEIGHTED, LOW_RANK = "SciPy, weighted Cholesky", "NumPy, low rank"
# Directions whose eigenvalue is smaller than this part of λ are left out.
_CUT = 1e-9
_TOGETHER = 50  # replicates whose matrices are factorised by one call of NumPy


def kernels_of(
    data: tuple[np.ndarray, ...],  # X, y, X_eval
    gamma: float,
) -> tuple[np.ndarray, np.ndarray]:
    """K(X, X) and K(X_eval, X) by scikit-learn."""
    from sklearn.metrics.pairwise import rbf_kernel

    X, _, X_eval = data
    return rbf_kernel(X, gamma=gamma), rbf_kernel(X_eval, X, gamma=gamma)


def weighted_chunk(
    K: np.ndarray, K_eval: np.ndarray, y: np.ndarray, alpha: float, weights: np.ndarray
) -> np.ndarray:
    """Predictions by one Cholesky factorisation of K + λ/W over the drawn rows a replicate.

    # shape: (n_replicates, n_eval)
    """
    out = np.empty((len(weights), len(K_eval)))
    for b, w in enumerate(weights):
        drawn = np.flatnonzero(w)
        A = K[np.ix_(drawn, drawn)]
        A[np.diag_indices_from(A)] += alpha / w[drawn]
        factor = cho_factor(A, lower=True, overwrite_a=True, check_finite=False)
        out[b] = K_eval[:, drawn] @ cho_solve(factor, y[drawn], check_finite=False)
    return out


def weighted_cholesky(
    data: tuple[np.ndarray, ...], weights: np.ndarray, alpha: float, gamma: float, processes: int
) -> Callable[[], np.ndarray]:
    """:func:`weighted_chunk` in loky's processes, the kernels once before."""

    def call():
        K, K_eval = kernels_of(data, gamma)
        return in_processes(weighted_chunk, (K, K_eval, data[1], alpha), weights, processes)()

    return call


def low_rank(
    data: tuple[np.ndarray, ...], weights: np.ndarray, alpha: float, gamma: float
) -> Callable[[], np.ndarray]:
    """Weighted ridge regression on K's leading eigenvectors, as many as the penalty lets count."""
    y = data[1]

    def call():
        K, K_eval = kernels_of(data, gamma)
        eigenvalues, vectors = eigh(K, subset_by_value=(_CUT * alpha, np.inf), check_finite=False)
        features = vectors * np.sqrt(eigenvalues)
        features_eval = K_eval @ (vectors / np.sqrt(eigenvalues))
        penalty = alpha * np.eye(len(eigenvalues))
        out = np.empty((len(weights), len(K_eval)))
        for start in range(0, len(weights), _TOGETHER):
            w = weights[start : start + _TOGETHER]
            A = (features.T * w[:, None, :]) @ features + penalty
            z = np.linalg.solve(A, ((w * y) @ features)[..., None])
            out[start : start + _TOGETHER] = z[..., 0] @ features_eval.T
        return out

    return call
