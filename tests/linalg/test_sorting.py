"""Sorting by digits, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fastkb.linalg.sorting import sort

SIZES = [0, 1, 2, 3, 47, 48, 49, 247, 3000]
KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "ascending": lambda rng, n: np.sort(rng.exponential(size=n)),
    "descending": lambda rng, n: -np.sort(rng.exponential(size=n)),
    "few values": lambda rng, n: rng.integers(-2, 3, n).astype(float),
    "one value": lambda rng, n: np.full(n, 0.1),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 3,
    "integers": lambda rng, n: rng.integers(-1000, 1000, n),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "missing": lambda rng, n: np.where(rng.uniform(size=n) < 0.1, np.nan, rng.normal(size=n)),
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_sorted_as_numpy_does(kind, n):
    x = KINDS[kind](np.random.default_rng(n), n)
    before = x.copy()
    np.testing.assert_array_equal(sort(x), np.sort(x))
    np.testing.assert_array_equal(sort(x[::-1]), np.sort(x))
    np.testing.assert_array_equal(x, before)


@given(arrays.arrays(np.float64, st.integers(0, 120)))
def test_every_float_is_sorted(x):
    """Subnormal numbers, both zeros, infinities, and NaN of either sign."""
    with np.errstate(invalid="ignore"):
        x = np.where(np.arange(len(x)) % 7 == 3, -x, x)
    np.testing.assert_array_equal(sort(x), np.sort(x))
