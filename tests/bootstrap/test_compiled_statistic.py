"""Compiled statistics without an observation, and with their p-value, against the definition."""

import functools

import numpy as np
import pytest
from scipy import stats

import fastkb
from fastkb.bootstrap.compiled_statistic import Compiled
from fastkb.bootstrap.statistics import NAMED, plain_function, recognise
from fastkb.reference import bootstrap as reference


def rows_for(lengths, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, (count, n)).astype(np.uint32) for n in lengths]


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
def test_correlations_with_their_pvalues(function, n):
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
