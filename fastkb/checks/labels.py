"""Checks of labels: every observation has one."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_all_labelled(name: str, labels: Any, array: np.ndarray) -> None:
    """Refuse labels that are masked or no value at all; `array` holds them.  # shape: (n,)"""
    missing = _without_label(labels, array)
    if missing.size:
        raise ValueError(
            f"{name} must name the group of each observation, and {missing.size} of the {len(array)} "
            f"are missing (NaN, None or NaT), the first at {missing[0]}: drop these observations, or "
            "give them a group of their own"
        )


def _without_label(labels: Any, array: np.ndarray) -> np.ndarray:
    """The places of labels that are masked or no value at all."""
    missing = (
        np.ma.getmaskarray(labels) if np.ma.isMaskedArray(labels) else np.zeros(len(array), bool)
    )
    if array.dtype.kind in "fc":
        missing = missing | np.isnan(array)
    elif array.dtype.kind in "mM":
        missing = missing | np.isnat(array)
    elif array.dtype.kind == "O":
        missing = missing | np.array([_is_no_value(label) for label in array], bool)
    return np.flatnonzero(missing)


def _is_no_value(label: Any) -> bool:
    """None, a NaN, NaT or pandas' NA, which is the only one that does not answer."""
    if label is None:
        return True
    try:
        return bool(label != label)
    except (TypeError, ValueError):
        return True
