"""fastkb.bootstrap: SciPy's numbers for the same seed, whatever the data and the options."""

import functools
import warnings

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

import fastkb

QUANTILE = functools.partial(np.quantile, q=0.3)


def close(ours, theirs, rtol=1e-12, atol=1e-12):
    """Distribution, interval and standard error: shapes, types and values."""
    a, b = ours.bootstrap_distribution, theirs.bootstrap_distribution
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    for mine, other in (
        (ours.confidence_interval.low, theirs.confidence_interval.low),
        (ours.confidence_interval.high, theirs.confidence_interval.high),
        (ours.standard_error, theirs.standard_error),
    ):
        assert np.shape(mine) == np.shape(other)
        np.testing.assert_allclose(mine, other, rtol=100 * rtol, atol=100 * atol)


def both(data, statistic, **options):
    """Ours and SciPy's, and that both leave a generator in the same state."""
    make = options.pop("make", lambda: 7)
    results, states = [], []
    for function in (fastkb.bootstrap, stats.bootstrap):
        rng = make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(function(data, statistic, rng=rng, **options))
        if isinstance(rng, np.random.Generator):
            states.append(rng.bit_generator.state)
    if states:
        # A Philox generator's state holds arrays.
        np.testing.assert_equal(states[0], states[1])
    return results


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    statistic=st.sampled_from(
        [np.mean, np.std, np.var, np.median, np.min, np.max, np.ptp, np.sum, QUANTILE]
    ),
    method=st.sampled_from(["percentile", "basic", "BCa"]),
    alternative=st.sampled_from(["two-sided", "less", "greater"]),
    n=st.integers(3, 30),
    n_resamples=st.integers(2, 60),
    level=st.sampled_from([0.5, 0.9, 0.95]),
    batch=st.sampled_from([None, 1, 7]),
    dtype=st.sampled_from([np.float64, np.float32, np.int32]),
    seed=st.integers(0, 2**32),
)
def test_one_sample(statistic, method, alternative, n, n_resamples, level, batch, dtype, seed):
    x = (100 * np.random.default_rng(seed).normal(size=n)).astype(dtype)
    if dtype == np.int32 and statistic in (np.min, np.max, np.ptp, np.sum):
        x = x.astype(np.float64)  # SciPy fails on a distribution of whole numbers, or gives NaN
    ours, theirs = both(
        (x,),
        statistic,
        method=method,
        alternative=alternative,
        n_resamples=n_resamples,
        confidence_level=level,
        batch=batch,
        make=lambda: np.random.default_rng(seed),
    )
    single = dtype == np.float32
    # SciPy's BCa levels of float32 data are rounded to float32.
    close(ours, theirs, *((2e-5, 2e-3) if single else (1e-12, 1e-11)))


@pytest.mark.parametrize("generator", [np.random.PCG64, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("batch", [None, 1, 4, 100])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_several_samples(generator, batch, paired, count):
    rng = np.random.default_rng(count)
    samples = [rng.normal(size=15 if paired else 10 + 3 * j) for j in range(count)]

    def statistic(*arrays, axis=-1):
        return sum((j + 1) * np.mean(a, axis=axis) ** 2 for j, a in enumerate(arrays))

    ours, theirs = both(
        samples,
        statistic,
        paired=paired,
        batch=batch,
        n_resamples=25,
        vectorized=True,
        make=lambda: np.random.Generator(generator(3)),
    )
    close(ours, theirs)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("statistic", [np.mean, np.median, QUANTILE, np.std])
@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_axes(axis, statistic, method):
    x = np.random.default_rng(0).normal(size=(4, 5, 6))
    close(*both((x,), statistic, axis=axis, method=method, n_resamples=30))


def test_samples_are_broadcast():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1, 7)), rng.normal(size=(3, 9))

    def difference(a, b, axis=-1):
        return np.mean(a, axis=axis) - np.mean(b, axis=axis)

    close(*both((x, y), difference, axis=-1, n_resamples=20))
    named = fastkb.bootstrap((x, y), "mean_difference", axis=-1, n_resamples=20, rng=7)
    close(named, both((x, y), difference, axis=-1, n_resamples=20)[1])


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_correlations(method):
    x, y = np.random.default_rng(1).normal(size=(2, 20))
    options = {"paired": True, "method": method, "n_resamples": 200}
    ours, theirs = both((x, y), stats.pearsonr, **options)
    close(ours, theirs, 1e-9, 1e-10)
    close(*both((x, y), stats.spearmanr, vectorized=False, **options), 1e-9, 1e-10)
    alone = fastkb.bootstrap((x, y), "pearson", rng=7, **options)
    np.testing.assert_array_equal(alone.bootstrap_distribution, ours.bootstrap_distribution[0])
    assert alone.confidence_interval.low == pytest.approx(ours.confidence_interval.low[0])


def test_the_older_generators():
    x, y = np.random.default_rng(2).normal(size=(2, 12))

    def statistic(a, b, axis=-1):
        return np.mean(a, axis=axis) - np.median(b, axis=axis)

    for make in (lambda: 5, lambda: np.random.RandomState(5)):
        ours = fastkb.bootstrap((x, y), statistic, n_resamples=40, random_state=make())
        theirs = stats.bootstrap((x, y), statistic, n_resamples=40, random_state=make())
        close(ours, theirs)
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(9)  # noqa: NPY002
        ours = fastkb.bootstrap((x,), np.mean, n_resamples=40)
        np.random.seed(9)  # noqa: NPY002
        close(ours, stats.bootstrap((x,), np.mean, n_resamples=40))
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_python_functions_of_one_sample_at_a_time():
    x = np.random.default_rng(3).normal(size=14)
    close(*both((x,), lambda a: float(np.sort(a)[3:-3].mean()), n_resamples=50))
    close(*both((x,), lambda a: np.array([a.min(), a.max()]), n_resamples=50, method="percentile"))
    close(*both((x,), np.mean, vectorized=False, n_resamples=50))


def test_functions_that_know_nan_get_it():
    x = np.array([1.0, np.nan, 3.0, 4.0, 7.0])
    close(*both((x,), np.nanmean, n_resamples=50))
    ours, theirs = both((x,), lambda a, axis: np.mean(a, axis=axis), n_resamples=50)
    np.testing.assert_array_equal(ours.bootstrap_distribution, theirs.bootstrap_distribution)
    assert np.isnan(ours.confidence_interval.low)


def test_infinite_observations_are_left_to_numpy():
    x = np.array([1.0, np.inf, 3.0, 4.0, 7.0])
    for statistic in (np.mean, np.median, np.max):
        ours, theirs = both((x,), statistic, n_resamples=50, method="percentile")
        np.testing.assert_array_equal(ours.bootstrap_distribution, theirs.bootstrap_distribution)


def test_large_whole_numbers_keep_their_digits():
    x = np.array([2**62 + 1, 2**62 + 3, 2**62 + 5, 2**62 + 9])
    ours, theirs = both((x,), np.max, n_resamples=50)
    assert ours.bootstrap_distribution.dtype == np.int64
    np.testing.assert_array_equal(ours.bootstrap_distribution, theirs.bootstrap_distribution)


def test_whole_numbers_have_intervals_too():
    x = np.random.default_rng(0).integers(0, 50, 20)
    whole = fastkb.bootstrap((x,), np.max, n_resamples=99, method="percentile", rng=0)
    floats = fastkb.bootstrap(
        (x.astype(float),), np.max, n_resamples=99, method="percentile", rng=0
    )
    assert whole.bootstrap_distribution.dtype == x.dtype
    assert whole.confidence_interval == floats.confidence_interval


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
def test_degenerate_data(method):
    x = np.full(9, 3.5)
    if method == "BCa":
        with pytest.warns(stats.DegenerateDataWarning):
            result = fastkb.bootstrap((x,), np.mean, method=method, rng=0)
        assert np.isnan(result.confidence_interval).all()
    else:
        result = fastkb.bootstrap((x,), np.mean, method=method, rng=0)
        assert result.confidence_interval == (3.5, 3.5)
    assert result.standard_error == 0


def test_going_on_from_a_result():
    x = np.random.default_rng(4).exponential(size=30)
    results = []
    for function in (fastkb.bootstrap, stats.bootstrap):
        rng = np.random.default_rng(1)
        first = function((x,), np.median, n_resamples=100, rng=rng)
        more = function((x,), np.median, n_resamples=50, rng=rng, bootstrap_result=first)
        again = function((x,), np.median, n_resamples=0, bootstrap_result=more, method="percentile")
        results.append((more, again))
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs)
    assert results[0][0].bootstrap_distribution.size == 150


@numba.njit
def _trimmed(x):
    x = np.sort(x)
    cut = len(x) // 10
    return x[cut : len(x) - cut].mean()


@numba.njit
def _gap(x, y):
    return np.median(x) - np.median(y)


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_jitted_statistics(method):
    x = np.random.default_rng(5).normal(size=(2, 30))
    close(*both((x,), _trimmed, axis=1, n_resamples=60, method=method))
    y = np.random.default_rng(6).normal(size=(2, 20))
    close(*both((x, y), _gap, axis=1, n_resamples=60, method=method, batch=16))


@pytest.mark.parametrize("statistic", [np.mean, np.std, np.median, "spearman", _trimmed])
def test_threads_and_batches_do_not_matter(statistic):
    rng = np.random.default_rng(8)
    data = tuple(rng.normal(size=(2 if statistic == "spearman" else 1, 501)))
    options = {"n_resamples": 333, "rng": 3, "paired": len(data) == 2, "method": "percentile"}
    many = fastkb.bootstrap(data, statistic, **options)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = fastkb.bootstrap(data, statistic, batch=10, **options)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(many.bootstrap_distribution, one.bootstrap_distribution)
    assert many.confidence_interval == one.confidence_interval


def test_data_are_left_as_they_are():
    x = np.arange(40.0)[::-2]
    x.flags.writeable = False
    close(*both((x,), np.median, n_resamples=30))
    np.testing.assert_array_equal(x, np.arange(40.0)[::-2])


def test_memory_does_not_grow_with_resamples_times_rows():
    import tracemalloc

    x = np.random.default_rng(0).normal(size=100_000)
    fastkb.bootstrap((x,), np.mean, n_resamples=3, method="percentile", rng=0)
    tracemalloc.start()
    try:
        fastkb.bootstrap((x,), np.mean, n_resamples=300, method="percentile", rng=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # all indices alone would be 120 MB


def test_studentized_with_a_given_error_is_the_textbooks():
    x = np.random.default_rng(0).exponential(size=25)
    options = {"method": "studentized", "n_resamples": 999, "rng": 3, "confidence_level": 0.9}
    result = fastkb.bootstrap((x,), np.mean, standard_error=np.std, **options)
    rows = np.random.default_rng(3).integers(0, 25, (999, 25))
    t = (x[rows].mean(axis=1) - x.mean()) / x[rows].std(axis=1)
    ends = x.mean() - x.std() * np.quantile(t, [0.95, 0.05])
    np.testing.assert_allclose(result.confidence_interval, ends)
    # A constant factor of the error cancels; a Python function serves as well.
    scaled = fastkb.bootstrap((x,), np.mean, standard_error=lambda a: 3 * np.std(a), **options)
    np.testing.assert_allclose(scaled.confidence_interval, ends)


@pytest.mark.parametrize("paired", [True, False])
def test_nested_errors_are_near_the_given_ones(paired):
    x, y = np.random.default_rng(1).exponential(size=(2, 40))
    options = {"method": "studentized", "n_resamples": 500, "rng": 3, "paired": paired}

    def error(a, b, axis=-1):
        if paired:
            return np.std(a - b, axis=axis)
        return np.sqrt(np.var(a, axis=axis) + np.var(b, axis=axis))

    nested = fastkb.bootstrap((x, y), "mean_difference", **options)
    given = fastkb.bootstrap((x, y), "mean_difference", standard_error=error, **options)
    np.testing.assert_array_equal(nested.bootstrap_distribution, given.bootstrap_distribution)
    width = given.confidence_interval.high - given.confidence_interval.low
    difference = np.subtract(nested.confidence_interval, given.confidence_interval)
    assert np.abs(difference).max() < 0.2 * width
    again = fastkb.bootstrap((x, y), "mean_difference", **options)
    assert again.confidence_interval == nested.confidence_interval


def test_nested_errors_leave_the_generator_alone():
    x = np.arange(10.0)
    for make in (lambda: np.random.default_rng(2), lambda: np.random.RandomState(2)):
        rng = make()
        name = "rng" if isinstance(rng, np.random.Generator) else "random_state"
        options = {"method": "studentized", "n_resamples": 20, name: rng}
        result = fastkb.bootstrap((x,), np.median, **options)
        plain = fastkb.bootstrap((x,), np.median, n_resamples=20, **{name: make()})
        np.testing.assert_array_equal(result.bootstrap_distribution, plain.bootstrap_distribution)


def test_the_cheap_interval_needs_few_resamples():
    """Lam's guarantee: coverage near 90% from 3 resamples (500 data sets: ±4.4% is 3.3 errors)."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(500):
        x = rng.exponential(size=200)
        options = {"method": "cheap", "n_resamples": 3, "confidence_level": 0.9, "rng": rng}
        low, high = fastkb.bootstrap((x,), np.mean, **options).confidence_interval
        held += low <= 1 <= high
    assert abs(held / 500 - 0.9) < 0.044


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standard_error": np.std}, "`standard_error` is used by method='studentized' alone"),
        (
            {"method": "studentized", "scheme": fastkb.schemes.MovingBlocks(3)},
            "with a scheme needs `standard_error`",
        ),
        ({"method": "studentized", "bootstrap_result": True}, "cannot be extended"),
        ({"method": "studentized", "standard_error": "modus"}, "must be a function or one of"),
    ],
)
def test_options_that_exclude_each_other(options, message):
    x = np.arange(10.0)
    if "bootstrap_result" in options:
        options = {**options, "bootstrap_result": fastkb.bootstrap((x,), np.mean, n_resamples=9)}
    with pytest.raises(ValueError, match=message):
        fastkb.bootstrap((x,), np.mean, **options)


def test_threads_that_share_a_generator_draw_apart():
    import threading

    x = np.random.default_rng(0).normal(size=200)
    rng = np.random.default_rng(1)
    drawn = []

    def work():
        drawn.extend(
            fastkb.bootstrap((x,), np.mean, n_resamples=500, method="percentile", rng=rng)
            .bootstrap_distribution[:50]
            .tobytes()
            for _ in range(10)
        )

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(drawn)) == 40


@pytest.mark.parametrize("batch", [None, 7])
@pytest.mark.parametrize("count", [1, 2])
def test_a_statistic_that_draws_from_the_same_generator(batch, count):
    samples = np.random.default_rng(0).normal(size=(count, 12))
    results = []
    for function in (fastkb.bootstrap, stats.bootstrap):
        rng = np.random.default_rng(5)

        def smoothed(*arrays, axis=-1, rng=rng):
            if arrays[0].ndim == 1 or len(arrays[0]) == 2:  # a look at the function beforehand
                return np.mean(arrays[0], axis=axis)
            noise = 0.1 * rng.standard_normal(arrays[0].shape)
            return np.mean(arrays[0] + noise, axis=axis)

        options = {"n_resamples": 21, "batch": batch, "method": "percentile", "rng": rng}
        results.append(function(tuple(samples), smoothed, **options))
    close(*results)


def test_correlations_of_independent_samples_have_no_bca():
    x, y = np.random.default_rng(0).normal(size=(2, 20))
    for statistic in ("pearson", "spearman", stats.pearsonr):
        with pytest.raises(ValueError, match=r"takes statistic .* with paired=True alone"):
            fastkb.bootstrap((x, y), statistic, n_resamples=9)
        assert fastkb.bootstrap((x, y), statistic, n_resamples=9, method="percentile", rng=0)


@pytest.mark.parametrize("scale", [1e160, 1e-170, 1.0])
def test_correlation_does_not_depend_on_the_scale(scale):
    x = np.random.default_rng(0).normal(size=30)
    options = {"paired": True, "n_resamples": 199}
    ours, theirs = both((x * scale, x**2), stats.pearsonr, **options)
    close(ours, theirs, 1e-8, 1e-9)


def mean_ratio(x, y, axis=-1):
    return np.mean(x, axis=axis) / np.mean(y, axis=axis)


@pytest.mark.parametrize("method", ["percentile", "basic", "BCa"])
@pytest.mark.parametrize("first", [True, False])
def test_a_huge_observation_leaves_a_ratio_of_means_its_interval(method, first):
    samples = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 1e20]), np.arange(1.0, 7.0)
    samples = samples if first else samples[::-1]
    options = {"paired": True, "n_resamples": 999, "method": method, "rng": 0}
    wanted = stats.bootstrap(samples, mean_ratio, **options).confidence_interval
    found = fastkb.bootstrap(samples, "mean_ratio", **options).confidence_interval
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("method", ["percentile", "basic"])
@pytest.mark.parametrize("huge", [1e20, -1e40, 1e100, 1e200, -1e300])
def test_a_huge_observation_leaves_a_correlation_its_interval(method, huge):
    samples = np.array([1.0, 2.0, 3.0, 4.0, 5.0, huge]), np.array([1.0, 3.0, 2.0, 4.0, 6.0, 5.0])
    options = {"paired": True, "n_resamples": 199, "method": method}
    _, theirs = both(samples, lambda x, y, axis=-1: stats.pearsonr(x, y, axis=axis)[0], **options)
    named = fastkb.bootstrap(samples, "pearson", rng=7, **options)
    assert np.isfinite(theirs.confidence_interval).all()
    np.testing.assert_allclose(named.confidence_interval, theirs.confidence_interval, atol=1e-14)


def test_the_rank_correlation_of_ties_is_scipys():
    samples = np.arange(1.0, 7.0), np.array([1.0, 2.0, 4.0, 3.0, 5.0, 6.0])
    options = {"paired": True, "n_resamples": 999, "rng": 0}
    wanted = stats.bootstrap(
        samples, lambda x, y: stats.spearmanr(x, y)[0], vectorized=False, **options
    ).confidence_interval
    found = fastkb.bootstrap(samples, "spearman", **options).confidence_interval
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize("statistic", [np.std, np.var])
def test_bca_of_data_far_from_zero(statistic):
    x = np.random.default_rng(0).normal(size=30) * 1e-3 + 1e8
    ours, theirs = both((x,), statistic, n_resamples=199)
    assert ours.confidence_interval == pytest.approx(theirs.confidence_interval, rel=1e-6)


def test_functions_may_change_the_sample_they_get():
    def third(v):
        v.sort()
        return v[3]

    x = np.random.default_rng(0).normal(size=15)
    before = x.copy()
    close(*both((x,), third, n_resamples=50))
    np.testing.assert_array_equal(x, before)


def test_a_whole_number_for_the_data_truncates_nothing():
    x = np.random.default_rng(23).normal(size=20) - 0.3
    ours = fastkb.bootstrap((x,), lambda v: max(0, v.mean()), method="percentile", rng=23)
    assert ours.observed == 0
    assert 0 < ours.bootstrap_distribution.max() < 1


def test_small_whole_numbers_do_not_wrap_around():
    x = np.random.default_rng(0).integers(150, 250, 50)
    ends = [
        fastkb.bootstrap((x.astype(kind),), np.max, method="basic", rng=1).confidence_interval
        for kind in (np.uint8, np.int64)
    ]
    assert ends[0] == ends[1]


def test_samples_of_different_types_are_joined_as_scipy_joins_them():
    counts = np.arange(50000, 50030, dtype=np.int32)
    x = np.random.default_rng(0).normal(size=20)
    function = lambda a, b: float((a * a).sum()) + b.mean()  # noqa: E731
    close(*both((counts, x), function, n_resamples=30, method="percentile"))


def test_nan_in_one_series_spoils_that_one():
    x = np.random.default_rng(0).normal(size=(3, 30))
    x[1, 4] = np.nan
    ours, theirs = both((x,), np.mean, axis=1, n_resamples=50)
    np.testing.assert_allclose(ours.confidence_interval.low, theirs.confidence_interval.low)


@pytest.mark.parametrize("statistic", [np.mean, np.std, np.median, QUANTILE])
def test_half_precision_is_numpys(statistic):
    x = np.random.default_rng(0).normal(size=(2, 200)).astype(np.float16)
    ours, theirs = both((x,), statistic, axis=1, n_resamples=30, method="percentile")
    np.testing.assert_array_equal(ours.bootstrap_distribution, theirs.bootstrap_distribution)


@pytest.mark.parametrize("q", [0.1, 0.3, 0.77])
@pytest.mark.parametrize("n", [10, 1001])
def test_quantiles_in_single_precision_are_numpys(q, n):
    x = np.random.default_rng(0).normal(size=n).astype(np.float32)
    for statistic in (
        functools.partial(np.quantile, q=q),
        functools.partial(np.percentile, q=100 * q),
    ):
        ours, theirs = both((x,), statistic, n_resamples=50, method="percentile")
        # NumPy before 2.0 interpolates in double precision.
        last_bits = 0 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 4
        np.testing.assert_allclose(
            ours.bootstrap_distribution,
            theirs.bootstrap_distribution,
            rtol=0,
            atol=last_bits * np.finfo(np.float32).eps * np.abs(x).max(),
        )


@pytest.mark.parametrize("statistic", [np.mean, np.sum, np.std, np.var])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(500,), (3, 500), (1, 9)])
def test_sums_are_scipys_to_the_last_bit(statistic, dtype, shape):
    x = np.random.default_rng(0).standard_cauchy(shape).astype(dtype)
    ours, theirs = both((x,), statistic, axis=-1, n_resamples=40, method="percentile")
    np.testing.assert_array_equal(ours.bootstrap_distribution, theirs.bootstrap_distribution)


def test_the_jackknife_of_binary_data_and_of_two_observations():
    for x in (np.array([0.0, 1.0, 1.0]), np.array([1.0, 4.0]), np.array([0.0, 0, 0, 0, 1])):
        for statistic in (np.std, np.var):
            ours, theirs = both((x,), statistic, n_resamples=60)
            close(ours, theirs)
