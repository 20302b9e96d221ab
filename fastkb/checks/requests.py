"""Checks of what several calls ask: a level, a number of resamples, a generator."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np


def check_level(name: str, level: Any) -> float:
    """A confidence level strictly between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, Real):
        raise TypeError(f"{name} must be a number between 0 and 1, got {level!r}")
    level = float(level)
    if not 0.0 < level < 1.0:
        hint = f"; for {level:g}% write {level / 100:g}" if 1.0 < level < 100.0 else ""
        raise ValueError(f"{name} must be between 0 and 1, exclusive, got {level:g}{hint}")
    return level


def check_n_resamples(n_resamples: Any) -> int:
    """A positive number of replicates; 10.0 is accepted as 10."""
    whole = isinstance(n_resamples, Real) and not isinstance(n_resamples, bool)
    # (A whole number may have too many digits for a float.)
    if not whole or not (isinstance(n_resamples, Integral) or float(n_resamples).is_integer()):
        raise TypeError(f"n_resamples must be a positive integer, got {n_resamples!r}")
    number = int(n_resamples)
    if not 1 <= number < 2**32:
        raise ValueError(f"n_resamples must be from 1 to 2**32 - 1, got {number}")
    return number


def check_rng(rng: Any) -> Any:
    """None, a non-negative integer, a SeedSequence or a Generator."""
    if isinstance(rng, Integral) and not isinstance(rng, bool):
        if rng < 0:
            raise ValueError(f"rng must not be negative, got {rng}")
        return int(rng)
    if rng is None or isinstance(rng, np.random.SeedSequence | np.random.Generator):
        return rng
    raise TypeError(
        "rng must be None, a non-negative integer, a numpy.random.SeedSequence or a "
        f"numpy.random.Generator, got {rng!r}"
    )
