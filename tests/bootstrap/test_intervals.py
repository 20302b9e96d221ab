"""Quantiles with levels of their own, and BCa's levels, against NumPy and the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.bootstrap.intervals import (
    bca_levels,
    cheap_ends,
    quantiles,
    studentized_ends,
)
from fastkb.reference import bootstrap as reference


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), min_size=1, max_size=3),
)
def test_numpys_quantiles(values, levels):
    got = quantiles(np.array(values), np.array(levels))
    np.testing.assert_allclose(got, np.quantile(values, levels), rtol=1e-12, atol=1e-9)


def test_each_series_has_its_own_levels():
    values = np.random.default_rng(0).normal(size=(2, 3, 50))
    levels = np.random.default_rng(1).random((2, 3, 2))
    got = quantiles(values, levels)
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(got[place], np.quantile(values[place], levels[place]))


def test_nan_in_the_series_or_the_level_is_nan():
    values = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]])
    got = quantiles(values, np.array([[0.5, np.nan], [0.5, 0.5]]))
    np.testing.assert_array_equal(got, [[2.0, np.nan], [np.nan, np.nan]])


def test_types():
    levels = np.array([0.1, 0.9])
    assert quantiles(np.arange(5, dtype=np.float32), levels).dtype == np.float32
    assert quantiles(np.arange(5), levels).dtype == np.float64


def test_infinite_values_do_not_spoil_their_neighbours():
    values = np.array([-np.inf, 0.0, 1.0, np.inf, np.inf])
    np.testing.assert_array_equal(quantiles(values, np.array([0.25, 0.5, 1.0])), [0.0, 1.0, np.inf])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_samples", [1, 2])
def test_bca_is_the_oracles(seed, n_samples):
    rng = np.random.default_rng(seed)
    samples = [rng.exponential(size=12 + j) for j in range(n_samples)]

    def statistic(*arrays):
        return sum(a.mean() ** 2 for a in arrays)

    rows = reference.resamples(rng, [len(s) for s in samples], 300)
    values = reference.distribution(samples, statistic, rows)
    observed = np.asarray(statistic(*samples))
    left = reference.jackknife(samples, statistic)
    levels = bca_levels(values, observed, left, 0.05)
    expected = reference.bca(values, observed, left, 0.9)
    np.testing.assert_allclose(quantiles(values, levels), expected, rtol=1e-10)


def test_degenerate_distributions_have_no_levels():
    ones = np.ones(10)
    assert np.isnan(bca_levels(ones, np.asarray(1.0), [ones], 0.05)).all()


def test_cheap_interval_of_one_resample():
    """θ̂ ± t₁·|θ* - θ̂|; the 95% quantile of Student's t with one degree of freedom is 6.3138."""
    low, high = cheap_ends(np.array([[2.0], [7.0]]), np.array([1.0, 7.0]), 0.05)
    np.testing.assert_allclose(low, [1 - 6.313752, 7.0], rtol=1e-6)
    np.testing.assert_allclose(high, [1 + 6.313752, 7.0], rtol=1e-6)


def test_studentized_interval_by_hand():
    values, errors = np.array([1.0, 2.0, 4.0, 3.0]), np.array([1.0, 2.0, 1.0, 0.0])
    # t = -2, -1/2, 1, 0 (a deviation of zero with no spread)
    low, high = studentized_ends(
        values, np.asarray(3.0), errors, np.asarray(0.5), np.array([0.0, 1.0])
    )
    assert (low, high) == (3 - 0.5 * 1, 3 + 0.5 * 2)
