"""Confidence intervals from a bootstrap distribution: percentile, basic, and BCa.

References
----------
Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapters 13 and 14 (equation 15.36 for several
samples).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def standard_deviation(values: np.ndarray) -> np.ndarray:
    """``values.std(axis=-1, ddof=1)``, whose squares neither overflow nor vanish.

    Values are first scaled by a power of two, which rounds nothing: the result is NumPy's to the last bit
    wherever NumPy's has all its digits.
    """
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        _, exponent = np.frexp(_largest(values))
        spread = np.ldexp(values, -exponent).std(axis=-1, ddof=1)
        return np.ldexp(spread, exponent[..., 0])


def _largest(values: np.ndarray) -> np.ndarray:
    """The largest size along the last axis; 1 where it is none.  # shape: (…, 1)"""
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return np.where(np.isfinite(largest) & (largest > 0), largest, largest.dtype.type(1))


def quantiles(distribution: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles along the last axis, linearly interpolated, at levels of its own for each series.

    Parameters
    ----------
    distribution : ndarray
        # shape: (…, B)
    levels : ndarray
        NaN where there is none.  # shape: (…, k), or (k,) for all alike

    Returns
    -------
    ndarray
        NaN where the level or a value of the series is.  # shape: (…, k)
    """
    ordered = np.sort(distribution, axis=-1)  # NaN last
    n = ordered.shape[-1]
    levels = np.broadcast_to(levels, (*ordered.shape[:-1], np.shape(levels)[-1]))
    known = np.isfinite(levels) & ~np.isnan(ordered[..., -1:])
    virtual = np.where(known, levels, 0.0) * (n - 1)
    place = np.minimum(virtual.astype(np.intp), n - 1)
    low = np.take_along_axis(ordered, place, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(place + 1, n - 1), axis=-1)
    part = virtual - place
    with np.errstate(invalid="ignore"):
        between = np.where(part > 0, (1 - part) * low + part * high, low)
    kind = distribution.dtype if distribution.dtype.kind == "f" else np.float64
    return np.where(known, between, np.nan).astype(kind)


class Ends(NamedTuple):
    """What the ends of an interval at any level are read off, beside the distribution.

    Parameters
    ----------
    method : {"percentile", "basic", "bca", "studentized", "cheap"}
    observed : ndarray
        The statistic of the data.  # shape: (…)
    scale : float
        By which deviations from it are stretched: of schemes that draw fewer rows than there are.
    acceleration : ndarray or None
        Of BCa intervals.  # shape: (…)
    errors, own : ndarray or None
        Of studentized intervals: the standard errors of the resamples, and of the data.
        # shapes: (…, B), (…)
    """

    method: str
    observed: np.ndarray
    scale: float = 1.0
    acceleration: np.ndarray | None = None
    errors: np.ndarray | None = None
    own: np.ndarray | None = None

    def scaled(self, distribution: np.ndarray) -> np.ndarray:
        """The distribution with stretched deviations."""
        if self.scale == 1.0:
            return distribution
        value = self.observed[..., None]
        return value + self.scale * (distribution - value)

    def at(
        self, distribution: np.ndarray, level: float, alternative: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ends at a level; NaN where there is no interval.

        # shapes: (…) each
        """
        alpha = (1 - level) / 2 if alternative == "two-sided" else 1 - level
        levels = np.array([alpha, 1 - alpha])
        if self.method == "cheap":
            low, high = cheap_ends(self.scaled(distribution), self.observed, alpha)
        elif self.method == "studentized":
            assert self.own is not None
            low, high = studentized_ends(distribution, self.observed, self.errors, self.own, levels)
        else:
            if self.method == "bca":
                assert self.acceleration is not None
                levels = bca_levels(distribution, self.observed, self.acceleration, alpha)
            ends = quantiles(self.scaled(distribution), levels)
            low, high = ends[..., 0], ends[..., 1]
            if self.method == "basic":
                # An infinite end minus an infinite value is NaN, which means no end.
                with np.errstate(invalid="ignore", over="ignore"):
                    low, high = 2 * self.observed - high, 2 * self.observed - low
        return low, high


def acceleration_of(jackknife: Sequence[np.ndarray]) -> np.ndarray:
    """The acceleration of BCa intervals; NaN where the statistic hardly changes.

    Parameters
    ----------
    jackknife : sequence of ndarray
        For each sample, the statistic without each of its observations.  # shapes: (…, n_j)
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        influences = [
            (x.shape[-1] - 1) * (x.mean(axis=-1, keepdims=True) - x)
            for x in (np.ascontiguousarray(values, np.float64) for values in jackknife)
        ]
        # The acceleration does not depend on the scale, and cubes shall neither be infinite nor 0. A
        # factor that is a power of two rounds nothing.
        exponent = np.frexp(np.max([_largest(u) for u in influences], axis=0))[1]
        influences = [np.ldexp(u, -exponent) for u in influences]
        cubes = sum((u**3).sum(axis=-1) / u.shape[-1] ** 3 for u in influences)
        squares = sum((u**2).sum(axis=-1) / u.shape[-1] ** 2 for u in influences)
        return np.asarray(cubes / np.asarray(squares) ** 1.5 / 6)


def bca_levels(
    distribution: np.ndarray, observed: np.ndarray, acceleration: np.ndarray, alpha: float
) -> np.ndarray:
    """The levels that correct for bias and skewness; NaN where the distribution is degenerate.

    Parameters
    ----------
    distribution : ndarray
        # shape: (…, B)
    observed : ndarray
        The statistic of the data.  # shape: (…)
    acceleration : ndarray
        As :func:`acceleration_of` has it.  # shape: (…)
    alpha : float
        The lower nominal level.

    Returns
    -------
    ndarray
        # shape: (…, 2)
    """
    from scipy.special import ndtr, ndtri

    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        value = observed[..., None]
        below = (distribution < value).sum(axis=-1) + (distribution <= value).sum(axis=-1)
        bias = ndtri(below / (2 * distribution.shape[-1]))
        levels = []
        for z in (ndtri(alpha), -ndtri(alpha)):
            shifted = bias + z
            levels.append(ndtr(bias + shifted / (1 - acceleration * shifted)))
    return np.stack(levels, axis=-1)


def cheap_ends(
    distribution: np.ndarray, observed: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """θ̂ ± t·S of Lam (2022): Student's t with as many degrees of freedom as there are resamples."""
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        deviations = distribution - observed[..., None]
        exponent = np.frexp(_largest(deviations))[1]
        squares = np.ldexp(deviations, -exponent) ** 2
        spread = np.ldexp(np.sqrt(squares.mean(axis=-1)), exponent[..., 0])
        half = stdtrit(distribution.shape[-1], 1 - alpha) * spread
        return observed - half, observed + half


def studentized_ends(
    distribution: np.ndarray,
    observed: np.ndarray,
    errors: np.ndarray | None,
    own: np.ndarray,
    levels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """θ̂ - s·t, for quantiles t of (θ* - θ̂) / s*.

    Parameters
    ----------
    distribution, errors : ndarray
        θ* and s*.  # shape: (…, B)
    observed, own : ndarray
        θ̂ and s.  # shape: (…)
    levels : ndarray
        # shape: (2,)
    """
    assert errors is not None
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        deviations = distribution - observed[..., None]
        # A resample without spread: no deviation, or one beyond all.
        ratios = np.where(deviations == 0, 0.0, deviations / errors)
        t = quantiles(ratios, levels)
        return observed - own * t[..., 1], observed - own * t[..., 0]
