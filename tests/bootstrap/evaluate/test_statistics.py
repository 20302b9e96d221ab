"""Statistics are recognised by identity and by nothing else."""

import functools

import numpy as np
import pytest
from scipy import stats

from fastkb.bootstrap.evaluate.statistics import NAMED, Code, Statistic, plain_function, recognise


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (np.mean, "mean"),
        (np.sum, "sum"),
        (np.std, "std"),
        (np.var, "var"),
        (np.median, "median"),
        (np.min, "min"),
        (np.amin, "min"),
        (np.max, "max"),
        (np.amax, "max"),
        (np.ptp, "ptp"),
    ],
)
def test_numpys_functions(function, name):
    assert recognise(function) == NAMED[name]
    assert recognise(functools.partial(function)) == NAMED[name]
    assert recognise(name) == NAMED[name]


def test_scipys_correlations_come_with_their_pvalue():
    assert recognise(stats.pearsonr) == NAMED["pearson"]._replace(with_pvalue=True)
    assert recognise(stats.spearmanr) == NAMED["spearman"]._replace(with_pvalue=True)


def test_partials_that_are_understood():
    assert recognise(functools.partial(np.std, ddof=1)) == NAMED["std"]._replace(parameter=1.0)
    assert recognise(functools.partial(np.var, ddof=0)) == NAMED["var"]
    quantile = recognise(functools.partial(np.quantile, q=0.25))
    assert quantile == Statistic("quantile(0.25)", Code.QUANTILE, parameter=0.25)
    percentile = recognise(functools.partial(np.percentile, q=25, method="linear"))
    assert percentile == Statistic("percentile(25)", Code.QUANTILE, parameter=25, percent=True)
    trimmed = recognise(functools.partial(stats.trim_mean, proportiontocut=0.25))
    assert trimmed == Statistic("trim_mean(0.25)", Code.TRIMMED_MEAN, parameter=0.25)
    whole = recognise(functools.partial(stats.trim_mean, proportiontocut=0))
    assert whole == Statistic("trim_mean(0)", Code.TRIMMED_MEAN)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, axis: np.mean(x, axis=axis),
        np.nanmean,
        functools.partial(np.mean, dtype=np.float32),
        functools.partial(np.std, ddof="one"),
        functools.partial(np.std, ddof=1, keepdims=True),
        functools.partial(np.quantile, q=[0.1, 0.9]),
        functools.partial(np.quantile, q=1.5),
        functools.partial(np.quantile, q=np.float64(0.5)),
        functools.partial(np.quantile, q=0.5, method="lower"),
        functools.partial(np.quantile, [1.0, 2.0], q=0.5),
        functools.partial(np.quantile),
        stats.trim_mean,
        lambda x, axis: stats.trim_mean(x, 0.1, axis=axis),
        functools.partial(stats.trim_mean),
        functools.partial(stats.trim_mean, [1.0, 2.0], 0.1),
        functools.partial(stats.trim_mean, [1.0, 2.0], proportiontocut=0.1),
        functools.partial(stats.trim_mean, proportiontocut=0.1, axis=-1),
        functools.partial(stats.trim_mean, proportiontocut=np.float64(0.1)),
        functools.partial(stats.trim_mean, proportiontocut=np.float32(0.1)),
        functools.partial(stats.trim_mean, proportiontocut=False),
        functools.partial(stats.trim_mean, proportiontocut=-0.1),
        functools.partial(stats.trim_mean, proportiontocut=0.5),
        functools.partial(stats.trim_mean, proportiontocut=float("nan")),
        functools.partial(stats.tmean, proportiontocut=0.1),
        "modus",
        3,
    ],
)
def test_everything_else_is_left_to_python(function):
    assert recognise(function) is None


def test_names_have_functions_of_arrays():
    rng = np.random.default_rng(0)
    samples = rng.random((2, 3, 8)) + 1.0
    for name, statistic in NAMED.items():
        function = plain_function(statistic)
        arrays = samples[: statistic.n_samples]
        if name == "spearman":
            assert np.ndim(function(*arrays[:, 0])) == 0
        else:
            assert function(*arrays, axis=-1).shape == (3,)


def test_which_statistics_only_compare():
    compared = {"median", "min", "max", "ptp"}
    assert {name for name, s in NAMED.items() if s.orders} == compared
    assert {name for name, s in NAMED.items() if s.ranked} == {*compared, "trimmed_mean"}


@pytest.mark.parametrize("n", [9, 10, 11, 40])
def test_a_trimmed_mean_by_name_leaves_out_a_tenth_at_each_end(n):
    x = np.random.default_rng(n).normal(size=(3, n))
    expected = stats.trim_mean(x, 0.1, axis=-1)
    np.testing.assert_array_equal(plain_function(recognise("trimmed_mean"))(x), expected)
