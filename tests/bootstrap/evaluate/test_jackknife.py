"""Jackknife values by taking one observation away, against computing them afresh."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from fastkb.bootstrap.evaluate.jackknife import leave_one_out, leave_one_pair_out
from fastkb.bootstrap.evaluate.statistics import NAMED, Code, Statistic
from fastkb.reference import bootstrap as reference

QUANTILE = Statistic("quantile", Code.QUANTILE, parameter=0.3)
ONE = {
    NAMED["mean"]: np.mean,
    NAMED["sum"]: np.sum,
    NAMED["var"]: np.var,
    NAMED["std"]: np.std,
    NAMED["var"]._replace(parameter=1.0): lambda x: np.var(x, ddof=1),
    NAMED["median"]: np.median,
    NAMED["min"]: np.min,
    NAMED["max"]: np.max,
    NAMED["ptp"]: np.ptp,
    NAMED["trimmed_mean"]: lambda x: stats.trim_mean(x, 0.1),
    QUANTILE: lambda x: np.quantile(x, 0.3),
}
values = st.floats(-100, 100) | st.integers(-2, 2).map(float)


def identify(statistic):
    return f"{statistic.name}-{statistic.parameter:g}"


@pytest.mark.parametrize("statistic", ONE, ids=identify)
@given(x=hnp.arrays(np.float64, st.integers(3, 30), elements=values))
def test_one_sample(statistic, x):
    (expected,) = reference.jackknife([x], ONE[statistic])
    tolerance = 1e-9 * (np.abs(x).max() + 1.0) ** (1 + (statistic.code == Code.VARIANCE))
    if statistic.code == Code.DEVIATION:  # a root near zero
        tolerance = 1e-6 * (np.abs(x).max() + 1.0)
    np.testing.assert_allclose(leave_one_out(statistic, x[None])[0], expected, atol=tolerance)


def test_an_observation_that_makes_up_the_whole_variance():
    x = np.append(np.random.default_rng(0).normal(size=20), 1e9)
    for name in ("var", "std"):
        (expected,) = reference.jackknife([x], ONE[NAMED[name]])
        np.testing.assert_allclose(leave_one_out(NAMED[name], x[None])[0], expected, rtol=1e-9)


@given(
    x=hnp.arrays(np.float64, st.integers(2, 60), elements=values),
    cut=st.sampled_from([0, 0.05, 0.1, 0.25, 0.49]),
    offset=st.sampled_from([0.0, 1e8]),
)
def test_trimmed_means(x, cut, offset):
    x = x + offset
    statistic = Statistic("trim_mean", Code.TRIMMED_MEAN, parameter=cut)
    (expected,) = reference.jackknife([x], lambda left: stats.trim_mean(left, cut))
    # Sums of at most 60 terms, here and in SciPy.
    tolerance = 60 * np.finfo(np.float64).eps * np.abs(x).max()
    np.testing.assert_allclose(leave_one_out(statistic, x[None])[0], expected, atol=tolerance)


def test_trimmed_means_of_data_far_from_zero_keep_their_differences():
    # The acceleration of BCa is made of them.
    x = np.random.default_rng(0).integers(0, 1000, 200).astype(float)
    statistic = NAMED["trimmed_mean"]
    near, far = (leave_one_out(statistic, x[None] + offset)[0] for offset in (0.0, 2.0**40))
    np.testing.assert_allclose(far - 2.0**40, near, rtol=0, atol=2.0**-12)  # one rounding


def test_series_are_apart():
    x = np.random.default_rng(0).normal(size=(3, 10))
    for statistic in ONE:
        whole = leave_one_out(statistic, x)
        parts = [leave_one_out(statistic, row[None])[0] for row in x]
        np.testing.assert_allclose(whole, parts)


@given(
    hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(4, 25)), elements=st.floats(-9, 9)),
    st.integers(0, 2**32),
)
def test_pairs(samples, seed):
    x, y = samples + np.random.default_rng(seed).normal(size=samples.shape)
    for name, function in (
        ("pearson", lambda a, b: np.corrcoef(a, b)[0, 1]),
        ("mean_difference", lambda a, b: a.mean() - b.mean()),
    ):
        (expected,) = reference.jackknife([x, y], function, paired=True)
        got = leave_one_pair_out(NAMED[name], x[None], y[None])[0]
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_a_pair_that_makes_up_the_whole_correlation():
    rng = np.random.default_rng(0)
    x, y = np.append(rng.normal(size=(2, 15)), [[1e8], [1e8]], axis=1)
    (expected,) = reference.jackknife([x, y], lambda a, b: np.corrcoef(a, b)[0, 1], paired=True)
    got = leave_one_pair_out(NAMED["pearson"], x[None], y[None])[0]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    x[:-1] = 3.0  # constant but for one: no correlation without it
    assert np.isnan(leave_one_pair_out(NAMED["pearson"], x[None], y[None])[0][-1])


@pytest.mark.parametrize("huge", [1e20, -1e20, 1e100])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_sums_without_a_huge_observation_keep_the_others(huge, place):
    x = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    x[0, place] = huge
    (wanted,) = reference.jackknife([x[0]], np.mean)
    np.testing.assert_allclose(leave_one_out(NAMED["mean"], x)[0], wanted, rtol=1e-15)
    found = leave_one_out(NAMED["sum"], x)[0]
    np.testing.assert_allclose(found, 5 * wanted, rtol=1e-15)


@pytest.mark.parametrize("huge", [1e20, -1e40])
@pytest.mark.parametrize("scale", [1.0, 1e-200])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_correlation_without_a_huge_observation_is_that_of_the_others(place, scale, huge):
    x = np.array([[1.0, 2.0, 4.0, 3.0, 5.0, 6.0]])
    x[0, place] = huge
    y = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 7.0]])
    others = np.delete(x[0], place), np.delete(y[0], place)
    found = leave_one_pair_out(NAMED["pearson"], scale * x, y)[0, place]
    assert found == pytest.approx(np.corrcoef(*others)[0, 1], rel=1e-14)
