"""Statistics compiled by the user, against the definition."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import fastkb
from fastkb.bootstrap.evaluate.jitted_function import JittedFunction, NotANumber
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


@pytest.mark.parametrize("function", [trimmed_mean, spread_in_place])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_a_jitted_statistic(rows_for, function, dtype):
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
def test_a_jitted_statistic_of_three_samples(rows_for, paired):
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


def test_a_jitted_statistic_that_returns_no_number_is_left_to_python():
    @numba.njit
    def both(x):
        return np.array([x.min(), x.max()])

    with pytest.raises(NotANumber):
        JittedFunction(both, [np.arange(3.0)], paired=False)
    x = np.random.default_rng(0).normal(size=20)
    result = fastkb.bootstrap((x,), both, n_resamples=9, rng=0, method="percentile")
    assert result.bootstrap_distribution.shape == (2, 9)


def test_an_exception_in_a_jitted_statistic_is_the_users():
    @numba.njit
    def picky(x):
        if x[0] == x[1]:
            raise ValueError("the first two are equal")
        return x.mean()

    x = np.random.default_rng(0).normal(size=12)
    with pytest.raises(ValueError, match="on a resample: ValueError: the first two are equal"):
        fastkb.bootstrap((x,), picky, n_resamples=500, rng=0)


def test_a_division_by_zero_in_a_jitted_statistic_arrives_as_such():
    @numba.njit
    def ratio(x):
        return x[0] / (x[1] - x[0])

    x = np.random.default_rng(0).normal(size=12)
    with pytest.raises(ZeroDivisionError, match="statistic failed on a resample: ZeroDivision"):
        fastkb.bootstrap((x,), ratio, n_resamples=500, rng=0)
    with pytest.raises(ZeroDivisionError, match="statistic failed on the data: ZeroDivision"):
        fastkb.bootstrap((np.ones(5),), ratio, n_resamples=9, rng=0)


def test_whole_numbers_stay_whole_for_a_jitted_statistic(rows_for):
    @numba.njit
    def most_frequent(x):
        return np.bincount(x).argmax()

    for dtype in (np.int32, np.uint8, np.int64):
        x = np.random.default_rng(1).integers(0, 4, 30).astype(dtype)
        evaluator = JittedFunction(most_frequent, [x], paired=False)
        (rows,) = rows_for([30])
        expected = [np.bincount(x[row]).argmax() for row in rows]
        np.testing.assert_array_equal(evaluator.replicates([rows]), expected)


@numba.njit
def signal_to_noise(x):
    return x.mean() / x.std()


def test_a_statistic_that_one_value_alone_does_not_have():
    """The figures are SciPy's."""
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0])
    low, high = fastkb.bootstrap(
        (x,), signal_to_noise, n_resamples=99, method="percentile", rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx((1.4104169550, 3.9834563545), abs=1e-10)


PARALLEL = """
import sys
import numba, numpy as np, fastkb

@numba.njit(parallel=True)
def total(x):
    out = 0.0
    for i in numba.prange(len(x)):
        out += x[i]
    return out

@numba.njit
def calls_it(x):
    return total(x) + 0.0

@numba.njit
def calls_what_calls_it(x):
    return calls_it(x) + 0.0

x = np.arange(20.0)
statistic = globals()[sys.argv[1]]
found = fastkb.bootstrap((x,), statistic, n_resamples=50, method="percentile", rng=0)
wanted = fastkb.bootstrap((x,), "sum", n_resamples=50, method="percentile", rng=0)
np.testing.assert_allclose(found.bootstrap_distribution, wanted.bootstrap_distribution)
print("the same")
"""


@pytest.mark.parametrize(
    ("layer", "statistic"),
    [
        ("workqueue", "total"),
        ("workqueue", "calls_what_calls_it"),
        ("default", "total"),
        ("default", "calls_it"),
    ],
)
def test_a_function_with_parallel_regions_of_its_own(layer, statistic):
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    done = subprocess.run(
        [sys.executable, "-c", PARALLEL, statistic], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"
