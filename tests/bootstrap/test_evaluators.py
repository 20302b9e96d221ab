"""Three ways to evaluate a statistic, against the definition."""

import numba
import numpy as np
import pytest
from scipy import stats

from fastkb.bootstrap.evaluators import (
    Compiled,
    JittedFunction,
    PythonFunction,
    along_last_axis,
)
from fastkb.bootstrap.statistics import NAMED, recognise
from fastkb.reference import bootstrap as reference


@numba.njit
def trimmed_mean(x):
    x = np.sort(x)
    cut = len(x) // 10
    return x[cut : len(x) - cut].mean()


@numba.njit
def spread_in_place(x):
    x.sort()  # the resample is the function's own
    return x[-1] - x[0]


@numba.njit
def weighted(x, y, z):
    return x.mean() + 2 * y.mean() + 4 * z.sum()


def rows_for(lengths, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, (count, n)).astype(np.uint32) for n in lengths]


@pytest.mark.parametrize("function", [trimmed_mean, spread_in_place])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_a_jitted_statistic(function, dtype):
    x = (10 * np.random.default_rng(1).normal(size=40)).astype(dtype)
    before = x.copy()
    evaluator = JittedFunction(function, [x], paired=False)
    (rows,) = rows_for([40])
    expected = reference.distribution([x], function.py_func, [rows])
    np.testing.assert_allclose(evaluator.replicates([rows]), expected, rtol=1e-6, atol=1e-6)
    (left,) = evaluator.jackknife()
    np.testing.assert_allclose(left, reference.jackknife([x], function.py_func)[0], atol=2e-6)
    assert evaluator.observed == pytest.approx(function.py_func(x.copy()), abs=2e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("paired", [True, False])
def test_a_jitted_statistic_of_three_samples(paired):
    samples = list(np.random.default_rng(2).normal(size=(3, 15)))
    evaluator = JittedFunction(weighted, samples, paired)
    rows = rows_for([15]) if paired else rows_for([15, 15, 15])
    expected = reference.distribution(samples, weighted.py_func, rows)
    np.testing.assert_allclose(evaluator.replicates(rows), expected)
    left = evaluator.jackknife()
    for got, wanted in zip(
        left, reference.jackknife(samples, weighted.py_func, paired), strict=True
    ):
        np.testing.assert_allclose(got, wanted)


def test_a_jitted_statistic_must_return_a_number():
    @numba.njit
    def both(x):
        return np.array([x.min(), x.max()])

    with pytest.raises(ValueError, match=r"must return one number, got an array of shape \(2,\)"):
        JittedFunction(both, [np.arange(3.0)], paired=False)


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_python_functions(vectorized, batch):
    x, y = np.random.default_rng(3).normal(size=(2, 2, 9))

    def function(a, b, axis=-1):
        return np.mean(a, axis=axis) * np.max(b, axis=axis)

    evaluator = PythonFunction(
        function if vectorized else lambda a, b: function(a, b),
        [x, y[:, :5]],
        False,
        vectorized,
        batch,
    )
    rows = rows_for([9, 5])
    got = evaluator.replicates(rows)
    assert got.shape == (2, 6)
    left = evaluator.jackknife()
    assert [part.shape for part in left] == [(2, 9), (2, 5)]
    for s in range(2):
        samples = [x[s], y[s, :5]]
        np.testing.assert_allclose(got[s], reference.distribution(samples, function, rows))
        for mine, expected in zip(left, reference.jackknife(samples, function), strict=True):
            np.testing.assert_allclose(mine[s], expected)


def test_results_with_axes_of_their_own():
    x = np.random.default_rng(4).normal(size=(3, 8))
    looped = along_last_axis(lambda a: np.array([[a.min(), a.max(), a.mean()]]))
    assert looped(x, axis=-1).shape == (1, 3, 3)
    np.testing.assert_array_equal(looped(x, axis=-1)[0, 1], x.max(axis=1))
    assert looped(x[0], axis=-1).shape == (1, 3)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_compiled_jackknife(name):
    statistic = NAMED[name]
    rng = np.random.default_rng(5)
    samples = list(rng.normal(size=(statistic.n_samples, 12)) + 3)
    samples[-1] = np.round(samples[-1], 1)
    from fastkb.bootstrap.statistics import plain_function

    function = plain_function(statistic)
    for paired in (True, False) if name.startswith("mean_") else (statistic.n_samples == 2,):
        left = Compiled(statistic, samples, paired, np.asarray(0.0)).jackknife()
        for got, expected in zip(left, reference.jackknife(samples, function, paired), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.parametrize("function", [stats.pearsonr, stats.spearmanr])
@pytest.mark.parametrize("n", [2, 3, 15])
def test_correlations_with_their_pvalues(function, n):
    x, y = np.random.default_rng(6).normal(size=(2, n))
    (rows,) = rows_for([n], 8)
    statistic = recognise(function)
    got = Compiled(statistic, (x, y), True, np.asarray(function(x, y))).replicates([rows])
    assert got.shape == (2, 8)
    for b, row in enumerate(rows):
        if len(set(row)) == 1:
            assert np.isnan(got[:, b]).all()
        elif n > 2:
            np.testing.assert_allclose(got[:, b], function(x[row], y[row]), atol=1e-7)
        else:
            assert abs(got[0, b]) == pytest.approx(1.0)
