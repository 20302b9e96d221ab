"""Loops over whole vectors beside NumPy."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.tile.blocking import blocking
from fastkb.tile.lanes.loops import largest_of, where_equal


@jit(cache=False, references=False)
def _largest(x, z, count):
    kind = x.dtype.type
    largest_of(
        x, (0, count, 2 * count, 3 * count), x, (0,), z, (0, count),
        (kind(1.0), kind(2.0), kind(3.0), kind(4.0)), count,
    )  # fmt: skip


@jit(cache=False, references=False)
def _where(x, y, z, count):
    kind = x.dtype.type
    where_equal(x, (0,), y, (0,), z, (0, count), (kind(1.0), kind(3.0)), count)


@pytest.mark.parametrize("vectors", [0, 1, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_of_four_and_the_first_of_equal_ones(dtype, vectors):
    count = vectors * blocking(dtype).width
    x = np.random.default_rng(0).integers(0, 3, (4, count)).astype(dtype)
    z = np.full(2 * count + 1, 9.0, dtype)
    _largest(x.ravel(), z, count)
    np.testing.assert_array_equal(z[:count], x.max(axis=0))
    np.testing.assert_array_equal(z[count : 2 * count], 1 + x.argmax(axis=0))
    assert z[-1] == 9.0


def test_nan_is_the_largest():
    count = blocking("float64").width
    for place in range(4):
        x = np.full((4, count), np.inf)
        x[place, 0] = np.nan
        z = np.zeros(2 * count)
        _largest(x.ravel(), z, count)
        assert np.isnan(z[0])
        assert z[count] == 1 + place
        assert (z[1:count] == np.inf).all()


def test_where_numbers_are_equal():
    count = 2 * blocking("float64").width
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(count), rng.integers(0, 4, count).astype(float)
    z = np.zeros(2 * count)
    _where(x, y, z, count)
    np.testing.assert_array_equal(z, np.r_[np.where(y == 1, x, 0), np.where(y == 3, x, 0)])
