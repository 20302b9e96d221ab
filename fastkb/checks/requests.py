"""Checks of what several calls ask: a level, a number of resamples, a generator."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from fastkb.checks.scalars import as_whole, check_number, unexpected


def check_level(name: str, level: Any) -> float:
    """A confidence level strictly between 0 and 1."""
    percent = isinstance(level, Real) and 1.0 < float(level) < 100.0
    hint = f"; for {level:g}% write {level / 100:g}" if percent else ""
    return check_number(name, level, 0.0, 1.0, open_below=True, open_above=True, hint=hint)


def check_n_resamples(n_resamples: Any) -> int:
    """A positive number of replicates; 10.0 is accepted as 10."""
    number = as_whole(n_resamples)
    if number is None or not 1 <= number < 2**32:
        raise unexpected("n_resamples", n_resamples, "a whole number from 1 to 2**32 - 1")
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
