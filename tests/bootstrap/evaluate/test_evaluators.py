"""Which of the three kinds evaluates a statistic."""

import numba
import numpy as np
import pytest

from fastkb.bootstrap.checks import Request, check_request, check_samples
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.evaluators import make_evaluator
from fastkb.bootstrap.evaluate.jitted_function import JittedFunction
from fastkb.bootstrap.evaluate.python_function import PythonFunction
from fastkb.bootstrap.evaluate.statistics import recognise

X = np.random.default_rng(0).normal(size=20)


@numba.njit
def smallest(x):
    return x.min()


@numba.njit
def with_axis(x, axis):
    return x.sum()


@numba.njit
def range_of(x):
    return x.min(), x.max()


@numba.jit(forceobj=True)
def of_objects(x):
    return sorted(x)[0]


def kind(statistic, *data, **options):
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
    return type(make_evaluator(statistic, recognise(statistic), samples, request))


def test_known_statistics_are_compiled():
    assert kind(np.mean, X) is Compiled
    assert kind("median", X.astype(np.float32)) is Compiled
    assert kind(np.max, np.arange(9)) is Compiled
    assert kind("pearson", X, X**2, paired=True) is Compiled


@pytest.mark.parametrize(
    "data",
    [
        X.astype(np.float16),  # NumPy rounds each step
        np.append(X, np.inf),
        np.arange(9) + 2**60,  # no float64
        np.stack([X, np.where(X > 1, np.nan, X)]),  # NaN in one series
    ],
    ids=["float16", "infinity", "large whole numbers", "NaN"],
)
def test_data_that_only_numpy_itself_treats_as_numpy(data):
    assert kind(np.median, data) is PythonFunction


def test_jitted_functions_of_numbers_run_in_parallel():
    assert kind(smallest, X) is JittedFunction
    assert kind(smallest, np.stack([X, X])) is JittedFunction


@pytest.mark.filterwarnings("ignore::numba.NumbaWarning")
@pytest.mark.parametrize("function", [range_of, of_objects])
def test_other_jitted_functions_run_in_python(function):
    assert kind(function, X) is PythonFunction


def test_python_functions():
    assert kind(lambda x: x[0], X) is PythonFunction
    assert kind(np.nanmean, X) is PythonFunction
