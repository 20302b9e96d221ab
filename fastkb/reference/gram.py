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


def cosine(X, Y=None):
    """xᵀx' / (|x| |x'|), 0 for a row of zeros  # shape: (n, m)"""
    X = np.asarray(X)
    Y = X if Y is None else np.asarray(Y)
    return linear(_of_norm_one(X), _of_norm_one(Y))


def _of_norm_one(X):
    largest = np.max(np.abs(X), axis=1, keepdims=True)
    X = X / np.where(largest == 0, 1, largest)
    norms = np.sqrt(np.sum(X**2, axis=1, keepdims=True))
    return X / np.where(norms == 0, 1, norms)


def distances(X, Y=None, length_scale=1.0):
    """|(x - x') / ℓ|, ℓ one number or one for each column  # shape: (n, m)"""
    return np.sqrt(np.sum((differences(X, Y) / np.asarray(length_scale)) ** 2, axis=2))


def matern(X, Y=None, nu=1.5, length_scale=1.0):
    """The Matérn kernel for ν = 1/2, 3/2, 5/2 (Rasmussen and Williams 2006, eq. 4.17)  # shape: (n, m)"""
    r = distances(X, Y, length_scale)
    if nu == 0.5:
        return np.exp(-r)
    s = np.sqrt(r.dtype.type(2 * nu)) * r
    return (1 + s if nu == 1.5 else 1 + s + s**2 / 3) * np.exp(-s)


def rational_quadratic(X, Y=None, alpha=1.0, length_scale=1.0):
    """(1 + |x - x'|² / 2αℓ²)^-α (eq. 4.19)  # shape: (n, m)"""
    r = distances(X, Y, length_scale)
    return np.exp(-alpha * np.log1p(r**2 / (2 * r.dtype.type(alpha))))


def periodic(X, Y=None, period=1.0, length_scale=1.0):
    """exp(-2 Σ_j sin²(π (x_j - x'_j) / p) / ℓ²) (eq. 4.31 in each column)  # shape: (n, m)"""
    u = differences(X, Y) / np.asarray(period)
    pi = 4 * np.arctan(u.dtype.type(1))
    return np.exp(-2 * np.sum((np.sin(pi * (u - np.rint(u))) / length_scale) ** 2, axis=2))


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
