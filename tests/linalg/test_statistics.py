"""What jitted statistics call, against NumPy and SciPy: from compiled code and from Python."""

import math

import numba
import numpy as np
import pytest
from scipy import stats

import fastkb
from fastkb import statistics

SIZES = [1, 2, 3, 47, 48, 49, 247, 248, 511, 512, 513, 3000]
KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "ascending": lambda rng, n: np.sort(rng.exponential(size=n)),
    "descending": lambda rng, n: -np.sort(rng.exponential(size=n)),
    "few values": lambda rng, n: rng.integers(-2, 3, n).astype(float),
    "one value": lambda rng, n: np.full(n, 0.1),
    "waves": lambda rng, n: np.sin(np.arange(n) * 2 * np.pi / max(1, n // 64)),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 3,
    "integers": lambda rng, n: rng.integers(-1000, 1000, n),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "infinite": lambda rng, n: np.where(rng.uniform(size=n) < 0.02, np.inf, rng.normal(size=n)),
}


def data(kind, n):
    return KINDS[kind](np.random.default_rng(n), n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_are_numpys(kind, n):
    x = data(kind, n)
    rounding = 4e-16 * np.abs(x[np.isfinite(x)]).max(initial=0)
    with np.errstate(invalid="ignore"):
        for q in (0, 0.01, 0.25, 1 / 3, 0.5, 0.9, 1.0):
            expected = np.quantile(x.astype(float), q)
            # Of two infinities NumPy's own interpolation makes NaN.
            if np.isfinite(expected):
                assert abs(statistics.quantile(x, q) - expected) <= rounding
        assert statistics.median(x) == pytest.approx(np.median(x.astype(float)), rel=4e-16)


def test_equal_infinities_are_their_quantile():
    x = np.array([np.inf, np.inf, np.inf, 1.0])
    assert statistics.quantile(x, 0.6) == math.inf
    assert statistics.median(x) == math.inf


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "infinite"])
@pytest.mark.parametrize("proportion", [0, 0.001, 0.05, 0.1, 0.25, 0.4, 0.49])
def test_trimmed_means_are_scipys(kind, n, proportion):
    x = data(kind, n)
    ordered = np.sort(x.astype(float))
    cut = int(proportion * n)
    expected = math.fsum(ordered[cut : n - cut]) / (n - 2 * cut)
    size = np.abs(ordered[cut : n - cut]).max()
    assert abs(statistics.trimmed_mean(x, proportion) - expected) <= 1e-14 * size
    theirs = stats.trim_mean(x, proportion)
    assert abs(expected - theirs) <= 1e-6 * size  # float32 is added up as float32 there


@pytest.mark.parametrize("n", [600, 5000])
def test_where_what_is_looked_at_first_misleads(n):
    """Every element that is looked at is the same, or from one end."""
    x = np.random.default_rng(0).normal(size=n)
    for value in (0.0, -100.0, 100.0):
        x[:: n // 64] = value
        ordered = np.sort(x)
        for proportion in (0.01, 0.1, 0.3):
            cut = int(proportion * n)
            expected = ordered[cut : n - cut].mean()
            assert statistics.trimmed_mean(x, proportion) == pytest.approx(expected, abs=1e-13)


def test_infinity_at_the_ends_is_left_out():
    x = np.random.default_rng(0).normal(size=1000)
    x[[3, 700]] = np.inf
    x[500] = -np.inf
    ordered = np.sort(x)
    assert statistics.trimmed_mean(x, 0.1) == pytest.approx(ordered[100:900].mean(), rel=1e-13)
    assert math.isnan(statistics.trimmed_mean(x, 0.0))


@pytest.mark.parametrize("n", [1, 5, 3000])
def test_nan_is_passed_on(n):
    x = np.zeros(n)
    x[-1] = np.nan
    assert math.isnan(statistics.quantile(x, 0.5))
    assert math.isnan(statistics.median(x))
    assert math.isnan(statistics.trimmed_mean(x, 0.1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.quantile(np.array([]), 0.5), "x must have one element"),
        (lambda: statistics.median(np.array([])), "x must have one element"),
        (lambda: statistics.trimmed_mean(np.array([]), 0.1), "x must have one element"),
        (lambda: statistics.quantile(np.ones(3), 1.5), "q must be from 0 to 1"),
        (lambda: statistics.quantile(np.ones(3), np.nan), "q must be from 0 to 1"),
        (lambda: statistics.trimmed_mean(np.ones(3), 0.5), "proportion must be from 0 to below"),
        (lambda: statistics.trimmed_mean(np.ones(3), -0.1), "proportion must be from 0 to below"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_in_a_statistic_of_ones_own():
    @numba.njit
    def spread(x):
        ordered = statistics.sort(x)
        middle = statistics.trimmed_mean(x, 0.1) + statistics.median(x)
        return ordered[-1] - statistics.quantile(x, 0.25) + middle

    def plain(x):
        middle = stats.trim_mean(x, 0.1) + np.median(x)
        return x.max() - np.quantile(x, 0.25) + middle

    x = np.random.default_rng(0).exponential(size=700)
    options = {"n_resamples": 60, "rng": 1, "method": "percentile"}
    ours = fastkb.bootstrap((x,), spread, **options)
    theirs = fastkb.bootstrap((x,), plain, **options)
    np.testing.assert_allclose(
        ours.bootstrap_distribution, theirs.bootstrap_distribution, rtol=1e-12
    )
