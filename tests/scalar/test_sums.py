"""Sums in any order."""

import math

import numba
import numpy as np
import pytest

from fastkb.scalar.sums import quick_sum


@numba.njit
def of(values):
    return quick_sum(values)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 33, 1000])
def test_they_are_right_to_rounding_and_the_same_each_time(n):
    x = np.random.default_rng(n).normal(size=n)
    assert abs(of(x) - math.fsum(x)) <= 1e-16 * n * np.abs(x).sum()
    assert of(x.copy()) == of(x)
