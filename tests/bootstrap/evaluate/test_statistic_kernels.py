"""The compiled statistics, each against NumPy's or SciPy's on the same rows of indices."""

import functools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import recognise

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
TRIMMED = functools.partial(stats.trim_mean, proportiontocut=0.2)
EXACT = (np.median, np.min, np.max, np.ptp)


def identify(function):
    partial = isinstance(function, functools.partial)
    return f"{function.func.__name__}{function.keywords}" if partial else function.__name__


KINDS = ["normal", "offset", "heavy", "ties", "constant", "one outlier"]


@pytest.mark.parametrize("function", ONE_SAMPLE, ids=identify)
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(3, 70) | st.sampled_from([128, 193, 1000, 8192, 8193]),
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_one_sample(sample, compiled, function, seed, n, kind, dtype):
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


def test_shorter_and_longer_rows_than_the_data(compiled):
    x = np.random.default_rng(0).normal(size=50)
    y = np.random.default_rng(1).normal(size=50)
    for m in (1, 7, 200):
        rows = np.random.default_rng(m).integers(0, 50, (3, m)).astype(np.uint32)
        for function in [*ONE_SAMPLE[:4], np.median, np.max, TRIMMED]:
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
