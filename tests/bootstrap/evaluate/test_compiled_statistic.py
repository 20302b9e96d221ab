"""Compiled statistics without an observation, and with their p-value, against the definition."""

import functools

import numpy as np
import pytest
from scipy import stats

import fastkb
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import NAMED, plain_function, recognise
from fastkb.reference import bootstrap as reference


@pytest.mark.parametrize("name", sorted(NAMED))
def test_compiled_jackknife(name):
    statistic = NAMED[name]
    rng = np.random.default_rng(5)
    samples = list(rng.normal(size=(statistic.n_samples, 12)) + 3)
    samples[-1] = np.round(samples[-1], 1)
    function = plain_function(statistic)
    for paired in (True, False) if name.startswith("mean_") else (statistic.n_samples == 2,):
        left = Compiled(statistic, samples, paired, np.asarray(0.0)).jackknife()
        for got, expected in zip(left, reference.jackknife(samples, function, paired), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.parametrize("function", [stats.pearsonr, stats.spearmanr])
@pytest.mark.parametrize("n", [2, 3, 15])
def test_correlations_with_their_pvalues(rows_for, function, n):
    x, y = np.random.default_rng(6).normal(size=(2, n))
    (rows,) = rows_for([n], 8)
    statistic = recognise(function)
    got = Compiled(statistic, (x, y), True, np.asarray(function(x, y))).replicates([rows])
    assert got.shape == (2, 8)
    for b, row in enumerate(rows):
        if len(set(row)) == 1:
            assert np.isnan(got[:, b]).all()
        elif n > 2:
            np.testing.assert_allclose(got[:, b], function(x[row], y[row]), atol=1e-7)
        else:
            assert abs(got[0, b]) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
@pytest.mark.parametrize("cut", [0, 0.1, 0.25, 0.49])
@pytest.mark.parametrize(
    ("shape", "axis", "kind"),
    [
        ((40,), 0, np.float64),
        ((300,), 0, np.float64),
        ((2, 30, 3), 1, np.float64),
        ((300,), 0, np.float32),
        ((60,), 0, np.int32),
    ],
)
def test_trimmed_means_are_scipys(shape, axis, kind, cut, method):
    x = (30 * np.random.default_rng(7).exponential(size=shape)).astype(kind)
    statistic = functools.partial(stats.trim_mean, proportiontocut=cut)
    options = {"n_resamples": 199, "axis": axis, "method": method, "rng": 3}
    ours = fastkb.bootstrap((x,), statistic, **options)
    theirs = stats.bootstrap((x,), statistic, **options)
    assert ours.bootstrap_distribution.dtype == theirs.bootstrap_distribution.dtype
    # SciPy's BCa levels of float32 data are rounded to float32.
    rtol, ends = (1e-6, 2e-4) if kind == np.float32 else (1e-12, 1e-12)
    for got, expected, tolerance in (
        (ours.bootstrap_distribution, theirs.bootstrap_distribution, rtol),
        (ours.standard_error, theirs.standard_error, 10 * rtol),
        (ours.confidence_interval, theirs.confidence_interval, ends),
    ):
        np.testing.assert_allclose(got, expected, rtol=tolerance)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("name", sorted(n for n, known in NAMED.items() if known.n_samples == 1))
def test_small_whole_numbers_do_not_wrap_around(kind, name):
    ends = np.iinfo(kind)
    x = np.array([ends.min, ends.max, ends.max, ends.min, ends.max // 2, 3], kind)
    for statistic in (name, plain_function(NAMED[name])):
        found = fastkb.bootstrap((x,), statistic, n_resamples=99, method="basic", rng=0)
        wanted = fastkb.bootstrap(
            (x.astype(np.int64),), statistic, n_resamples=99, method="basic", rng=0
        )
        assert found.observed == wanted.observed
        np.testing.assert_array_equal(found.confidence_interval, wanted.confidence_interval)


def test_a_range_of_16_bits():
    x = np.array([-30000, 31000, 5, 7, 9, 100], np.int16)
    result = fastkb.bootstrap((x,), np.ptp, n_resamples=99, method="percentile", rng=0)
    assert result.observed == result.confidence_interval.high == 61000


def test_a_difference_of_8_bits():
    x, y = np.array([1, 2, 250, 4], np.uint8), np.array([4, 255, 6, 7], np.uint8)
    result = fastkb.bootstrap((x, y), "mean_difference", n_resamples=99, paired=True, rng=0)
    assert result.observed == (x.astype(float) - y).mean()


def test_the_observed_value_is_a_resample_of_everything():
    """To the last bit: how many resamples are below it is what BCa counts."""
    x, y = np.arange(1.0, 7.0), np.array([1.0, 2.0, 4.0, 3.0, 5.0, 6.0])
    low, _ = fastkb.bootstrap(
        (x, y), "spearman", n_resamples=999, paired=True, rng=0
    ).confidence_interval
    assert low == 0.0
    rng = np.random.default_rng(1)
    for name, known in NAMED.items():
        data = [np.round(rng.normal(size=9), 1) for _ in range(known.n_samples)]
        like = np.float64(1.0)
        compiled = Compiled(known, data, True, np.asarray(like))
        rows = [np.stack([np.arange(9), rng.permutation(9)]).astype(np.uint32)] * 2
        values = compiled.replicates(rows[: known.n_samples])
        assert compiled.observed == values[0], name


def test_one_huge_value_does_not_lose_the_interval():
    x, y = np.array([1, 2, 3, 4, 5, 1e20]), np.arange(1.0, 7.0)
    found = fastkb.bootstrap((x, y), "mean_ratio", n_resamples=999, paired=True, rng=0)
    wanted = stats.bootstrap(
        (x, y),
        lambda x, y, axis: x.mean(axis=axis) / y.mean(axis=axis),
        n_resamples=999,
        paired=True,
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(found.confidence_interval, wanted.confidence_interval, rtol=1e-12)
