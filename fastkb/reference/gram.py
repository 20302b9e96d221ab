"""Gram matrices from their definitions, one pair of rows at a time (vectorised over the pairs)."""

from __future__ import annotations

import numpy as np


def differences(X, Y=None):
    """x - x' for every pair.  # shape: (n, m, d)"""
    X = np.asarray(X)
    Y = X if Y is None else np.asarray(Y)
    return X[:, None, :] - Y[None, :, :]


def linear(X, Y=None):
    """xᵀx'  # shape: (n, m)"""
    Y = X if Y is None else Y
    return np.einsum("id,jd->ij", X, Y)


def polynomial(X, Y=None, degree=3, gamma=None, coef0=1):
    """(γ xᵀx' + c)ᵏ  # shape: (n, m)"""
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    return (gamma * linear(X, Y) + coef0) ** degree


def sigmoid(X, Y=None, gamma=None, coef0=1):
    """tanh(γ xᵀx' + c)  # shape: (n, m)"""
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    return np.tanh(gamma * linear(X, Y) + coef0)


def rbf(X, Y=None, gamma=None):
    """exp(-γ |x - x'|²)  # shape: (n, m)"""
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    return np.exp(-gamma * np.sum(differences(X, Y) ** 2, axis=2))


def laplacian(X, Y=None, gamma=None):
    """exp(-γ |x - x'|₁)  # shape: (n, m)"""
    gamma = 1.0 / X.shape[1] if gamma is None else gamma
    return np.exp(-gamma * np.sum(np.abs(differences(X, Y)), axis=2))


def taylor_features(X, sigma, degree):
    """The truncated Taylor features of the RBF kernel, all monomials up to `degree`.

    φ_m(x) = exp(-|x|²/2σ²) Π_i (x_i/σ)^{m_i} / √(m_i!) for each multi-index m with |m| ≤ degree,
    ordered by |m|, then lexicographically.  # shape: (n, C(d + degree, d))
    """
    from itertools import combinations_with_replacement
    from math import factorial

    columns = []
    for order in range(degree + 1):
        for choice in combinations_with_replacement(range(X.shape[1]), order):
            column = np.exp(-np.sum(X**2, axis=1) / (2 * sigma**2))
            for i in set(choice):
                m = choice.count(i)
                column = column * (X[:, i] / sigma) ** m / np.sqrt(float(factorial(m)))
            columns.append(column)
    return np.stack(columns, axis=1)
