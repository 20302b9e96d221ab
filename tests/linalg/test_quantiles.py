"""Percentiles of columns: NumPy's, to the last bit."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastkb.linalg.quantiles import column_quantiles, interpolate, sorted_with_places

values = st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3).map(float))
samples = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 40) | st.integers(240, 400), st.integers(1, 20)),
    elements=values,
)


@given(samples, st.lists(st.floats(0, 1), min_size=1, max_size=5).map(sorted))
def test_numpys_quantiles(sample, probabilities):
    expected = np.quantile(sample, probabilities, axis=0)
    np.testing.assert_array_equal(column_quantiles(sample, probabilities), expected)


@pytest.mark.parametrize("n", [2, 247, 248, 999, 1000])
@pytest.mark.parametrize("kind", ["random", "sorted", "reversed", "equal", "few"])
def test_all_orders(n, kind):
    sample = np.random.default_rng(n).normal(size=(n, 3))
    sample = {
        "random": sample,
        "sorted": np.sort(sample, axis=0),
        "reversed": -np.sort(sample, axis=0),
        "equal": np.ones((n, 3)),
        "few": np.round(sample),
    }[kind]
    p = [0.0, 0.05, 0.05, 0.5, 0.95, 1.0]
    np.testing.assert_array_equal(column_quantiles(sample, p), np.quantile(sample, p, axis=0))


def test_further_axes_and_layouts():
    sample = np.random.default_rng(0).normal(size=(50, 4, 3))
    expected = np.quantile(sample, [0.1, 0.9], axis=0)
    np.testing.assert_array_equal(column_quantiles(sample, [0.1, 0.9]), expected)
    transposed = np.asfortranarray(sample)
    transposed.flags.writeable = False
    np.testing.assert_array_equal(column_quantiles(transposed, [0.1, 0.9]), expected)


def test_threads_do_not_matter():
    sample = np.random.default_rng(1).normal(size=(200, 30))
    many = column_quantiles(sample, [0.05, 0.95])
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(column_quantiles(sample, [0.05, 0.95]), many)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.9])
def test_interpolation_is_numpys_in_its_type(dtype, part):
    lower, upper = np.array([0.1, -3.0], dtype), np.array([0.7, 1e3], dtype)
    found = interpolate(lower, upper, part)
    expected = np.quantile(np.stack([lower, upper]), part, axis=0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=2 * np.finfo(dtype).eps)


def test_rows_in_order_and_the_places_of_their_elements():
    x = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 4.0]])
    ordered, places = sorted_with_places(x)
    np.testing.assert_array_equal(ordered, np.sort(x, axis=1))
    np.testing.assert_array_equal(np.take_along_axis(ordered, places, axis=1), x)
    np.testing.assert_array_equal(places, [[2, 0, 1], [1, 2, 0]])
