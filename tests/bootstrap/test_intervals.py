"""Quantiles and BCa's levels against NumPy and the oracle; how often intervals hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import beta, binom, norm
from scipy.stats import t as student

import fastkb
from fastkb.bootstrap.intervals import (
    acceleration_of,
    bca_levels,
    cheap_ends,
    quantiles,
    standard_deviation,
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
    levels = bca_levels(values, observed, acceleration_of(left), 0.05)
    expected = reference.bca(values, observed, left, 0.9)
    np.testing.assert_allclose(quantiles(values, levels), expected, rtol=1e-10)


def test_degenerate_distributions_have_no_levels():
    ones = np.ones(10)
    assert np.isnan(bca_levels(ones, np.asarray(1.0), acceleration_of([ones]), 0.05)).all()


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


# How often 90% intervals of a mean miss the truth, where theory gives the number. Every data set has
# resamples of its own, so the count is binomial. Seeds are fixed; were they drawn afresh, the 15 counts
# below would raise a false alarm once in 10⁴ runs at most, if theory's remainder is as small as stated.
FALSE_ALARM = 1e-4 / 15
DATASETS = 6000
LEVEL, TAIL = 0.9, 0.05


def misses(draw, truth, method, n_resamples, **options):
    """How many intervals lie above the truth, and how many below."""
    rng = np.random.default_rng(1)
    options |= {"method": method, "n_resamples": n_resamples, "confidence_level": LEVEL}
    above = below = 0
    for _ in range(DATASETS):
        result = fastkb.bootstrap((draw(rng),), "mean", rng=rng, **options)
        low, high = result.confidence_interval
        above, below = above + (low > truth), below + (high < truth)
    return above, below


def accepted(share, remainder):
    """Bounds of a count of that share, give or take the remainder; exact."""
    low = binom.ppf(FALSE_ALARM / 2, DATASETS, share - remainder)
    return low, binom.isf(FALSE_ALARM / 2, DATASETS, share + remainder)


def holds(count, share, remainder):
    low, high = accepted(share, remainder)
    return low <= count <= high


def tail(n_resamples):
    """How much of a distribution lies below the 5% quantile of so many draws, on average."""
    return (TAIL * (n_resamples - 1) + 1) / (n_resamples + 1)


def plug_in_misses(n, n_resamples):
    """Of x̄ ± q·s/√n for normal data, where s divides by n and q is a quantile of normal draws."""
    place = TAIL * (n_resamples - 1) + 1
    q = ndtri(beta.ppf((np.arange(1000) + 0.5) / 1000, place, n_resamples + 1 - place))
    return 2 * student.cdf(np.sqrt((n - 1) / n) * q, n - 1).mean()


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_intervals_of_a_small_normal_sample_miss_as_often_as_a_plug_in_interval(method):
    """Too often: 13.4% for n = 20. The sample's skewness and kurtosis matter at order 1/n² only."""
    missed = sum(misses(lambda rng: rng.standard_normal(20), 0.0, method, 201))
    assert holds(missed, plug_in_misses(20, 201), 1 / 20**2)


@pytest.mark.parametrize(
    ("draw", "truth", "remainder"),
    [
        (lambda rng: rng.standard_normal(20), 0.0, 20**-2),
        (lambda rng: rng.exponential(size=50), 1.0, 50**-1.5),
    ],
    ids=["normal", "exponential"],
)
def test_studentized_intervals_hold_the_truth_as_often_as_they_say(draw, truth, remainder):
    """The error of order 1/n has the factor κ - 3γ²/2 (Hall 1988), which is zero for both."""
    missed = sum(misses(draw, truth, "studentized", 201, standard_error="std"))
    assert holds(missed, 2 * tail(201), remainder)


@pytest.mark.parametrize("n_resamples", [1, 2, 5])
def test_cheap_intervals_hold_the_truth_as_often_as_they_say(n_resamples):
    """However few the resamples are (Lam 2022): asymptotically exact in n."""
    missed = sum(misses(lambda rng: rng.standard_normal(400), 0.0, "cheap", n_resamples))
    assert holds(missed, 2 * TAIL, 1 / 400)


# The first term of Edgeworth's expansion: by what multiple of φ(z)γ/√n an end misses more or less
# often than it says (Hall 1988, Annals of Statistics 16).
Z = norm.ppf(1 - TAIL)
FIRST_ORDER = {
    "percentile": (Z**2 + 2) / 6,
    "basic": Z**2 / 2,
    "BCa": 0.0,
    "studentized": 0.0,
}


def one_sided_misses(method, n, n_resamples):
    """Of exponential data, whose skewness is 2: above the truth, and below."""
    more = FIRST_ORDER[method] * norm.pdf(Z) * 2 / np.sqrt(n)
    return tail(n_resamples) - more, tail(n_resamples) + more


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_each_end_of_a_skewed_means_interval_misses_as_often_as_theory_says(method):
    """BCa and studentized have no error of order 1/√n; percentile and basic have."""
    options = {"standard_error": "std"} if method == "studentized" else {}
    counts = misses(lambda rng: rng.exponential(size=200), 1.0, method, 401, **options)
    for count, share in zip(counts, one_sided_misses(method, 200, 401), strict=True):
        assert holds(count, share, 1 / 200)


def test_the_accepted_counts_tell_methods_apart():
    assert not holds(2 * tail(201) * DATASETS, plug_in_misses(20, 201), 1 / 20**2)
    assert not holds(plug_in_misses(20, 201) * DATASETS, 2 * tail(201), 1 / 20**2)
    above, below = one_sided_misses("basic", 200, 401)
    assert not holds(below * DATASETS, tail(401), 1 / 200)
    assert not holds(above * DATASETS, tail(401), 1 / 200)
    # Normal quantiles in the place of Student's, with one resample: P(|Z/Z*| > 1.645)
    assert not holds(2 * student.sf(Z, 1) * DATASETS, 2 * TAIL, 1 / 400)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standard_deviations_are_numpys_to_the_last_bit_and_do_not_overflow(dtype):
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(4, 30)).astype(dtype)
    wanted = values.std(axis=-1, ddof=1)
    np.testing.assert_array_equal(standard_deviation(values), wanted)
    for exponent in (-100, 100) if dtype is np.float32 else (-1000, 1000):
        scaled = standard_deviation(np.ldexp(values, exponent))
        np.testing.assert_array_equal(scaled, np.ldexp(wanted, exponent))
    assert standard_deviation(np.array([1.0, np.inf, 2.0])) != 0
    np.testing.assert_array_equal(standard_deviation(np.zeros((2, 5))), 0.0)
    np.testing.assert_array_equal(standard_deviation(np.array([1, 2, 3])), 1.0)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa", "studentized", "cheap"])
@pytest.mark.parametrize("statistic", ["mean", "median", "max", "trimmed_mean", "mean_difference"])
@pytest.mark.parametrize("exponent", [-1000, -500, 500, 1000])
def test_intervals_scale_with_the_data(method, statistic, exponent):
    x, y = np.random.default_rng(0).normal(5.0, 1.0, size=(2, 30))
    data = (x, y) if statistic == "mean_difference" else (x,)
    options = {"method": method, "n_resamples": 199, "rng": 0, "paired": len(data) == 2}
    wanted = fastkb.bootstrap(data, statistic, **options)
    found = fastkb.bootstrap([np.ldexp(one, exponent) for one in data], statistic, **options)
    low, high = wanted.confidence_interval
    expected = np.ldexp([low, high, wanted.standard_error], exponent)
    got = [*found.confidence_interval, found.standard_error]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa", "studentized", "cheap"])
@pytest.mark.parametrize("statistic", ["mean", "std", "var", "median", "ptp", "trimmed_mean"])
@pytest.mark.filterwarnings("ignore::scipy.stats.DegenerateDataWarning")
def test_sums_beyond_the_largest_number_warn_of_nothing_else(method, statistic):
    x = 1.7e308 * np.array([1, -1, 1, 1, -1, -1, 1, 1, -1.0])
    fastkb.bootstrap((x,), statistic, n_resamples=49, rng=0, method=method)
