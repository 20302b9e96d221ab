"""Checks of matrices: real, finite, two-dimensional."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.numbers import check_kinds, naming
from fastkb.runtime.memory import require

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_matrix(values: Any, name: str) -> np.ndarray:
    """A matrix of finite floats: float32 stays, all else that holds real numbers becomes float64."""
    if (
        type(values) is np.ndarray
        and values.dtype in _FLOATS
        and values.dtype.isnative
        and values.ndim == 2
        and values.size
        and _surely_finite(values)
    ):
        return values
    return _checked_by_sklearn(values, name)


def _surely_finite(values: np.ndarray) -> bool:
    """Whether the sum is finite: then so are its terms. Otherwise it may have overflowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


def _checked_by_sklearn(values: Any, name: str) -> np.ndarray:
    """Anything but a plain finite float matrix: scikit-learn's checks, with its error messages."""
    from scipy.sparse import issparse
    from sklearn.utils import check_array

    if issparse(values):
        if len(values.shape) == 2:
            size = values.shape[0] * values.shape[1] * values.dtype.itemsize
            require(size, f"{name} as a dense matrix of {values.shape[0]} x {values.shape[1]}")
        values = values.toarray()
    check_kinds(name, values)
    # A DataFrame's own columns decide about missing values; all else is looked at as an array.
    array = np.asarray(values)
    if not hasattr(values, "dtypes"):
        values = array
        if array.dtype.kind not in "biufcU":
            raise ValueError(f"{name} must be numbers, got {array.dtype}")
    keep = array.dtype.kind == "f" and array.dtype.itemsize == 4
    with naming(name):
        return check_array(
            values,
            dtype=np.float32 if keep else np.float64,
            input_name=name,
            ensure_all_finite=True,
        )
