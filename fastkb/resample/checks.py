"""Checks of what users pass to resampling schemes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from fastkb.checks.labels import check_all_labelled
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import as_whole, check_number


def check_series(x: Any) -> np.ndarray:
    """A series whose block length is to be chosen.  # shape: (n,)"""
    if np.ma.isMaskedArray(x) and np.ma.getmaskarray(x).any():
        raise ValueError("x has masked values: a series has a number at each time")
    try:
        series = np.asarray(x, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"x must be a series of numbers, got {type(x).__name__}") from None
    if series.ndim != 1 or len(series) < 2:
        raise ValueError(f"x must be a series of two numbers or more, got shape {series.shape}")
    wrong = np.flatnonzero(~np.isfinite(series))
    if wrong.size:
        raise ValueError(
            f"x must be finite, as its blocks have an automatic length: got {series[wrong[0]]} at "
            f"{wrong[0]} ({wrong.size} in all); drop them, or give the length"
        )
    return series


def check_labels(scheme: str, labels: Any, n: int) -> np.ndarray:
    """The group of each observation as a number from 0.  # shape: (n,)"""
    array = np.asarray(labels)
    if array.shape != (n,):
        raise ValueError(
            f"{scheme}: labels must be one for each of the {n} observations, got shape {array.shape}"
        )
    check_all_labelled(f"{scheme}: labels", labels, array)
    try:
        names, codes = np.unique(array, return_inverse=True)
    except TypeError:
        raise ValueError(f"{scheme}: labels must be of one kind, got {array.dtype}") from None
    if scheme in ("Clusters", "Wild") and len(names) < 2:
        raise ValueError(f"{scheme}: labels must name two clusters at least, got only {names[0]!r}")
    return codes


def check_length(scheme: str, length: Any, n: int, whole: bool) -> float:
    """The length of a block, from 1 to n - 1."""
    kind = "an integer" if whole else "a number"
    if (
        isinstance(length, bool)
        or not isinstance(length, Real)
        or (whole and as_whole(length) is None)
    ):
        raise TypeError(f"{scheme}: length must be {kind} or None, got {length!r}")
    number = float(length)
    if not 1 <= number < n:
        raise ValueError(
            f"{scheme}: length must be at least 1 and below the number of observations, {n}, "
            f"got {length}"
        )
    return int(number) if whole else number


def check_fraction_of(scheme: str, m: Any, rate: Any, n: int) -> tuple[int, float]:
    """How many of n observations a resample has, and the rate of convergence."""
    number = as_whole(m)
    if number is None:
        raise TypeError(f"{scheme}: m must be an integer, got {m!r}")
    most = n - 1 if scheme == "Subsampling" else n
    if not 2 <= number <= most:
        raise ValueError(f"{scheme}: m must be from 2 to {most}, got {m}")
    return number, check_number(f"{scheme}: rate", rate, 0.0, open_below=True)


def check_response(scheme: str, y: np.ndarray) -> None:
    """A response that residuals can be formed of."""
    if not np.isfinite(y).all():
        raise ValueError(
            f"{scheme}: the response, the last sample of `data`, has NaN or infinity: drop those "
            "observations"
        )


def check_fitted(scheme: str, fitted: Any, shape: tuple[int, ...], axis: int = -1) -> np.ndarray:
    """Fitted values of a response of this shape, with observations along the last axis.

    `axis` is where `fitted` has them.
    """
    if fitted is None:
        raise ValueError(
            f"{scheme}: fitted must be the fitted values of the response, of shape {shape}, got None"
        )
    check_unmasked(f"{scheme}: fitted", fitted)
    try:
        values = np.asarray(fitted, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{scheme}: fitted must be numbers, got {fitted!r}") from None
    moved = values
    if values.ndim > 1 and -values.ndim <= axis < values.ndim:
        moved = np.moveaxis(values, axis, -1)
    try:
        if moved.ndim == 0 or moved.shape[-1] != shape[-1]:
            raise ValueError
        moved = np.broadcast_to(moved, shape)
    except ValueError:
        raise ValueError(
            f"{scheme}: fitted must have the response's shape {shape}, got {values.shape} "
            f"(observations along axis {axis})"
        ) from None
    if not np.isfinite(moved).all():
        raise ValueError(f"{scheme}: fitted must be finite, and has NaN or infinity")
    return moved


def check_leverage(scheme: str, leverage: Any, n: int) -> np.ndarray:
    """The diagonal of a hat matrix, from 0 to below 1.  # shape: (n,)"""
    check_unmasked(f"{scheme}: leverage", leverage)
    try:
        values = np.asarray(leverage, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{scheme}: leverage must be numbers, got {leverage!r}") from None
    if values.shape != (n,):
        raise ValueError(
            f"{scheme}: leverage must be one number for each of the {n} observations, got shape "
            f"{values.shape}"
        )
    wrong = ~((values >= 0) & (values < 1))
    if wrong.any():
        raise ValueError(f"{scheme}: leverage must be from 0 to below 1, got {values[wrong][0]:g}")
    return values
