"""The oracle of bootstrap intervals against values that are known."""

import numpy as np
import pytest
from scipy import stats

from fastkb.reference import bootstrap as reference


def test_rows_are_numpys_and_in_the_order_of_batches():
    first, second = reference.resamples(np.random.default_rng(0), [3, 4], 5, batch=2)
    rng = np.random.default_rng(0)
    for start, count in ((0, 2), (2, 2), (4, 1)):
        np.testing.assert_array_equal(first[start : start + count], rng.integers(0, 3, (count, 3)))
        np.testing.assert_array_equal(second[start : start + count], rng.integers(0, 4, (count, 4)))
    (only,) = reference.resamples(np.random.default_rng(0), [3, 3], 5, paired=True)
    np.testing.assert_array_equal(only, np.random.default_rng(0).integers(0, 3, (5, 3)))


def test_the_statistic_of_each_row():
    x = np.array([1.0, 2.0, 4.0])
    rows = [np.array([[0, 0, 0], [0, 1, 2]])]
    np.testing.assert_array_equal(reference.distribution([x], np.sum, rows), [3.0, 7.0])
    (left,) = reference.jackknife([x], np.sum)
    np.testing.assert_array_equal(left, [6.0, 5.0, 3.0])


def test_efrons_acceleration():
    """Two samples: 0.011008228344026734 (SciPy's tests, from the formula in exact arithmetic)."""
    y = np.array([10.0, 27, 31, 40, 46, 50, 52, 104, 146])
    z = np.array([16.0, 23, 38, 94, 99, 141, 197])
    left = reference.jackknife([z, y], lambda a, b: a.mean() - b.mean())
    u = [(len(v) - 1) * (v.mean() - v) for v in left]
    cubes = sum((v**3).sum() / len(v) ** 3 for v in u)
    squares = sum((v**2).sum() / len(v) ** 2 for v in u)
    assert cubes / squares**1.5 / 6 == pytest.approx(0.011008228344026734, rel=1e-12)


def test_symmetric_data_need_no_correction():
    values = np.linspace(-1, 1, 2001)
    low, high = reference.bca(values, 0.0, [np.array([-1.0, 0.0, 1.0])], 0.9)
    assert (low, high) == pytest.approx((-0.9, 0.9))


def test_no_interval_where_all_replicates_lie_on_one_side():
    assert np.isnan(reference.bca(np.ones(10), 0.0, [np.arange(3.0)], 0.9)).all()


def test_weighted_moments_are_those_of_a_repeated_sample():
    x, y, times = np.array([1.0, 2.0, 4.0, 7.0]), np.array([3.0, 1.0, 4.0, 1.0]), [1, 3, 2, 2]
    weights = np.array(times) / 8
    many, others = np.repeat(x, times), np.repeat(y, times)
    assert reference.weighted_mean(x, weights) == many.mean()
    assert float(reference.weighted_covariance(x, x, weights)) == pytest.approx(many.var())
    expected = np.corrcoef(many, others)[0, 1]
    assert reference.weighted_correlation(x, y, weights) == pytest.approx(expected)
    assert np.isnan(reference.weighted_correlation(x, np.ones(4), weights))


def test_weighted_ranks_are_midranks_of_a_repeated_sample():
    x, times = np.array([1.0, 4.0, 4.0, 2.0]), [1, 3, 2, 2]
    ranks = (stats.rankdata(np.repeat(x, times)) - 0.5) / 8
    got = np.repeat(reference.weighted_ranks(x, np.array(times) / 8), times)
    np.testing.assert_array_equal(got.astype(float), ranks)


@pytest.mark.parametrize("level", [0.0, 0.125, 0.126, 0.5, 0.625, 0.75, 1.0])
def test_weighted_quantiles_are_those_of_a_repeated_sample(level):
    x, times = np.array([1.0, 7.0, 4.0, 2.0]), [1, 2, 2, 3]
    expected = np.quantile(np.repeat(x, times), level, method="inverted_cdf")
    assert reference.weighted_quantile(x, np.array(times) / 8, level) == expected
