"""Gram matrices under scikit-learn's names (plain NumPy for now)."""

from __future__ import annotations

import numpy as np
from sklearn.metrics.pairwise import check_pairwise_arrays
from sklearn.metrics.pairwise import pairwise_kernels as _pairwise_kernels


def _finish(K, out):
    if out is None:
        return K
    out[...] = K
    return out


def linear_kernel(X, Y=None, *, out=None):
    """xᵀx'."""
    X, Y = check_pairwise_arrays(X, Y)
    return _finish(np.asarray(X @ Y.T), out)


def polynomial_kernel(X, Y=None, degree=3, gamma=None, coef0=1, *, out=None):
    """(γ xᵀx' + c)ᵏ."""
    K = linear_kernel(X, Y)
    gamma = 1.0 / np.shape(X)[1] if gamma is None else gamma
    return _finish((gamma * K + coef0) ** degree, out)


def sigmoid_kernel(X, Y=None, gamma=None, coef0=1, *, out=None):
    """tanh(γ xᵀx' + c)."""
    K = linear_kernel(X, Y)
    gamma = 1.0 / np.shape(X)[1] if gamma is None else gamma
    return _finish(np.tanh(gamma * K + coef0), out)


def rbf_kernel(X, Y=None, gamma=None, *, out=None):
    """exp(-γ |x - x'|²)."""
    from sklearn.metrics.pairwise import euclidean_distances

    gamma = 1.0 / np.shape(X)[1] if gamma is None else gamma
    return _finish(np.exp(-gamma * euclidean_distances(X, Y, squared=True)), out)


def laplacian_kernel(X, Y=None, gamma=None, *, out=None):
    """exp(-γ |x - x'|₁)."""
    from sklearn.metrics.pairwise import manhattan_distances

    gamma = 1.0 / np.shape(X)[1] if gamma is None else gamma
    return _finish(np.exp(-gamma * manhattan_distances(X, Y)), out)


def pairwise_kernels(X, Y=None, metric="linear", *, filter_params=False, n_jobs=None, **kwds):
    """Gram matrix of any kernel."""
    return _pairwise_kernels(X, Y, metric, filter_params=filter_params, n_jobs=n_jobs, **kwds)
