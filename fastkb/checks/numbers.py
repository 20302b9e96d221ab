"""Checks of arrays of numbers that all rooms share: what is no real number, and whose error it is."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

# Sums of 10¹⁰ squares of such numbers, and of a 10⁻¹⁰th of them, are normal floats.
_SQUARED_FROM, _SQUARED_TO = 1e-140, 1e140

_DATES = (np.datetime64, np.timedelta64, datetime.date, datetime.timedelta)


def check_kinds(name: str, values: Any) -> None:
    """Refuse what NumPy would take for numbers, or drop, without a word.

    Masked values would count as if they were not masked; dates and durations as numbers of any
    unit; complex numbers and records lose parts.

    Parameters
    ----------
    name : str
        The argument's, for the message.
    values : array-like, sparse matrix or data frame

    Raises
    ------
    ValueError
        For masked values. For other kinds also a TypeError.
    """
    if type(values) is np.ndarray and values.dtype.kind in "biuf":
        return
    check_unmasked(name, values)
    for dtype in _dtypes(values):
        kind = getattr(dtype, "kind", "O")
        if kind == "c":
            raise wrong(f"{name} must be real numbers, got {dtype}: Complex data not supported")
        if kind in "mM" or (kind == "V" and not is_short_float(dtype)):
            raise wrong(f"{name} must be numbers, got {dtype}")
    array = values
    if not hasattr(values, "dtype") and not hasattr(values, "dtypes"):
        with contextlib.suppress(ValueError, TypeError):  # the next check reports ragged lists
            array = np.asarray(values)
        if getattr(array, "dtype", None) is not None and array.dtype.kind in "cmM":
            check_kinds(name, array)
    if isinstance(array, np.ndarray) and array.dtype.kind == "O":
        for value in array.flat:
            if isinstance(value, _DATES):
                raise wrong(f"{name} must be numbers, got object with {value!r}")


def is_short_float(dtype: Any) -> bool:
    """Whether it is bfloat16 or another short type of the package ml_dtypes, which NumPy calls void."""
    if not isinstance(dtype, np.dtype) or dtype.kind != "V" or dtype.names is not None:
        return False
    return np.can_cast(dtype, np.float32)


def check_unmasked(name: str, values: Any) -> None:
    """Refuse masked values, also of arrays in a list."""
    parts = values if isinstance(values, list | tuple) else (values,)
    masked = sum(
        int(np.ma.getmaskarray(part).sum())
        for part in parts
        if part is np.ma.masked or isinstance(part, np.ma.MaskedArray)
    )
    if masked:
        raise ValueError(
            f"{name} must have no masked values; got {masked} of them: drop or fill them before"
        )


def _dtypes(values: Any) -> list[Any]:
    if hasattr(values, "dtypes"):  # a data frame; of a series it is one
        return list(values.dtypes) if np.ndim(values) == 2 else [values.dtypes]
    return [values.dtype] if hasattr(values, "dtype") else []


@contextlib.contextmanager
def naming(*names: str) -> Iterator[None]:
    """Say which argument an error of scikit-learn's checks is about, if it does not say so itself.

    Parameters
    ----------
    *names : str
        Of the arguments checked; errors that name none of them are about the first.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        message = str(error)
        if type(error) not in (ValueError, TypeError) or any(
            re.search(rf"\b{name}\b", message) for name in names
        ):
            raise
        about = " and ".join(names) if "inconsistent numbers" in message else names[0]
        raise type(error)(f"{about}: {message}") from None


def check_targets(y: Any) -> Any:
    """Targets of a regression, dense and real; None is for scikit-learn to refuse."""
    from scipy.sparse import issparse

    if y is None:
        return y
    if issparse(y):
        raise wrong("y must be dense, got a sparse matrix: pass y.toarray()")
    check_kinds("y", y)
    array = np.asarray(y)
    if array.dtype.kind not in "OUS":
        return y
    # Numbers among objects and texts; infinity among them is then seen.
    with naming("y"):
        return array.astype(np.float64)


def check_squares(name: str, values: np.ndarray) -> None:
    """Refuse numbers so large or so small that sums of their squares are infinite, or 0.

    Parameters
    ----------
    name : str
    values : ndarray
        Finite.
    """
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if largest > 0.0 and not _SQUARED_FROM <= largest <= _SQUARED_TO:
        what = "overflow" if largest > 1.0 else "underflow"
        raise ValueError(
            f"{name} has numbers of the size {largest:.1e}, whose squares {what}: expected sizes from "
            f"{_SQUARED_FROM:g} to {_SQUARED_TO:g}, so multiply {name} by a constant"
        )


def wrong(message: str) -> Exception:
    """An error of scikit-learn's class, both a ValueError and a TypeError, as its users expect."""
    # Imported only here, because that costs half a second.
    from sklearn.utils._param_validation import InvalidParameterError

    return InvalidParameterError(message)
