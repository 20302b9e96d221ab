"""Inputs of a few levels: there is nothing to smooth between them.

A fit that shrinks five means towards each other gains next to nothing over the means themselves, and
a reader who compares the two finds them different. The same holds of twenty means, each of dozens of
rows. So where there are a few levels with rows enough, a penalty is *gentle* if it shrinks no contrast
between levels by more than a twentieth. The command takes no other one, and around its fit only gentle
candidates are plausible: its band at a level is then that of the level's mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.gram.pairwise import pairwise_kernels
from fastkb.ridge.estimator import KernelRidge
from fastkb.ridge.path import kernel_ridge_path
from fastkb.ridge.selection.grid import DEFAULT_ALPHAS, default_gammas

# So many different rows at most, with so many rows each on average: both of one of the pairs.
_FEW = ((8, 5), (24, 40))
_MOST = max(levels for levels, _ in _FEW)
# A level of much fewer rows can be kept as it is by loud priors alone.
_MANY_ROWS = 30
_SHRUNK = 0.05
# Rows that differ by less than this part of a column's range are the same but for rounding.
_SAME = 1e-9


def few_levels(X: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The different rows and how often each is there; None unless they are few.

    Parameters
    ----------
    X : ndarray or sparse matrix
        # shape: (n, d)

    Returns
    -------
    rows, counts : ndarray
        # shapes: (n_levels, d), (n_levels,)
    """
    # Most data have many levels among their first rows.
    if not isinstance(X, np.ndarray) or len(np.unique(X[: 4 * _MOST], axis=0)) > 2 * _MOST:
        return None
    first, _, counts = different_rows(X)
    n_levels = len(counts)
    if n_levels < 2 or not any(n_levels <= m and len(X) >= each * n_levels for m, each in _FEW):
        return None
    return X[first], counts


def different_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different rows, where rounding makes no difference.

    Parameters
    ----------
    X : ndarray
        # shape: (n, d)

    Returns
    -------
    first, level, counts : ndarray of int
        The first row of each level, the level of each row, and the rows of each level.
        # shapes: (n_levels,), (n,), (n_levels,)
    """
    low, span = X.min(axis=0), np.ptp(X, axis=0)
    rounded = np.round((X - low) / (_SAME * np.where(span > 0.0, span, 1.0)))
    _, first, level, counts = np.unique(
        rounded, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    return first, np.ravel(level), counts


def keeps_means(leverage: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Which penalties let a level of thirty rows or more decide its own fitted value.

    To a twentieth: a row's leverage by the rows of its level is the weight that they have there.

    Parameters
    ----------
    leverage : ndarray
        # shape: (n, n_alphas)
    X : ndarray
        # shape: (n, d)
    """
    first, _, counts = different_rows(X)
    weights = counts[:, None] * leverage[first]
    return (weights[counts >= _MANY_ROWS] >= 1.0 - _SHRUNK).all(axis=0)


def gentle(alphas: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which penalties shrink no contrast between levels by more than a twentieth.

    Parameters
    ----------
    alphas : ndarray
        # shape: (n_alphas,)
    values : ndarray
        The kernel's eigenvalues on the contrasts.  # shape: (n_levels - 1,)
    """
    return alphas <= _SHRUNK * values.min()


def through_means(X: np.ndarray, y: np.ndarray, kernel: str) -> Any:
    """Kernel ridge regression of a width and a penalty that leave the means of levels as they are.

    Parameters
    ----------
    X : ndarray
        # shape: (n, d)
    y : ndarray
        # shape: (n,)
    kernel : {"rbf", "laplacian"}

    Returns
    -------
    KernelRidge or None
        None where there are not a few levels, or no candidate shrinks so little.
    """
    found = few_levels(X)
    gammas = default_gammas(X, kernel)
    if found is None or gammas is None:
        return None
    rows, counts = found
    root = np.sqrt(counts)
    direction = root / np.sqrt(counts.sum())
    P = np.eye(len(counts)) - np.outer(direction, direction)
    best, model = np.inf, None
    for gamma in gammas:
        K = pairwise_kernels(rows, metric=kernel, gamma=gamma)
        values = np.linalg.eigvalsh(P @ (K * np.outer(root, root)) @ P)
        # The first eigenvalue is that of the constants, 0.
        enough = DEFAULT_ALPHAS[_SHRUNK * values[1] >= DEFAULT_ALPHAS]
        if not enough.size:
            continue
        path = kernel_ridge_path(
            X,
            y,
            alphas=enough,
            gammas=[gamma],
            kernel=kernel,
            criterion="reml",
            fit_intercept=True,
        )
        assert path.reml is not None
        criterion = float(path.reml.min())
        if criterion < best - 1e-6:
            best = criterion
            model = KernelRidge(
                path.best_alpha, kernel=kernel, gamma=float(gamma), fit_intercept=True
            )
    return model
