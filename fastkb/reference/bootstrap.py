"""Bootstrap intervals by their definition: draw rows, compute the statistic, one after the other."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np


def resamples(rng, lengths, n_resamples, batch=None, paired=False):
    """Rows of indices for each sample, in SciPy's order of drawing.  # shapes: (n_resamples, n_j)"""
    lengths = lengths[:1] if paired else lengths
    rows: list = [[] for _ in lengths]
    for start in range(0, n_resamples, batch or n_resamples):
        count = min(batch or n_resamples, n_resamples - start)
        for one, n in zip(rows, lengths, strict=True):
            one.append(rng.integers(0, n, (count, n)))
    return [np.concatenate(one) for one in rows]


def distribution(samples, statistic, rows):
    """The statistic of one-dimensional samples for every row of indices.  # shape: (n_resamples,)"""
    rows = rows if len(rows) == len(samples) else [rows[0]] * len(samples)
    return np.array(
        [
            statistic(*[sample[row] for sample, row in zip(samples, every, strict=True)])
            for every in zip(*rows, strict=True)
        ]
    )


def jackknife(samples, statistic, paired=False):
    """For each sample, the statistic without each of its observations."""
    out = []
    for j in range(1 if paired else len(samples)):
        values = []
        for i in range(len(samples[j])):
            left = [
                np.delete(sample, i) if paired or k == j else sample
                for k, sample in enumerate(samples)
            ]
            values.append(statistic(*left))
        out.append(np.array(values, dtype=float))
    return out


def bca(values, observed, left_out, level):
    """Ends of the BCa interval of one statistic (Efron and Tibshirani 1993, section 14.3)."""
    normal = NormalDist()
    below = np.mean(0.5 * (values < observed) + 0.5 * (values <= observed))
    if not 0 < below < 1:
        return math.nan, math.nan
    bias = normal.inv_cdf(below)
    u = [(len(v) - 1) * (v.mean() - v) for v in left_out]
    cubes = sum((v**3).sum() / len(v) ** 3 for v in u)
    squares = sum((v**2).sum() / len(v) ** 2 for v in u)
    if squares == 0:
        return math.nan, math.nan
    acceleration = cubes / squares**1.5 / 6
    ends = []
    for tail in ((1 - level) / 2, 1 - (1 - level) / 2):
        z = bias + normal.inv_cdf(tail)
        ends.append(np.quantile(values, normal.cdf(bias + z / (1 - acceleration * z))))
    return tuple(ends)


def weighted_mean(x, w):
    """Σ w x / Σ w, exactly.  # shapes: (n,), (n,)"""
    x, w = _exact(x), _exact(w)
    return sum(a * b for a, b in zip(w, x, strict=True)) / sum(w)


def weighted_covariance(x, y, w):
    """Σ w (x - m)(y - l) / Σ w with the weighted means m and l, exactly."""
    mean_x, mean_y = weighted_mean(x, w), weighted_mean(y, w)
    products = [(a - mean_x) * (b - mean_y) for a, b in zip(_exact(x), _exact(y), strict=True)]
    return weighted_mean(products, w)


def weighted_correlation(x, y, w):
    """Pearson's, of a distribution with mass w at (x, y)."""
    spread = weighted_covariance(x, x, w) * weighted_covariance(y, y, w)
    return float(weighted_covariance(x, y, w)) / math.sqrt(spread) if spread else math.nan


def weighted_ranks(x, w):
    """The mass below each value, and half the mass at it, exactly."""
    pairs = list(zip(x, _exact(w), strict=True))
    return [sum(v for b, v in pairs if b < a) + sum(v for b, v in pairs if b == a) / 2 for a in x]


def weighted_quantile(x, w, level):
    """The smallest value with mass `level` or more at it and below."""
    pairs = list(zip(x, _exact(w), strict=True))
    total = sum(v for _, v in pairs)
    return min(a for a in x if sum(v for b, v in pairs if b <= a) >= Fraction(level) * total)


def _exact(numbers):
    return [one if isinstance(one, Fraction) else Fraction(float(one)) for one in numbers]
