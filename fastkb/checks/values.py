"""Checks of what is given as numbers: it becomes real numbers, or an error names the argument.

NumPy takes dates for numbers, forgets masks, and converts texts and objects one by one with errors that
do not say where they come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.numbers import check_kinds, check_unmasked, is_short_float, wrong

_NUMBERS = "fiub"


def real_values(name: str, values: Any, *, frames: bool = True, texts: bool = True) -> Any:
    """Values that hold real numbers, as an array of numbers.

    Parameters
    ----------
    name : str
        Of the argument.
    values : array_like
        Objects become float64, if each is a number.
    frames : bool, default True
        Whether data frames and sparse matrices stay as they are, for scikit-learn to check.
    texts : bool, default True
        Whether texts that say numbers become float64, too.

    Raises
    ------
    ValueError
        For masked values.
    TypeError
        For sparse matrices, if not `frames`.
    InvalidParameterError
        scikit-learn's class, which is both: for what is no real number.
    """
    if type(values) is np.ndarray and values.dtype.kind in _NUMBERS:
        return values
    if frames and hasattr(values, "tocsr"):
        return values
    check_dense(name, values)
    if values is None:
        raise wrong(f"{name} must be numbers, got None")
    check_kinds(name, values)
    if frames and hasattr(values, "dtypes"):
        return values
    try:
        array = np.asarray(values)
    except Exception as error:  # ragged lists; tensors on another device
        found = type(values).__name__
        raise wrong(f"{name} must be numbers, got {found}: {error}") from error
    return array if array.dtype.kind in _NUMBERS else _parsed(name, array, texts)


def check_dense(name: str, values: Any) -> None:
    """Refuse sparse matrices, in scikit-learn's words."""
    if hasattr(values, "tocsr"):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to convert "
            "to a dense numpy array."
        )


def _parsed(name: str, array: np.ndarray, texts: bool) -> np.ndarray:
    if is_short_float(array.dtype):
        return array.astype(np.float32)
    if array.dtype.kind not in ("OSU" if texts else "O"):
        found = repr(array.item()) if array.ndim == 0 else array.dtype
        raise wrong(f"{name} must be numbers, got {found}")
    if array.dtype.kind == "O":
        for each in array.flat:
            check_unmasked(name, each)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong(f"{name} must be numbers, got {array.dtype}: {error}") from error


def real_array(
    name: str, values: Any, dtype: Any = np.float64, *, texts: bool = True
) -> np.ndarray:
    """Values as an array of this element type, without a warning where they are too large for it.

    Infinity is in their place then, which the caller refuses.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(real_values(name, values, frames=False, texts=texts), dtype)
