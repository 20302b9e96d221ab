"""The compiled statistics, each against NumPy's or SciPy's on the same rows of indices."""

import functools
import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import plain_function, recognise

ONE_SAMPLE = [
    np.mean,
    np.sum,
    np.std,
    np.var,
    functools.partial(np.std, ddof=1),
    functools.partial(np.var, ddof=2),
    np.median,
    np.min,
    np.max,
    np.ptp,
    functools.partial(np.quantile, q=0.1),
    functools.partial(np.quantile, q=0.97),
    functools.partial(np.quantile, q=0.0),
    functools.partial(np.percentile, q=100),
]
EXACT = (np.median, np.min, np.max, np.ptp)


def identify(function):
    partial = isinstance(function, functools.partial)
    return f"{function.func.__name__}{function.keywords}" if partial else function.__name__


def sample(seed, n, kind, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = {
        "normal": rng.normal(size=n),
        "offset": rng.normal(size=n) + 1e8,
        "heavy": rng.standard_cauchy(size=n),
        "ties": rng.integers(0, 3, n).astype(float),
        "constant": np.full(n, 0.1),
        "one outlier": np.append(rng.normal(size=n - 1) * 1e-6, 1e6),
    }[kind]
    return x.astype(dtype)


def compiled(function, *samples):
    known = recognise(function)
    plain = plain_function(known) if isinstance(function, str) else function
    observed = np.asarray(plain(*samples, axis=-1))
    return Compiled(known, samples, True, observed)


KINDS = ["normal", "offset", "heavy", "ties", "constant", "one outlier"]


@pytest.mark.parametrize("function", ONE_SAMPLE, ids=identify)
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(3, 70) | st.sampled_from([128, 193, 1000, 8192, 8193]),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_one_sample(function, seed, n, kind, dtype):
    x = sample(seed, n, kind, dtype)
    rows = np.random.default_rng(seed).integers(0, n, (5, n)).astype(np.uint32)
    got = compiled(function, x).replicates([rows])
    with np.errstate(all="ignore"):
        expected = function(x[rows], axis=-1)
    assert got.dtype == expected.dtype
    if function in EXACT:
        np.testing.assert_array_equal(got, expected)
        return
    # NumPy sums in the element type; in float64 the data's own rounding is what counts.
    eps = 20 * np.finfo(dtype).eps
    name = recognise(function).name
    size = np.abs(x.astype(float)).max() ** (2 if name == "var" else 1)
    size *= n if name == "sum" else 1
    if dtype == np.float32 and name in ("var", "std"):
        eps *= 1 + n  # its deviations from a rounded mean
    np.testing.assert_allclose(got, expected, rtol=eps, atol=eps * size)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 60),
    kinds=st.tuples(st.sampled_from(KINDS[:4]), st.sampled_from(KINDS)),
    name=st.sampled_from(["pearson", "spearman", "mean_difference", "mean_ratio"]),
)
def test_two_samples(seed, n, kinds, name):
    x, y = sample(seed, n, kinds[0]), sample(seed + 1, n, kinds[1])
    y = y + 0.3 * x
    rows = np.random.default_rng(seed).integers(0, n, (4, n)).astype(np.uint32)
    known = recognise(name)
    got = Compiled(known, (x, y), True, np.asarray(0.0)).replicates([rows])
    for value, row in zip(got, rows, strict=True):
        a, b = x[row], y[row]
        if name.startswith("mean"):
            expected = plain_function(known)(a, b)
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
        elif np.ptp(a) == 0 or np.ptp(b) == 0:
            assert np.isnan(value)
        elif name == "spearman":
            assert value == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-12)
        elif np.ptp(a) > 1e-6 * np.abs(a).max() and np.ptp(b) > 1e-6 * np.abs(b).max():
            # (SciPy's own digits are gone where the spread is small against the values.)
            assert value == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-8)


@pytest.mark.parametrize("n", [1000, 9000])
def test_resamples_of_the_ends_alone(n):
    """Counts that are nearly all zero; of many observations, a window that misses the median."""
    x = np.arange(float(n))
    low, high = np.zeros((1, n), np.uint32), np.full((1, n), n - 1, np.uint32)
    twice = np.concatenate([low, high, np.sort(np.r_[low, high].ravel())[None, ::2]])
    got = compiled(np.median, x).replicates([twice.astype(np.uint32)])
    np.testing.assert_array_equal(got, np.median(x[twice], axis=-1))


@functools.cache
def trimming(cut):
    return functools.partial(stats.trim_mean, proportiontocut=cut)


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 40) | st.integers(250, 262) | st.integers(2, 600),
    kind=st.sampled_from([*KINDS, "whole numbers"]),
    cut=st.sampled_from([0, 0.05, 0.1, 0.25, 0.49]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_trimmed_mean(seed, n, kind, cut, dtype):
    rng = np.random.default_rng(seed)
    if kind == "whole numbers":
        x = rng.integers(-50, 50, n).astype(dtype)
    else:
        x = sample(seed, n, kind, dtype)
    rows = rng.integers(0, n, (4, n)).astype(np.uint32)
    got = compiled(trimming(cut), x).replicates([rows])
    expected = stats.trim_mean(x[rows], cut, axis=-1)
    assert got.dtype == expected.dtype == dtype
    if kind in ("ties", "whole numbers"):
        np.testing.assert_array_equal(got, expected)  # sums of whole numbers are exact
    eps = np.finfo(dtype).eps
    kept = np.sort(x[rows].astype(np.float64), axis=-1)[:, int(cut * n) : n - int(cut * n)]
    size = np.abs(kept).max(axis=-1)
    assert (np.abs(got - expected) <= 20 * eps * size).all()
    # SciPy's digits are no bound for ours: double precision, and deviations from the middle. Three
    # roundings of the mean, and one of each term and of each sum of deviations.
    exact = np.array([math.fsum(row) / len(row) for row in kept])
    spread = np.abs(kept - np.median(kept, axis=-1, keepdims=True)).sum(axis=-1)
    bound = 2 * eps * np.abs(exact) + 2 * np.finfo(np.float64).eps * spread
    assert (np.abs(got - exact) <= bound).all()


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(300, 2000),
    m=st.integers(1, 80),  # on both sides of one in 32
    kind=st.sampled_from(KINDS),
    cut=st.sampled_from([0, 0.1, 0.49]),
)
def test_trimmed_mean_of_few_that_are_drawn_from_many(seed, n, m, kind, cut):
    x = sample(seed, n, kind)
    rows = np.random.default_rng(seed).integers(0, n, (4, m)).astype(np.uint32)
    got = compiled(trimming(cut), x).replicates([rows])
    expected = stats.trim_mean(x[rows], cut, axis=-1)
    size = np.abs(x[rows]).max(axis=-1)
    assert (np.abs(got - expected) <= 20 * np.finfo(np.float64).eps * size).all()


@pytest.mark.parametrize("m", [300, 8])
def test_trimmed_mean_of_several_series(m):
    x = np.random.default_rng(0).normal(size=(3, 2, 300))
    rows = np.random.default_rng(1).integers(0, 300, (20, m)).astype(np.uint32)
    got = compiled(trimming(0.25), x).replicates([rows])
    np.testing.assert_allclose(got, stats.trim_mean(x[..., rows], 0.25, axis=-1), atol=1e-14)


def test_a_trimmed_mean_of_one_value_that_is_drawn_again_and_again():
    x = np.arange(50.0)
    rows = np.full((1, 50), 7, np.uint32)
    assert compiled(trimming(0.25), x).replicates([rows]) == 7
    # Both ends are trimmed in part: 3 and 40 occur more often than is left out.
    rows[0, :20], rows[0, 20:30], rows[0, 30:] = 3, 9, 40
    expected = stats.trim_mean(x[rows], 0.25, axis=-1)
    np.testing.assert_array_equal(compiled(trimming(0.25), x).replicates([rows]), expected)


def test_shorter_and_longer_rows_than_the_data():
    x = np.random.default_rng(0).normal(size=50)
    y = np.random.default_rng(1).normal(size=50)
    for m in (1, 7, 200):
        rows = np.random.default_rng(m).integers(0, 50, (3, m)).astype(np.uint32)
        for function in [*ONE_SAMPLE[:4], np.median, np.max, trimming(0.2)]:
            got = compiled(function, x).replicates([rows])
            np.testing.assert_allclose(got, function(x[rows], axis=-1), rtol=1e-12)
        if m > 2:
            got = Compiled(recognise("spearman"), (x, y), True, np.asarray(0.0)).replicates([rows])
            expected = [stats.spearmanr(x[r], y[r])[0] for r in rows]
            np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["mean", "std", "median", "trimmed_mean", "pearson", "spearman"])
def test_threads_and_neighbours_do_not_matter(name):
    rng = np.random.default_rng(0)
    known = recognise(name)
    samples = tuple(rng.normal(size=(known.n_samples, 333)))
    rows = rng.integers(0, 333, (9, 333)).astype(np.uint32)
    evaluator = Compiled(known, samples, True, np.asarray(0.0))
    whole = evaluator.replicates([rows])
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        parts = [evaluator.replicates([rows[b : b + 1]])[0] for b in range(9)]
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(whole, parts)
