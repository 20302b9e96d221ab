"""Block schemes, studentized intervals and block lengths, against the arch package.

Where the packages draw other random numbers, results are compared in distribution: by rank tests, which
hold for any continuous distribution, or by counts. Seeds are fixed; were they drawn afresh, the
comparisons together would raise a false alarm once in 1/FALSE_ALARM runs at most (Bonferroni). What such
a comparison sees is tested beside it: another scheme, length or standard error is told apart.
"""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp, mannwhitneyu, norm

import fastkb
from fastkb import schemes

arch = pytest.importorskip("arch.bootstrap", reason="compares with resamples of the arch package")

FALSE_ALARM = 1e-4
# 18 of resampled statistics, 12 of drawn places, 12 of studentized quantiles, 4 of nested ones.
COMPARISONS = 46
SMALLEST_P = FALSE_ALARM / COMPARISONS


def autoregressive(n, phi, noise):
    """Each value is phi times the one before, and noise; the first hundred are left out."""
    x = np.zeros(n + 100)
    for k in range(1, n + 100):
        x[k] = phi * x[k - 1] + noise[k]
    return x[100:]


N = 120  # blocks of 5 fit; of blocks of 16 the last is cut off
# Skewed, so that the two ends of an interval differ in more than their sign.
SERIES = autoregressive(N, 0.7, np.random.default_rng(0).exponential(size=N + 100))
LENGTHS = (5, 16)
PAIRS = {
    "moving": (schemes.MovingBlocks, arch.MovingBlockBootstrap),
    "circular": (schemes.CircularBlocks, arch.CircularBlockBootstrap),
    "stationary": (schemes.StationaryBlocks, arch.StationaryBootstrap),
}


def lag_one(x, axis=-1):
    """The autocorrelation of neighbours: every seam of two blocks lowers it."""
    d = x - x.mean(axis=axis, keepdims=True)
    before, after = np.take(d, range(N - 1), axis), np.take(d, range(1, N), axis)
    return (before * after).sum(axis=axis) / (d**2).sum(axis=axis)


# As fastkb gets it, and of a matrix of resamples.
STATISTICS = {
    "mean": ("mean", lambda rows: rows.mean(axis=1)),
    "std": ("std", lambda rows: rows.std(axis=1)),
    "lag one": (lag_one, lag_one),
}


@pytest.fixture(scope="module")
def their_resamples():
    """Of each scheme and length.  # shapes: (20000, N)"""
    return {
        (name, length): theirs(length, SERIES, seed=1).apply(lambda x: x, 20000)
        for name, (_, theirs) in PAIRS.items()
        for length in LENGTHS
    }


def our_distribution(statistic, scheme):
    """Of 20000 resamples."""
    options = {"scheme": scheme, "method": "percentile", "n_resamples": 20000, "rng": 1}
    return fastkb.bootstrap((SERIES,), statistic, **options).bootstrap_distribution


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", PAIRS)
def test_block_schemes_draw_as_arch(their_resamples, name, length, statistic):
    """By Kolmogorov and Smirnov: a deviation of 0.026 between distribution functions fails."""
    ours, theirs = STATISTICS[statistic]
    distribution = our_distribution(ours, PAIRS[name][0](length))
    assert ks_2samp(distribution, theirs(their_resamples[name, length])).pvalue > SMALLEST_P


@pytest.mark.parametrize("place", [0, N - 1])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", PAIRS)
def test_observations_come_to_a_place_as_often_as_with_arch(their_resamples, name, length, place):
    """χ² of how often each of them is a resample's first, or last: a start too few or too many fails."""
    ours = our_distribution(lambda x, axis=-1: np.take(x, place, axis), PAIRS[name][0](length))
    theirs = their_resamples[name, length][:, place]
    counts = np.array([[(drawn == value).sum() for value in SERIES] for drawn in (ours, theirs)])
    assert counts.sum() == 40000
    assert chi2_contingency(counts[:, counts.any(axis=0)]).pvalue > SMALLEST_P


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("moving", schemes.MovingBlocks(14)),
        ("circular", schemes.CircularBlocks(14)),
        ("stationary", schemes.StationaryBlocks(14)),
        ("moving", schemes.CircularBlocks(16)),
        ("circular", schemes.StationaryBlocks(16)),
        ("stationary", schemes.MovingBlocks(16)),
        ("moving", None),
        ("circular", None),
        ("stationary", None),
    ],
    ids=lambda one: "row by row" if one is None else str(one),
)
def test_another_scheme_or_length_is_told_apart(their_resamples, name, wrong):
    """What the comparison says of blocks of 14 in place of 16, of other blocks, of single rows."""
    p_values = [
        ks_2samp(our_distribution(ours, wrong), theirs(their_resamples[name, 16])).pvalue
        for ours, theirs in STATISTICS.values()
    ]
    assert min(p_values) < SMALLEST_P


LEVEL = 0.9
SAMPLE = np.random.default_rng(2).exponential(size=30)


def spread_of_std(x, axis=-1):
    """The standard error of np.std, by the delta method."""
    squares = (x - x.mean(axis=axis, keepdims=True)) ** 2
    m2, m4 = squares.mean(axis=axis), (squares**2).mean(axis=axis)
    return np.sqrt((m4 - m2**2) / (4 * m2 * x.shape[axis]))


# Statistics, and their standard errors as fastkb gets them (for a mean, up to a factor).
STUDENTIZED = {"mean": "std", "std": spread_of_std}


def both(x):
    return np.array([x.mean(), x.std()])


def both_spreads(_, x):
    return np.array([x.std(), spread_of_std(x)])


def our_quantiles(x, statistic, seeds, n_resamples, **options):
    """Of (θ* - θ̂) / s*, read off the ends of studentized intervals.  # shape: (2, seeds)"""
    function = options.get("standard_error")
    out = []
    for seed in range(seeds):
        result = fastkb.bootstrap(
            (x,), statistic, rng=seed, n_resamples=n_resamples, confidence_level=LEVEL, **options
        )
        own = x.std() if function == "std" else function(x) if function else result.standard_error
        out.append((result.observed - np.array(result.confidence_interval)) / own)
    return np.transpose(out)


def their_quantiles(make, x, seeds, n_resamples, **options):
    """The same of the mean and the std.  # shape: (2, 2, seeds)

    What they multiply a quantile by is the standard deviation of all θ*, also where a function gives
    standard errors; fastkb then takes the data's. Their normal interval, of the same resamples, tells.
    """
    out = []
    for seed in range(seeds):
        drawn = make(x, seed=seed)
        ends = drawn.conf_int(both, n_resamples, method="studentized", size=LEVEL, **options)
        normal = drawn.conf_int(both, n_resamples, method="norm", size=LEVEL, reuse=True)
        factor = (normal[1] - normal[0]) / (2 * norm.ppf((1 + LEVEL) / 2))
        out.append((both(x) - ends) / factor)
    return np.transpose(out)


def p_values(ours, theirs):
    """Of the lower and the upper end, by ranks."""
    return [mannwhitneyu(a, b).pvalue for a, b in zip(ours, theirs, strict=True)]


def test_studentized_intervals_of_single_rows_are_those_of_arch():
    """Both draw from NumPy's generator, and so the same resamples."""
    theirs = their_quantiles(arch.IIDBootstrap, SAMPLE, 3, 399, std_err_func=both_spreads)
    for (statistic, spread), expected in zip(STUDENTIZED.items(), theirs, strict=True):
        options = {"method": "studentized", "standard_error": spread}
        ours = our_quantiles(SAMPLE, statistic, 3, 399, **options)
        np.testing.assert_allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize("name", PAIRS)
def test_studentized_intervals_of_blocks_are_those_of_arch(name):
    """Of 100 seeds, 399 resamples each; with single rows, or without s*, they are told apart."""
    scheme, theirs = PAIRS[name]
    options = {"n_resamples": 399, "seeds": 100, "method": "studentized"}
    quantiles = their_quantiles(
        lambda x, seed: theirs(7, x, seed=seed), SERIES, 100, 399, std_err_func=both_spreads
    )
    for (statistic, spread), expected in zip(STUDENTIZED.items(), quantiles, strict=True):
        arguments = {"x": SERIES, "statistic": statistic, "standard_error": spread, **options}
        ours = our_quantiles(**arguments, scheme=scheme(7))
        assert min(p_values(ours, expected)) > SMALLEST_P
        assert min(p_values(our_quantiles(**arguments), expected)) < SMALLEST_P
    # (θ* - θ̂) / s, for the std
    arguments["standard_error"] = lambda x, axis=-1: np.full(
        np.delete(x.shape, axis), spread_of_std(SERIES)
    )
    unstudentized = our_quantiles(**arguments, scheme=scheme(7))
    assert min(p_values(unstudentized, expected)) < SMALLEST_P


def test_nested_standard_errors_are_those_of_arch():
    """Of 40 seeds, 199 resamples each; the basic interval is told apart.

    arch divides by the number of resamples, where fastkb divides by one less: the inner ones count here.
    It also draws a seed between resamples, so that only the first is the same in both.
    """
    theirs = their_quantiles(arch.IIDBootstrap, SAMPLE, 40, 199, studentize_reps=50)
    for statistic, expected in zip(STUDENTIZED, theirs * np.sqrt(49 / 50), strict=True):
        ours = our_quantiles(SAMPLE, statistic, 40, 199, method="studentized")
        assert min(p_values(ours, expected)) > SMALLEST_P
        basic = our_quantiles(SAMPLE, statistic, 40, 199, method="basic")
        assert min(p_values(basic, expected)) < SMALLEST_P


def test_block_lengths_differ_from_archs_only_where_correlations_are_judged_differently():
    """fastkb divides an autocovariance by the variance (Politis, White 2004), arch by the norms of parts
    of the series, less the first values or the last. What matters is which correlations are negligible.
    """
    n, most = 200, 20
    negligible = 2 * np.sqrt(np.log10(n) / n)
    agreed = 0
    for seed in range(200):
        x = autoregressive(n, 0.6, np.random.default_rng(seed).standard_normal(n + 100))
        theirs = arch.optimal_block_length(x)
        expected = theirs["stationary"].iloc[0], theirs["circular"].iloc[0]
        if schemes.optimal_block_length(x) == pytest.approx(expected, rel=1e-9):
            agreed += 1
            continue
        d = x - x.mean()
        products = np.array([d[: n - k] @ d[k:] for k in range(1, most + 1)])
        parts = [
            (d[k + 1 :] @ d[k + 1 :]) * (d[: -k - 1] @ d[: -k - 1]) for k in range(1, most + 1)
        ]
        judged = [np.abs(products / d.dot(d)), np.abs(products) / np.sqrt(parts)]
        assert ((judged[0] < negligible) != (judged[1] < negligible)).any()
    assert agreed >= 180
