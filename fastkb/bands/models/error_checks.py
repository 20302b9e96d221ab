"""Checks of observations and predictions whose prediction error is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_numeric_targets(y: Any) -> np.ndarray:
    """Finite float64 values.  # shape: (n, n_targets)"""
    array = np.asarray(y)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"y must have shape (n,) or (n, n_targets), got {array.shape}")
    check_numbers("y", array)
    if not np.isfinite(array).all():
        raise ValueError("y has NaN or infinity")
    return np.array(array.reshape(len(array), -1), dtype=np.float64, order="C")


def check_numbers(name: str, array: np.ndarray, y: np.ndarray | None = None) -> None:
    """Refuse what has no squared error."""
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers for squared_error, got {array.dtype}")


def check_label_targets(y: Any) -> np.ndarray:
    """Labels of any type.  # shape: (n,)"""
    array = np.asarray(y)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"y must have shape (n,) for zero_one, got {array.shape}")
    if np.any(array != array):
        raise ValueError("y has NaN: it is no label, as it does not equal itself")
    return array.copy()


def check_labels(name: str, array: np.ndarray, y: np.ndarray) -> None:
    """Refuse labels that can never equal those of `y`."""
    # NumPy finds numbers and strings different without a word: all predictions would be wrong.
    text, number = "UST", "biufc"
    kinds = {array.dtype.kind, y.dtype.kind}
    if array.size and kinds & set(text) and kinds & set(number):
        raise TypeError(f"{name} are labels of {array.dtype} and y of {y.dtype}: use one type")


def check_left_out(out: Any, n: int) -> np.ndarray:
    """Indices in [0, n), each once.  # shape: (n_out,), int64"""
    rows = np.asarray(out)
    if rows.ndim != 1:
        raise ValueError(f"out must be one-dimensional, got shape {rows.shape}")
    if rows.size == 0:
        return rows.astype(np.int64)
    if rows.dtype.kind not in "iu":
        hint = ": write np.flatnonzero(out)" if rows.dtype.kind == "b" else ""
        raise TypeError(f"out must be indices of rows, got {rows.dtype}{hint}")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"out must be indices from 0 to {n - 1}, got {rows.min()} to {rows.max()}")
    if np.bincount(rows.astype(np.int64)).max() > 1:
        raise ValueError("out has the same index twice: a replicate leaves a row out only once")
    return rows.astype(np.int64)


def check_finite(
    losses: np.ndarray, values: np.ndarray, where: Any = True, name: str = "predictions"
) -> None:
    """Refuse predictions `values` that are not finite `where` their losses count."""
    if np.isfinite(losses).all() or values.dtype.kind not in "fiub":
        return
    finite = np.isfinite(values)
    if finite.ndim > losses.ndim:
        finite = finite.all(axis=-1)
    # A finite prediction whose square overflows is reported with the result.
    if not np.all(finite | np.logical_not(where)):
        raise ValueError(f"{name} have NaN or infinity")


def check_totals(totals: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of losses (float64) and numbers of replicates (int64), one of each for an observation."""
    sums, counts = (np.asarray(part) for part in totals)
    for name, part in (("sums", sums), ("counts", counts)):
        if part.shape != (n,):
            raise ValueError(
                f"totals: the {name} have shape {part.shape}, expected ({n},) as y has"
            )
    if counts.dtype.kind not in "iu":
        raise ValueError(f"totals: the counts must be integers, got {counts.dtype}")
    if not (sums >= 0).all() or (counts < 0).any() or (sums[counts == 0] != 0).any():
        raise ValueError("totals: these are no sums of losses and numbers of replicates")
    return sums.astype(np.float64), counts.astype(np.int64)
