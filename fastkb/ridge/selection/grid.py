"""Candidates for λ and γ where the user gives none."""

from __future__ import annotations

from typing import Any, NamedTuple

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

# Rows nearer to each other than this part of the largest distance are the same row but for rounding
# errors, such as 0.3 and 0.1 * 3.
_SAME = 1e-9

# A gap is this quantile of the distances to the nearest other row: the largest of ten or fewer.
_GAP_QUANTILE = 0.9


def default_gammas(X: Any, kernel: Any) -> np.ndarray | None:
    """Candidates for γ in ascending order, or None where the kernel's own default serves.

    ``rbf``: powers of ten (halves too) times 1/(2 m²), where m is the median distance between rows;
    ``laplacian``: the same times 1/m, with the median of the sum of absolute differences.

    **Tied rows.** Where many rows are equal, none of them is left out by leaving out one, and no
    prediction ever falls between two levels. Then neither errors nor likelihoods see a kernel so
    narrow that the curve falls back to its mean between them. Such candidates are left out: between
    two levels at the distance h, where the curve has the same value, a kernel k that sees no other
    levels gives 2 k(h/2) / (1 + k(h)) of that value, which is 1.07 at σ = h/2 for ``rbf`` and 0.89 at
    1/γ = h for ``laplacian``. These are the bounds, where h is the distance from a row to the nearest
    other that nine in ten rows (each counted once) stay below. If no candidate is left, the bound is
    the one.

    This is done where at most half of the rows are different, or where there is one column and any
    rows are equal. Rows that are all different are judged by predictions at a distance; and in many
    dimensions the nearest row is nearly as far as the median one, so that the bounds would take
    useful candidates away.

    Two different rows have one distance, from which no width can be told: with an intercept all
    kernels fit the same two values, each at a λ of its own. They get the widest candidate alone, with
    which the curve runs straight from one to the other.
    """
    if not (isinstance(kernel, str) and kernel in ("rbf", "laplacian")):
        return None
    scales = data_scales(X, "euclidean" if kernel == "rbf" else "cityblock")
    # Data of the order of 1e±160 would take the square out of range.
    with np.errstate(over="ignore", divide="ignore", under="ignore"):
        if kernel == "rbf":
            gammas = _FACTORS / (2.0 * np.square(scales.median))
            largest = 1.0 / (2.0 * np.square(0.5 * scales.gap))
        else:
            gammas = _FACTORS / scales.median
            largest = 1.0 / scales.gap
    if scales.n_distinct is not None and scales.n_distinct <= 2:
        gammas = gammas[:1]
    elif scales.is_tied:
        kept = gammas[gammas <= largest * (1.0 + _SAME)]
        gammas = kept if kept.size else np.array([largest])
    limits = np.finfo(np.float64)
    return np.clip(gammas, limits.tiny, limits.max)


# Rows below 2 to this power, and above its inverse, have squared distances in range.
_SQUARED = 400


class DataScales(NamedTuple):
    """Distances that say how wide a kernel may be."""

    median: np.float64  # of pairs of different rows; 1.0 where all are the same
    n_distinct: int | None  # among those looked at, but 3 where others add to two; None: many
    is_tied: bool  # so many rows are equal that predictions of rows do not see the gaps
    gap: np.float64  # where tied: from a row to the nearest different one, for nine in ten


def data_scales(X: Any, metric: str) -> DataScales:
    """Distances between the rows of `X`, or between 500 of them drawn at random.

    Rows that are nearer to each other than 1e-9 of the largest distance are equal.

    Parameters
    ----------
    X : array or sparse matrix
        # shape: (n, d)
    metric : {"euclidean", "cityblock"}
        Which distance.
    """
    from scipy.spatial.distance import pdist

    n, part = X.shape[0], X
    if n > _ROWS_FOR_MEDIAN:
        # Always the same rows for the same n, and in no step with an order in the data.
        chosen = np.random.default_rng(0).choice(n, _ROWS_FOR_MEDIAN, replace=False)
        part = X[np.sort(chosen)]
    rows = _dense(part)
    n_rows, n_columns = rows.shape
    exponent = int(np.frexp(np.abs(rows).max(initial=0.0))[1])
    if abs(exponent) > _SQUARED:
        # Squares of such distances overflow or underflow: in other units they do not.
        found = data_scales(_times_power_of_two(X, -exponent), metric)
        if found.n_distinct == 1:
            return found
        median, gap = np.ldexp([found.median, found.gap], exponent)
        return found._replace(median=np.float64(median), gap=np.float64(gap))
    distances = pdist(rows, metric)
    tolerance = _SAME * distances.max(initial=0.0)
    different = distances > tolerance
    n_same = different.size - np.count_nonzero(different)
    nothing = np.float64(0.0)
    if n_same == different.size:
        n_distinct = 3 if _has_others(X, rows[:1], metric, 0.0) else 1
        return DataScales(np.float64(1.0), n_distinct, False, nothing)
    if n_same == 0:
        return DataScales(_median_of(distances), n_rows, False, nothing)
    # m different rows leave n_rows - m equal pairs at least: too few for half of them, or for two.
    if n_columns > 1 and n_same < min(n_rows / 2, n_rows - 2):
        return DataScales(_median_of(distances[different]), None, False, nothing)
    if n_columns == 1:
        nearest = _nearest_on_a_line(rows[:, 0], tolerance)
    else:
        nearest = _nearest(distances, different)
    n_distinct = nearest.size
    if n_distinct == 2:
        two = rows[[0, int(np.argmax(np.abs(rows - rows[0]).sum(axis=1)))]]
        n_distinct = 3 if _has_others(X, two, metric, tolerance) else 2
    tied = n_columns == 1 or 2 * nearest.size <= n_rows
    gap = np.float64(np.quantile(nearest, _GAP_QUANTILE, method="higher"))
    return DataScales(_median_of(distances[different]), n_distinct, tied, gap)


def _times_power_of_two(X: Any, exponent: int) -> Any:
    if not hasattr(X, "toarray"):
        return np.ldexp(np.asarray(X, dtype=np.float64), exponent)
    scaled = X.astype(np.float64)
    scaled.data = np.ldexp(scaled.data, exponent)
    return scaled


def _median_of(values: np.ndarray) -> np.float64:
    """The median of `values`, which are put out of order: a copy would take half as long again."""
    return np.float64(np.median(values, overwrite_input=True))


def _dense(X: Any) -> np.ndarray:
    rows = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    return rows.astype(np.float64, copy=False)


def _has_others(X: Any, known: np.ndarray, metric: str, tolerance: float) -> bool:
    """Whether any row of `X` is none of the `known` ones, a part of its rows at a time."""
    from scipy.spatial.distance import cdist

    for start in range(0, X.shape[0], _ROWS_FOR_MEDIAN):
        distances = cdist(_dense(X[start : start + _ROWS_FOR_MEDIAN]), known, metric)
        if (distances.min(axis=1) > tolerance).any():
            return True
    return False


def _nearest_on_a_line(values: np.ndarray, tolerance: float) -> np.ndarray:
    """The distance from each different value to the nearest other one.  # shape: (n_distinct,)"""
    ordered = np.sort(values)
    steps = np.diff(ordered)
    gaps = np.diff(ordered[np.concatenate([[True], steps > tolerance])])
    padded = np.concatenate([[np.inf], gaps, [np.inf]])
    return np.minimum(padded[:-1], padded[1:])


def _nearest(distances: np.ndarray, different: np.ndarray) -> np.ndarray:
    """The distance from each different row to the nearest other one, given those of all pairs.

    # shape: (n_distinct,)
    """
    from scipy.spatial.distance import squareform

    is_equal = squareform(~different)
    first = np.flatnonzero(~np.tril(is_equal, -1).any(axis=1))
    between = squareform(distances)[np.ix_(first, first)]
    np.fill_diagonal(between, np.inf)
    return between.min(axis=1)
