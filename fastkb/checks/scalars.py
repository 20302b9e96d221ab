"""Checks of one value: a number, a whole number, a flag."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastkb.checks.numbers import wrong


def check_number(
    name: str,
    value: Any,
    minimum: float,
    maximum: float = math.inf,
    *,
    open_below: bool = False,
    open_above: bool = False,
) -> float:
    """One finite real number from `minimum` to `maximum`, as a float; an open end is excluded."""
    expected = _range(minimum, maximum, open_below, open_above)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number {expected}, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf if value > 0 else -math.inf  # type: ignore[operator]
    above = number > minimum if open_below else number >= minimum
    below = number < maximum if open_above else number <= maximum
    if not (above and below and math.isfinite(number)):
        raise ValueError(f"{name} must be a number {expected}, got {value!r}")
    return number


def _range(minimum: float, maximum: float, open_below: bool, open_above: bool) -> str:
    if math.isinf(maximum):
        return f"{'above' if open_below else 'of at least'} {minimum:g} and finite"
    low = f"above {minimum:g}" if open_below else f"from {minimum:g}"
    return f"{low} to {'below ' if open_above else ''}{maximum:g}"


def check_positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return check_number(name, value, 0.0, open_below=True)


def check_share(name: str, value: Any) -> float:
    """What is kept of an average: from 0 to below 1."""
    return check_number(name, value, 0.0, 1.0, open_above=True)


# Integers that are divided by: float64 has none of the next ones exactly.
_LARGEST_WHOLE = 2**53


def check_whole(name: str, value: Any, minimum: int) -> int:
    """An integer of at least `minimum`, and at most 2**53."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    number = int(value)
    if number < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    if number > _LARGEST_WHOLE:
        raise ValueError(f"{name} must be an integer of at most 2**53, got {value!r}")
    return number


def check_flag(name: str, value: Any) -> bool:
    """True or False, or what equals them."""
    if isinstance(value, (str, np.ndarray)) or value not in (True, False):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def as_whole(value: Any) -> int | None:
    """10 and 10.0 as 10; None for what is no whole number."""
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        number = int(value)
        return number if number == value else None
    except (TypeError, ValueError, OverflowError):
        return None


def check_parameter(
    name: str, value: Any, *, minimum: float | None = None, strict: bool = False
) -> float:
    """`value` as a float; a ValueError or TypeError that names it otherwise.

    Parameters
    ----------
    name : str
    value : a real number; bool and str are refused
    minimum : float, optional
        The smallest value allowed; excluded if `strict`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, Integral)):
        raise unexpected(name, value, "a real number")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    expected = "finite"
    if minimum is not None:
        expected = f"finite and {'>' if strict else '>='} {minimum}"
    below = minimum is not None and (number <= minimum if strict else number < minimum)
    if not np.isfinite(number) or below:
        raise unexpected(name, value, expected)
    return number


def check_count(name: str, value: Any, *, minimum: int = 0, maximum: int | None = None) -> int:
    """`value` as an int in these bounds; a ValueError or TypeError that names it otherwise."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < minimum:
        raise unexpected(name, value, f"a whole number >= {minimum}")
    if maximum is not None and int(value) > maximum:
        raise unexpected(name, value, f"a whole number <= {maximum}")
    return int(value)


def check_progress(progress: Any) -> None:
    """Refuse what is neither a truth value nor a function to be told."""
    if not isinstance(progress, (bool, np.bool_)) and not callable(progress):
        raise unexpected("progress", progress, "True, False or a function")


def unexpected(name: str, value: Any, expected: str) -> Exception:
    """The error of an argument that is not what was expected."""
    return wrong(f"{name} must be {expected}; got {value!r}")
