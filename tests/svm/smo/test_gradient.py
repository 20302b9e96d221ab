"""Sums of kernel rows, elements picked and squeezed, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.runtime.threads import use_threads
from fastkb.svm.smo.gradient import BLOCK, add_rows, pick, put, squeeze

EPS = np.finfo(float).eps
FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
# Four rows are added at a time, to a block of the gradient.
COUNTS = (0, 1, 3, 4, 5, 7, 8, 9)
WIDTHS = (1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3)


def draw(count, width, dtype, seed=0):
    """Rows, of which `count` are added in any order, some twice; and what is there before."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(6, width)).astype(dtype)
    return rows, rng.integers(0, 6, count), rng.normal(size=count), rng.normal(size=width)


@given(
    count=st.sampled_from(COUNTS) | st.integers(0, 40),
    width=st.sampled_from(WIDTHS),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
)
def test_rows_are_added_in_double_precision(count, width, dtype, seed):
    rows, slots, by, out = draw(count, width, dtype, seed)
    terms = by[:, None].astype(np.longdouble) * rows[slots]
    expected = out + terms.sum(axis=0)
    size = np.abs(out) + np.abs(terms).sum(axis=0)
    kept = rows.copy()
    add_rows(rows, slots, by, out)
    assert (np.abs(out - expected) <= (count + 1) * EPS * size).all()
    np.testing.assert_array_equal(rows, kept)


@each_dtype
def test_no_rows_change_nothing(dtype):
    rows, slots, by, out = draw(0, BLOCK + 1, dtype)
    kept = out.copy()
    add_rows(rows, slots, by, out)
    np.testing.assert_array_equal(out, kept)


@each_dtype
@pytest.mark.parametrize("count", COUNTS)
def test_bits_depend_on_no_thread(count, dtype):
    rows, slots, by, out = draw(count, 5 * BLOCK + 7, dtype)
    alone, places = out.copy(), np.arange(5 * BLOCK + 7)[::-3].copy()
    picked = np.empty((2, count, len(places)), dtype)
    add_rows(rows, slots, by, out)
    pick(rows, slots, places, picked[0])
    with use_threads(1):
        add_rows(rows, slots, by, alone)
        pick(rows, slots, places, picked[1])
    np.testing.assert_array_equal(alone, out)
    np.testing.assert_array_equal(picked[1], picked[0])


@each_dtype
def test_rows_that_cannot_be_written_are_read(dtype):
    rows, slots, by, out = draw(5, 10, dtype)
    expected = out.copy()
    add_rows(rows, slots, by, expected)
    rows.flags.writeable = False
    add_rows(rows, slots, by, out)
    np.testing.assert_array_equal(out, expected)
    picked = np.empty((5, 2), dtype)
    pick(rows, slots, np.array([9, 0]), picked)
    np.testing.assert_array_equal(picked, rows[slots][:, [9, 0]])


@given(
    count=st.sampled_from(COUNTS),
    n_columns=st.integers(0, 9),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
)
def test_elements_are_picked(count, n_columns, dtype, seed):
    rows, slots, _, _ = draw(count, 13, dtype, seed)
    columns = np.random.default_rng(seed).integers(0, 13, n_columns)
    out = np.full((count, n_columns), np.nan, dtype)
    pick(rows, slots, columns, out)
    np.testing.assert_array_equal(out, rows[np.ix_(slots, columns)])


@given(
    n=st.integers(1, 8),
    width=st.sampled_from([1, 2, 7, BLOCK + 1]),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_elements_are_squeezed_together(n, width, dtype, seed, data):
    values = np.random.default_rng(seed).normal(size=(n, width)).astype(dtype)
    some = np.random.default_rng(seed + 1)
    rows = np.flatnonzero(some.uniform(size=n) < data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    places = np.flatnonzero(some.uniform(size=width) < data.draw(st.sampled_from([0.3, 0.9, 1.0])))
    expected = values[np.ix_(rows, places)]
    flat = values.reshape(-1).copy()
    squeeze(flat, width, rows, places)
    stay = expected.size
    np.testing.assert_array_equal(flat[:stay].reshape(expected.shape), expected)
    # What lies behind is nobody's, and is left alone.
    np.testing.assert_array_equal(flat[stay:], values.reshape(-1)[stay:])


@each_dtype
@pytest.mark.parametrize("width", [1, 5, 64, 1001])
def test_rows_are_put_in_their_places(width, dtype):
    rng = np.random.default_rng(0)
    rows, block = (
        rng.normal(size=(9, width)).astype(dtype),
        rng.normal(size=(4, width)).astype(dtype),
    )
    slots, expected = np.array([7, 0, 3, 2]), rows.copy()
    expected[slots] = block
    put(block, slots, rows)
    np.testing.assert_array_equal(rows, expected)
