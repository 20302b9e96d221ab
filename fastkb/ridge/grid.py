"""Candidates for λ and γ where the user gives none."""

from __future__ import annotations

from typing import Any

import numpy as np

# Half decades. K has ones on its diagonal for the RBF kernel and eigenvalues up to n: 1e-6 all but
# interpolates, and 1e2 shrinks strongly.
DEFAULT_ALPHAS = np.logspace(-6.0, 2.0, 17)

# Half decades around the median heuristic: for the RBF kernel σ from a tenth of the median distance
# to ten of it.
_FACTORS = np.logspace(-2.0, 2.0, 9)

# 125 thousand pairs place the median to a percent or so, where the candidates are a factor of three
# apart.
_ROWS_FOR_MEDIAN = 500


def default_gammas(X: Any, kernel: Any) -> np.ndarray | None:
    """Candidates for γ in ascending order, or None where the kernel's own default serves.

    ``rbf``: powers of ten (halves too) times 1/(2 m²), where m is the median distance between rows;
    ``laplacian``: the same times 1/m, with the median of the sum of absolute differences.
    """
    if not (isinstance(kernel, str) and kernel in ("rbf", "laplacian")):
        return None
    # Data of the order of 1e±160 would take the square out of range.
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        if kernel == "rbf":
            gammas = _FACTORS / (2.0 * np.square(median_distance(X, "euclidean")))
        else:
            gammas = _FACTORS / np.float64(median_distance(X, "cityblock"))
    limits = np.finfo(np.float64)
    return np.clip(gammas, limits.tiny, limits.max)


def median_distance(X: Any, metric: str) -> float:
    """Median distance between different rows of `X`, or of 500 of them drawn at random.

    Parameters
    ----------
    X : array or sparse matrix
        # shape: (n, d)
    metric : {"euclidean", "cityblock"}
        Which distance.

    Returns
    -------
    float
        The median over all pairs that differ; 1.0 where all rows are the same.
    """
    from scipy.spatial.distance import pdist

    n = X.shape[0]
    if n > _ROWS_FOR_MEDIAN:
        # Always the same rows for the same n, and in no step with an order in the data.
        chosen = np.random.default_rng(0).choice(n, _ROWS_FOR_MEDIAN, replace=False)
        X = X[np.sort(chosen)]
    rows = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    distances = pdist(rows.astype(np.float64, copy=False), metric)
    distances = distances[distances > 0.0]
    return float(np.median(distances)) if distances.size else 1.0
