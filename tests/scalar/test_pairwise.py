"""Sums in NumPy's order, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.runtime import inline, jit
from fastkb.scalar.pairwise import pairwise_sum_of, summation_tree


@inline
def _scaled(values, factor, _, buffer, start, count):
    for k in range(count):
        buffer[3 + k] = factor * values[start + k]
    return 3


@jit(cache=False)
def _sum_scaled(values, factor, buffer, leaves, merges):
    return pairwise_sum_of(_scaled, values, factor, 0, buffer, leaves, merges)


def _sum(values, leaves, merges):
    """The sum by way of terms that are made leaf by leaf."""
    buffer = np.full(3 + 128, np.nan, values.dtype)
    return _sum_scaled(values / 2, values.dtype.type(2), buffer, leaves, merges)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    n=st.integers(1, 600) | st.sampled_from([1024, 4095, 9999, 100_007]), seed=st.integers(0, 99)
)
def test_numpys_sum(dtype, n, seed):
    x = np.random.default_rng(seed).standard_cauchy(n).astype(dtype)
    total = _sum(x, *summation_tree(n))
    assert total == x.sum()
    assert type(dtype(total)) is dtype


@pytest.mark.parametrize("n", [1, 5, 8, 130])
def test_special_values(n):
    for value in (-0.0, np.inf, np.nan):
        x = np.full(n, value)
        np.testing.assert_array_equal(_sum(x, *summation_tree(n)), x.sum())


@given(st.integers(0, 10**7))
def test_a_tree_has_all_terms_and_one_root(n):
    leaves, merges = summation_tree(n)
    assert leaves.sum() == n
    assert len(leaves) == merges.sum() + (n > 0)
    assert ((leaves <= 128) & (leaves > 0)).all()
    # No merge takes more than there is.
    assert (np.cumsum(1 - merges) >= 1).all()
