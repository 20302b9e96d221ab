"""Checks of what users pass to optimisers and learning-rate schedules."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


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


def check_betas(name: str, betas: Any) -> tuple[float, float]:
    """The two shares that Adam's averages keep."""
    if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
        raise TypeError(f"{name} must be a pair of numbers from 0 to below 1, got {betas!r}")
    return check_share(f"{name}[0]", betas[0]), check_share(f"{name}[1]", betas[1])


def check_limit(name: str, limit: Any) -> float | None:
    """A limit of gradients: a positive number, or None for no limit."""
    return None if limit is None else check_positive(name, limit)


def check_decay(name: str, decay: Any) -> float:
    """A finite number of at least 0."""
    return check_number(name, decay, 0.0)


_OF_OPTIMIZERS: dict[str, Callable[[str, Any], Any]] = {
    "lr": check_positive,
    "momentum": check_share,
    "nesterov": check_flag,
    "alpha": check_share,
    "betas": check_betas,
    "eps": check_positive,
    "weight_decay": check_decay,
    "clip_norm": check_limit,
    "clip_value": check_limit,
}


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An optimiser's parameters by name, as plain Python numbers."""
    checked = {name: _OF_OPTIMIZERS[name](name, value) for name, value in parameters.items()}
    if checked.get("nesterov") and checked["momentum"] == 0.0:
        raise ValueError("nesterov=True needs momentum above 0, and momentum is 0.0")
    return checked


def check_schedule(name: str, schedule: Any) -> Any:
    """An instance with the method `rate`."""
    return _instance(name, schedule, "rate", "a schedule of learning rates")


def check_optimizer(optimizer: Any) -> Any:
    """An instance with the method `hyper`."""
    return _instance("optimizer", optimizer, "hyper", "an optimiser or the name of one")


def _instance(name: str, thing: Any, method: str, what: str) -> Any:
    if isinstance(thing, type) or not callable(getattr(thing, method, None)):
        hint = f": write {thing.__name__}(…)" if isinstance(thing, type) else ""
        raise TypeError(f"{name} must be {what}, got {thing!r}{hint}")
    return thing


def check_losses(losses: Sequence[float], epoch: int) -> Sequence[float]:
    """The losses of the finished epochs, one for each."""
    if len(losses) < epoch:
        raise ValueError(
            f"losses must hold the loss of each of the epoch={epoch} finished epochs, got "
            f"{len(losses)} of them"
        )
    return losses[:epoch]


def check_name(what: str, name: str, known: Iterable[str], incomplete: Iterable[str] = ()) -> str:
    """One of the `known` names, in any case and with any hyphens or underscores.

    Parameters
    ----------
    what : str
        The name of the argument.
    name : str
    known : iterable of str
    incomplete : iterable of str
        Names of what exists and has no default parameters.
    """
    known, incomplete = list(known), list(incomplete)
    plain = {_plain(each): each for each in (*known, *incomplete)}
    found = plain.get(_plain(name))
    if found in known:
        return found
    if found is not None:
        raise ValueError(
            f"{what}={name!r} has parameters without defaults: pass an instance, or one of "
            f"{', '.join(known)}"
        )
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.5)
    hint = f"; did you mean {plain[close[0]]!r}?" if close else ""
    raise ValueError(f"{what}={name!r} is not known: expected one of {', '.join(known)}{hint}")


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
