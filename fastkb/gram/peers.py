"""The kernels that scikit-learn computes: its names without a function of ours, and callables.

The two that sum over columns are homogeneous: rows of any size are brought to about 1 by a power of two
before, where their squares would leave a float's range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.numbers import check_kinds
from fastkb.checks.scalars import check_number
from fastkb.gram import units
from fastkb.gram.checks import check_matrices
from fastkb.runtime.memory import require
from fastkb.scalar.kernels import ELSEWHERE

_HOMOGENEOUS = tuple(ELSEWHERE)


def is_sparse(*arrays: Any) -> bool:
    """Whether one of these is a sparse matrix of SciPy's."""
    from scipy.sparse import issparse

    return any(issparse(array) for array in arrays)


def compute(
    X: Any, Y: Any, metric: Any, filter_params: bool, n_jobs: int | None, keywords: dict[str, Any]
) -> Any:
    """What scikit-learn's function of this name gives, for checked matrices in range."""
    from sklearn.metrics.pairwise import pairwise_kernels
    from sklearn.utils.validation import _num_samples

    own = isinstance(metric, str) and metric in _HOMOGENEOUS and not is_sparse(X, Y)
    power = 0
    check_kinds("X", X)
    check_kinds("Y", Y)
    if own:
        X, Y = check_matrices(X, Y)
        if metric == "chi2" and not isinstance(keywords.get("gamma", 1.0), np.ndarray):
            gamma = keywords.get("gamma")
            gamma = 1.0 if gamma is None else check_number("gamma", gamma, 0)
            keywords = keywords | {"gamma": gamma}
        X, Y, power = _in_range(X, Y)
    if power and "gamma" in keywords and metric == "chi2":
        # Beyond the largest number the kernel is 0 where rows differ at all.
        with np.errstate(over="ignore"):
            gamma = np.ldexp(np.float64(keywords["gamma"]), power)
        keywords = keywords | {"gamma": float(min(gamma, np.finfo(X.dtype).max))}
    if metric != "precomputed":
        rows, columns = _num_samples(X), _num_samples(X if Y is None else Y)
        require(8 * rows * columns, f"a Gram matrix of {rows} x {columns}")
    # What overflows is infinite, and says so without a warning.
    with np.errstate(over="ignore") if own else np.errstate():
        K = pairwise_kernels(X, Y, metric, filter_params=filter_params, n_jobs=n_jobs, **keywords)
        return np.ldexp(K, power, out=K) if power and metric == "additive_chi2" else K


def _in_range(X: np.ndarray, Y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Rows whose squares are in range, and the power of two that they were divided by together."""
    exponent = units.largest_exponent(X, Y)
    if units.fits(units.RANGES[X.dtype], X.shape[1], exponent):
        return X, Y, 0
    return np.ldexp(X, -exponent), None if Y is None else np.ldexp(Y, -exponent), exponent
