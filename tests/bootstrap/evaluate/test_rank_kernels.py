"""Order statistics and trimmed means of ranks, against NumPy's and SciPy's of values."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

KINDS = ["normal", "offset", "heavy", "ties", "constant", "one outlier"]


@pytest.mark.parametrize("n", [1000, 9000])
def test_resamples_of_the_ends_alone(compiled, n):
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
def test_trimmed_mean(sample, compiled, seed, n, kind, cut, dtype):
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
def test_trimmed_mean_of_few_that_are_drawn_from_many(sample, compiled, seed, n, m, kind, cut):
    x = sample(seed, n, kind)
    rows = np.random.default_rng(seed).integers(0, n, (4, m)).astype(np.uint32)
    got = compiled(trimming(cut), x).replicates([rows])
    expected = stats.trim_mean(x[rows], cut, axis=-1)
    size = np.abs(x[rows]).max(axis=-1)
    assert (np.abs(got - expected) <= 20 * np.finfo(np.float64).eps * size).all()


@pytest.mark.parametrize("m", [300, 8])
def test_trimmed_mean_of_several_series(compiled, m):
    x = np.random.default_rng(0).normal(size=(3, 2, 300))
    rows = np.random.default_rng(1).integers(0, 300, (20, m)).astype(np.uint32)
    got = compiled(trimming(0.25), x).replicates([rows])
    np.testing.assert_allclose(got, stats.trim_mean(x[..., rows], 0.25, axis=-1), atol=1e-14)


def test_a_trimmed_mean_of_one_value_that_is_drawn_again_and_again(compiled):
    x = np.arange(50.0)
    rows = np.full((1, 50), 7, np.uint32)
    assert compiled(trimming(0.25), x).replicates([rows]) == 7
    # Both ends are trimmed in part: 3 and 40 occur more often than is left out.
    rows[0, :20], rows[0, 20:30], rows[0, 30:] = 3, 9, 40
    expected = stats.trim_mean(x[rows], 0.25, axis=-1)
    np.testing.assert_array_equal(compiled(trimming(0.25), x).replicates([rows]), expected)
