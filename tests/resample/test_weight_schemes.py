"""The Bayesian bootstrap: its spread in closed form, the samples it takes, and what it refuses."""

import numba
import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.random.dirichlet import dirichlet_rows
from fastkb.random.streams import key_from_rng

X = np.random.default_rng(0).exponential(size=40)
Y = np.random.default_rng(1).normal(size=25)
B = 20_000
# Five Monte Carlo errors of a standard deviation of near-normal replicates: a false alarm in 10⁶.
CLOSE = 5 / np.sqrt(2 * B)


def bayesian(data, statistic, **options):
    options = {"method": "percentile", "rng": 0, "n_resamples": 999, **options}
    return fastkb.bootstrap(data, statistic, scheme=schemes.Bayesian(), **options)


@pytest.mark.parametrize("n", [5, 40])
def test_standard_error_of_a_mean(n):
    result = bayesian((X[:n],), np.mean, n_resamples=B)
    error = X[:n].std() / np.sqrt(n + 1)
    assert result.standard_error == pytest.approx(error, rel=CLOSE)
    assert abs(result.bootstrap_distribution.mean() - X[:n].mean()) < 5 * error / np.sqrt(B)


def test_unpaired_samples_have_weights_of_their_own():
    result = bayesian((X, Y), "mean_difference", n_resamples=B)
    error = np.sqrt(X.var() / (len(X) + 1) + Y.var() / (len(Y) + 1))
    assert result.standard_error == pytest.approx(error, rel=CLOSE)
    x, y = dirichlet_rows(key_from_rng(0), 0, B, [len(X), len(Y)])
    np.testing.assert_allclose(result.bootstrap_distribution, x @ X - y @ Y, atol=1e-13)


def test_pairs_share_their_weights():
    x, y = X[:25], Y
    result = bayesian((x, y), "mean_difference", paired=True)
    (w,) = dirichlet_rows(key_from_rng(0), 0, 999, [25])
    np.testing.assert_allclose(result.bootstrap_distribution, w @ (x - y), atol=1e-13)


def test_percentile_interval_has_the_quantiles_of_the_posterior():
    result = bayesian((X,), np.mean, confidence_level=0.9)
    ends = np.quantile(result.bootstrap_distribution, [0.05, 0.95])
    np.testing.assert_allclose(result.confidence_interval, ends, rtol=1e-14)
    assert result.confidence_interval.low < X.mean() < result.confidence_interval.high
    assert result.observed == X.mean()
    assert isinstance(result.scheme, schemes.Bayesian)


def test_a_function_with_weights_agrees_with_the_compiled_one():
    def by_one(x, weights):
        assert x.ndim == weights.ndim == 1
        return np.sum(weights * x)

    mean = bayesian((X,), np.mean).bootstrap_distribution
    for function in (np.average, by_one):
        own = bayesian((X,), function).bootstrap_distribution
        np.testing.assert_allclose(own, mean, rtol=1e-14)


def test_unpaired_functions_get_a_tuple_of_weights():
    def difference(x, y, weights):
        return weights[0] @ x - weights[1] @ y

    np.testing.assert_allclose(
        bayesian((X, Y), difference).bootstrap_distribution,
        bayesian((X, Y), "mean_difference").bootstrap_distribution,
        atol=1e-13,
    )


def test_replicates_do_not_depend_on_blocks_or_threads():
    prepared = schemes.Bayesian().prepare([X, Y], False)
    key = key_from_rng(3)

    def all_rows(largest):
        blocks = list(prepared.blocks(key, 50, largest))
        return [np.concatenate([block.rows[j] for block in blocks]) for j in (0, 1)]

    def distribution():
        return bayesian((X, Y), "mean_ratio").bootstrap_distribution

    whole, values = all_rows(10**6), distribution()
    before = numba.get_num_threads()
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            for largest in (1, 500):
                for one, other in zip(all_rows(largest), whole, strict=True):
                    np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(distribution(), values)
    finally:
        numba.set_num_threads(before)


def test_counts_are_the_first_samples_weights():
    prepared = schemes.Bayesian().prepare([X], False)
    counts = prepared.counts(key_from_rng(0), 4, 6)
    (block,) = prepared.blocks(key_from_rng(0), 10, 10**6)
    np.testing.assert_array_equal(counts, len(X) * block.rows[0][4:])
    np.testing.assert_allclose(counts.sum(axis=1), len(X), rtol=1e-14)


def never(x, weights):
    raise AssertionError("work began")


@pytest.mark.parametrize(
    ("statistic", "options", "message"),
    [
        (np.min, {}, "statistic min is the same for all weights"),
        (lambda x: x.mean(), {}, "must have a parameter `weights`, as numpy.average has"),
        (never, {"method": "BCa"}, "method='BCa' is not valid with Bayesian: use 'percentile'"),
        (
            never,
            {"method": "studentized", "standard_error": "std"},
            "method='studentized' is not valid with Bayesian: use 'percentile'",
        ),
        (never, {"method": "studentized"}, "method='studentized'"),
    ],
)
def test_what_is_refused(statistic, options, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        bayesian((X,), statistic, rng=rng, **options)
    if options:  # before the generator is asked for anything
        assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state
