"""Statistics of weighted samples against exact rational arithmetic, NumPy and the plain statistics."""

import functools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb.bootstrap.checks import Request, check_request, check_samples
from fastkb.bootstrap.evaluate.statistics import plain_function, recognise
from fastkb.bootstrap.evaluate.weighted_statistic import Weighted
from fastkb.random.dirichlet import dirichlet_rows
from fastkb.random.streams import key_from_rng
from fastkb.reference import bootstrap as reference

EPS = np.finfo(float).eps
NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.0.0"  # numpy.quantile has weights
X = np.random.default_rng(0).normal(size=20)
Y = X + np.random.default_rng(1).normal(size=20)


def weighted(statistic, *data, **options):
    defaults = {
        "vectorized": None,
        "paired": False,
        "level": 0.9,
        "alternative": "two-sided",
        "n_resamples": 9,
        "batch": None,
        "method": "percentile",
        "previous": None,
    }
    request = check_request(Request(**{**defaults, **options}), statistic)
    samples = check_samples(data, -1, request.paired)
    return Weighted(statistic, recognise(statistic), samples, request)


def draw_weights(lengths, count=4, seed=0):
    return dirichlet_rows(key_from_rng(seed), 0, count, lengths)


@st.composite
def samples(draw, count):
    """Series with offsets, scales and ties.  # shapes: (…, n)"""
    lead = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    n = draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    out = []
    for _ in range(count):
        x = rng.normal(size=(*lead, n)) * draw(st.sampled_from([1e-3, 1.0, 1e4]))
        x = np.round(x, draw(st.sampled_from([0, 3, 20])))
        x = x + draw(st.sampled_from([0.0, 1.0, -1e8]))
        out.append(x.astype(draw(st.sampled_from([np.float64, np.float32]))))
    return out


seeds = st.integers(0, 2**32)


def each_series(data, got, weights):
    """Series and replicate: 1-D samples, the value that was computed, and the row of weights."""
    for place in np.ndindex(data[0].shape[:-1]):
        for b, w in enumerate(weights):
            yield [x[place].astype(float) for x in data], got[place][b], w


def rounding(kind, value):
    """Of the result's own type."""
    return np.finfo(kind).eps * abs(value)


def spread_of(x, w):
    """Σ w d² of deviations from the plain mean: what the errors of second moments are relative to."""
    return float(w @ (x - x.mean()) ** 2)


@given(samples(1), seeds)
def test_means_and_sums(data, seed):
    """Σ w d of centred d: n + 3 roundings of each term; then the centre is added to it."""
    n = data[0].shape[-1]
    (weights,) = draw_weights([n], seed=seed)
    for name, factor in (("mean", 1), ("sum", n)):
        evaluator = weighted(name, *data)
        got = evaluator.replicates([weights])
        assert got.dtype == evaluator.observed.dtype == data[0].dtype
        for (x,), value, w in each_series(data, got, weights):
            expected = factor * float(reference.weighted_mean(x, w))
            error = 2 * (n + 3) * EPS * np.ptp(x) + 2 * EPS * abs(x).max()
            assert abs(value - expected) <= factor * error + rounding(got.dtype, expected)


@given(samples(1), seeds, st.sampled_from([0, 1, 1.5]))
def test_variances_and_deviations(data, seed, ddof):
    """Σ w d² and (Σ w d)² have n + 4 roundings of what is at most Σ w d² each."""
    n = data[0].shape[-1]
    (weights,) = draw_weights([n], seed=seed)
    variances = weighted(functools.partial(np.var, ddof=ddof), *data).replicates([weights])
    deviations = weighted(functools.partial(np.std, ddof=ddof), *data).replicates([weights])
    factor = n / (n - ddof)
    for (x,), value, w in each_series(data, variances, weights):
        expected = factor * float(reference.weighted_covariance(x, x, w))
        error = factor * 4 * (n + 4) * EPS * spread_of(x, w)
        assert abs(value - expected) <= error + rounding(variances.dtype, expected)
    np.testing.assert_allclose(deviations**2, variances, rtol=4 * np.finfo(variances.dtype).eps)


@pytest.mark.skipif(not NUMPY_2, reason="numpy.quantile takes no weights")
@given(samples(1), seeds, st.floats(0.01, 0.99))
def test_quantiles_are_numpys(data, seed, level):
    x = data[0].astype(float)
    (weights,) = draw_weights([x.shape[-1]], seed=seed)
    for statistic, q in (
        (functools.partial(np.quantile, q=level), level),
        (functools.partial(np.percentile, q=100 * level), 100 * level / 100),
        (np.median, 0.5),
    ):
        got = weighted(statistic, data[0]).replicates([weights])
        together = np.broadcast_to(x[..., None, :], (*x.shape[:-1], *weights.shape))
        expected = np.quantile(
            together,
            q,
            axis=-1,
            weights=np.broadcast_to(weights, together.shape),
            method="inverted_cdf",
        )
        np.testing.assert_array_equal(got, expected.astype(got.dtype))


@given(samples(1), seeds, st.floats(0.01, 0.99))
def test_quantiles_by_their_definition(data, seed, level):
    (weights,) = draw_weights([data[0].shape[-1]], seed=seed)
    got = weighted(functools.partial(np.quantile, q=level), *data).replicates([weights])
    for (x,), value, w in each_series(data, got, weights):
        assert value == reference.weighted_quantile(x, w, level)


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@pytest.mark.filterwarnings("ignore::scipy.stats.NearConstantInputWarning")
# Of SciPy 1.15, beside the warnings above.
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning:scipy")
@given(samples(2), seeds)
def test_pearson(data, seed):
    """The errors of the three moments, relative to what is left of them."""
    n = data[0].shape[-1]
    (weights,) = draw_weights([n], seed=seed)
    got = weighted("pearson", *data, paired=True).replicates([weights])
    for (x, y), value, w in each_series(data, got, weights):
        expected = reference.weighted_correlation(x, y, w)
        if np.isnan(expected):
            assert np.isnan(value)
            continue
        lost = [spread_of(v, w) / float(reference.weighted_covariance(v, v, w)) for v in (x, y)]
        error = 8 * (n + 6) * EPS * (lost[0] + lost[1])
        assert abs(value - expected) <= error + rounding(got.dtype, expected)
        assert abs(value) <= 1


@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@settings(max_examples=50)
@given(samples(2), seeds)
def test_spearman(data, seed):
    """Ranks have n roundings of at most 1, and so do the products of centred ranks."""
    n = data[0].shape[-1]
    (weights,) = draw_weights([n], count=2, seed=seed)
    got = weighted("spearman", *data, paired=True).replicates([weights])
    for (x, y), value, w in each_series(data, got, weights):
        ranks = [reference.weighted_ranks(v, w) for v in (x, y)]
        expected = reference.weighted_correlation(*ranks, w)
        if np.isnan(expected):
            assert np.isnan(value)
            continue
        moments = [float(reference.weighted_covariance(r, r, w)) for r in ranks]
        error = 4 * (n + 4) * EPS * (1 / moments[0] + 1 / moments[1])
        assert abs(value - expected) <= error + rounding(got.dtype, expected)
        assert abs(value) <= 1


@pytest.mark.parametrize("name", ["mean_difference", "mean_ratio"])
def test_two_samples_with_weights_of_their_own(name):
    y = Y[:13] + 1e3
    one, other = draw_weights([20, 13], 6)
    means = one @ X, other @ y
    expected = means[0] - means[1] if name == "mean_difference" else means[0] / means[1]
    np.testing.assert_allclose(weighted(name, X, y).replicates([one, other]), expected, rtol=1e-12)


def test_a_pair_has_one_weight():
    (weights,) = draw_weights([20], 6)
    got = weighted("mean_difference", X, Y, paired=True).replicates([weights])
    np.testing.assert_allclose(got, weights @ (X - Y), atol=1e-14)


@pytest.mark.parametrize(
    ("statistic", "data"),
    [
        (np.mean, (X,)),
        (np.sum, (X,)),
        (np.var, (X,)),
        (functools.partial(np.std, ddof=1), (X,)),
        ("pearson", (X, Y)),
        ("spearman", (np.round(X, 1), np.round(Y, 1))),
        ("mean_ratio", (X, Y)),
        (np.average, (X,)),
        (np.sum, (np.arange(20),)),
        (np.var, (np.arange(20) > 7,)),
    ],
)
def test_equal_weights_are_no_weights(statistic, data):
    evaluator = weighted(statistic, *data, paired=len(data) == 2)
    got = evaluator.replicates([np.full((3, 20), 1 / 20)])
    plain = plain_function(recognise(statistic)) if isinstance(statistic, str) else statistic
    assert evaluator.observed == pytest.approx(plain(*data))
    np.testing.assert_allclose(got, np.full(3, plain(*data)), rtol=1e-13)


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5, 0.9])
def test_equal_weights_give_the_inverse_of_the_empirical_distribution(level):
    x = np.round(np.random.default_rng(3).normal(size=(2, 16)), 1)
    evaluator = weighted(functools.partial(np.quantile, q=level), x)
    got = evaluator.replicates([np.full((1, 16), 1 / 16)])[:, 0]
    np.testing.assert_array_equal(got, np.quantile(x, level, axis=-1, method="inverted_cdf"))
    np.testing.assert_array_equal(evaluator.observed, np.quantile(x, level, axis=-1))


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1, 0.0])
def test_constant_samples_do_not_vary(value):
    """Three times 0.1 have another mean, and their rounding errors no correlation."""
    x = np.stack([np.full(3, value), [1.0, 2.0, 4.0]])
    (weights,) = draw_weights([3], 50)
    np.testing.assert_array_equal(weighted(np.mean, x).replicates([weights])[0], value)
    np.testing.assert_array_equal(weighted(np.std, x).replicates([weights])[0], 0.0)
    for name in ("pearson", "spearman"):
        with pytest.warns(stats.ConstantInputWarning):
            evaluator = weighted(name, x, x[::-1], paired=True)
        assert np.isnan(evaluator.replicates([weights])).all()


@pytest.mark.parametrize("scale", [2.0**-600, 2.0**600])
def test_a_correlation_has_no_scale(scale):
    weights = draw_weights([20])
    expected = weighted("pearson", X, Y, paired=True).replicates(weights)
    got = weighted("pearson", X * scale, Y, paired=True).replicates(weights)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_no_degrees_of_freedom_as_in_numpy():
    x = np.array([[1.0, 2.0], [3.0, 3.0]])
    with pytest.warns(RuntimeWarning):
        evaluator = weighted(functools.partial(np.var, ddof=2), x)
    np.testing.assert_array_equal(
        evaluator.replicates(draw_weights([2], 1)), np.array([[np.inf], [np.nan]])
    )


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, bool])
def test_types_of_results(kind):
    x = np.array([0, 1, 1, 0, 1], kind)
    expected = np.float32 if kind in (np.float16, np.float32) else np.float64
    for statistic in (np.mean, np.sum, np.var):
        got = weighted(statistic, x).replicates(draw_weights([5]))
        assert got.dtype == expected
        assert (got % 1 != 0).all()


def test_blocks_threads_and_series_do_not_matter():
    x = np.random.default_rng(4).normal(size=(3, 2, 50))
    (weights,) = draw_weights([50], 11)
    pair = (x, x[::-1])
    for statistic, data in (
        (np.mean, (x,)),
        (np.std, (x,)),
        (np.median, (x,)),
        (np.average, (x,)),
        ("pearson", pair),
        ("spearman", pair),
        ("mean_ratio", pair),
    ):
        evaluator = weighted(statistic, *data, paired=True)
        whole = evaluator.replicates([weights])
        assert whole.shape == (3, 2, 11)
        parts = [evaluator.replicates([weights[a:b]]) for a, b in ((0, 2), (2, 11))]
        np.testing.assert_array_equal(np.concatenate(parts, axis=-1), whole)
        alone = weighted(statistic, *[one[1, 1] for one in data], paired=True)
        np.testing.assert_array_equal(alone.replicates([weights]), whole[1, 1])
        before = numba.get_num_threads()
        try:
            numba.set_num_threads(1)
            np.testing.assert_array_equal(evaluator.replicates([weights]), whole)
        finally:
            numba.set_num_threads(before)


def test_blocks_stay_small():
    for shape in ((10,), (5000, 3), (3, 5000)):
        evaluator = weighted(np.mean, np.zeros(shape))
        rows = evaluator.largest_block // shape[-1]
        assert rows >= 1
        assert rows * max(evaluator.observed.size, shape[-1]) <= 2**18


# --- functions of the user's ---------------------------------------------------------------------


def ranges(x, y, weights, axis):
    """Of two samples: what it was given."""
    assert isinstance(weights, tuple)
    assert [w.shape for w in weights] == [x.shape, y.shape]
    return np.sum(x * weights[0], axis=axis) - np.sum(y * weights[1], axis=axis)


def pair(x, y, weights):
    assert x.ndim == y.ndim == weights.ndim == 1
    x -= 1  # the function may write to what it gets
    return np.array([weights @ x, weights @ y, weights @ (x * y)])


@numba.njit
def weighted_geometric(x, weights):
    return np.exp(np.sum(weights * np.log(x)))


@numba.njit
def means(x, y, weights):
    return np.sum(x * weights[0]) - np.sum(y * weights[1])


@pytest.mark.parametrize("vectorized", [True, False])
def test_a_function_with_axis_or_without(vectorized):
    x = np.random.default_rng(5).normal(size=(3, 50))
    (weights,) = draw_weights([50], 7)
    evaluator = weighted(np.average, x, vectorized=vectorized)
    np.testing.assert_allclose(evaluator.observed, x.mean(axis=-1), atol=1e-15)
    np.testing.assert_allclose(evaluator.replicates([weights]), x @ weights.T, atol=1e-14)


@pytest.mark.parametrize("batch", [1, 3, None])
def test_a_function_of_two_samples(batch):
    one, other = draw_weights([20, 12], 7)
    evaluator = weighted(ranges, X, Y[:12], batch=batch)
    expected = one @ X - other @ Y[:12]
    np.testing.assert_allclose(evaluator.replicates([one, other]), expected, atol=1e-14)


def test_a_function_that_returns_several_numbers():
    x, y = np.stack([X, Y, X * Y]), np.stack([Y, X, X])
    before = x.copy()
    (weights,) = draw_weights([20], 7)
    evaluator = weighted(pair, x, y, paired=True)
    got = evaluator.replicates([weights])
    assert evaluator.observed.shape == (3, 3)
    assert got.shape == (3, 3, 7)
    np.testing.assert_allclose(got[0], (x - 1) @ weights.T, atol=1e-13)
    np.testing.assert_allclose(got[2], ((x - 1) * y) @ weights.T, atol=1e-13)
    np.testing.assert_array_equal(x, before)


def test_functions_under_numba():
    (weights,) = draw_weights([20], 7)
    got = weighted(weighted_geometric, np.exp(X)).replicates([weights])
    np.testing.assert_allclose(got, np.exp(weights @ X), rtol=1e-13)
    one, other = draw_weights([20, 12], 7)
    got = weighted(means, X, Y[:12]).replicates([one, other])
    np.testing.assert_allclose(got, one @ X - other @ Y[:12], atol=1e-14)


def test_scipys_functions_with_weights():
    (weights,) = draw_weights([20], 7)
    got = weighted(stats.gmean, np.exp(X)).replicates([weights])
    np.testing.assert_allclose(got, np.exp(weights @ X), rtol=1e-13)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "data", "message"),
    [
        (np.min, (X,), "min is the same for all weights"),
        ("max", (X,), "max is the same for all weights"),
        (np.ptp, (X,), "ptp is the same for all weights"),
        (functools.partial(np.quantile, q=0), (X,), "quantile.0. is the same"),
        (functools.partial(np.percentile, q=100), (X,), "percentile.100. is the same"),
        (stats.pearsonr, (X, Y), 'use statistic="pearson"'),
        (stats.spearmanr, (X, Y), 'use statistic="spearman"'),
        (np.mean, (X, Y), "takes 1 sample, and `data` has 2"),
        ("mean_ratio", (X,), "takes 2 samples, and `data` has 1"),
        (np.median, (np.append(X, [np.nan, np.inf]),), "2 NaN or infinite"),
        ("mean_ratio", (X, np.append(Y, np.nan)), r"data\[1\] contains 1 NaN"),
        ("spearman", (X, Y), "with paired=True alone"),
        (lambda x: x.sum(), (X,), "<lambda> must have a parameter `weights`, as numpy.average"),
        (np.nanmean, (X,), "nanmean must have a parameter `weights`"),
        (functools.partial(np.max, keepdims=True), (X,), "must have a parameter `weights`"),
        (lambda x, weights: 1 / 0, (X,), "statistic failed on the data: ZeroDivisionError"),
        (lambda x, weights: "high", (X,), "must return numbers"),
        (lambda x, weights, axis: x, (X,), "must reduce `axis`"),
    ],
)
def test_errors_before_any_work(statistic, data, message):
    with pytest.raises(ValueError, match=message):
        weighted(statistic, *data)


def test_what_has_no_weighted_form_here():
    samples = check_samples((X,), -1, False)
    other = recognise(np.mean)._replace(name="another", code=99)
    with pytest.raises(ValueError, match="another of weighted samples is not known here"):
        Weighted(np.mean, other, samples, None)


def test_there_is_no_jackknife():
    with pytest.raises(TypeError, match="no jackknife"):
        weighted(np.mean, X).jackknife()
