"""Checks of one value: a number, a whole number, a flag.

Their errors are of scikit-learn's class, which is both a ValueError and a TypeError: of a value of the
wrong type, and of one that is out of range, the caller wants to know the same.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastkb.checks.numbers import wrong

# The largest whole number before a gap, for those that are divided by: float64 has not the next one.
LARGEST_WHOLE = 2**53


def check_number(
    name: str,
    value: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    open_below: bool = False,
    open_above: bool = False,
    hint: str = "",
) -> float:
    """One finite real number from `minimum` to `maximum`, as a float; an open end is excluded.

    `hint` is the last of the message of the error.
    """
    number = math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number of hundreds of digits
            number = math.inf
    above = number > minimum if open_below else number >= minimum
    below = number < maximum if open_above else number <= maximum
    if not (above and below and math.isfinite(number)):
        expected = _range(minimum, maximum, open_below, open_above)
        raise unexpected(name, value, f"a {expected}", hint)
    return number


def _range(minimum: float, maximum: float, open_below: bool, open_above: bool) -> str:
    if math.isinf(maximum):
        low = f" {'above' if open_below else 'of at least'} {minimum:g}"
        return f"finite real number{'' if math.isinf(minimum) else low}"
    if open_below and open_above:
        return f"number between {minimum:g} and {maximum:g}, exclusive"
    low = f"above {minimum:g}" if open_below else f"from {minimum:g}"
    return f"number {low} to {'below ' if open_above else ''}{maximum:g}"


def check_whole(name: str, value: Any, minimum: int = 0, maximum: int | None = None) -> int:
    """A whole number from `minimum` to `maximum`, of a type of whole numbers."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if whole and int(value) >= minimum and (maximum is None or int(value) <= maximum):
        return int(value)
    bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise unexpected(name, value, f"a whole number {bounds}")


def check_flag(name: str, value: Any) -> bool:
    """True or False, and not what equals them."""
    if not isinstance(value, bool | np.bool_):
        raise unexpected(name, value, "True or False")
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


def check_progress(progress: Any) -> None:
    """Refuse what is neither a truth value nor a function to be told."""
    if not isinstance(progress, bool | np.bool_) and not callable(progress):
        raise unexpected("progress", progress, "True, False or a function")


def unexpected(name: str, value: Any, expected: str, hint: str = "") -> Exception:
    """The error of an argument that is not what was expected."""
    return wrong(f"{name} must be {expected}, got {value!r}{hint}")
