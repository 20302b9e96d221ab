"""Loops over whole vectors beside NumPy."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking
from fastkb.tile.lanes.loops import (
    copy_vectors,
    denormalize_channels,
    denormalize_more_channels,
    largest_of,
    multiply_channels,
    normalize_channels,
    square_channels,
    sum_channels,
    where_equal,
)


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


@jit(cache=False, references=False)
def _copy(x, z, count):
    copy_vectors(x, (0,), x, (0,), z, (count,), (x.dtype.type(0.0),), count)


def test_a_copy():
    count = 3 * blocking("float32").width
    x = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    z = np.zeros(3 * count, np.float32)
    _copy(x, z, count)
    np.testing.assert_array_equal(z, np.r_[0 * x, x, 0 * x])


@jit(cache=False, references=False)
def _channels(x, y, numbers, z, sizes, found):
    size = sizes[1] * simd.width(x)
    whole = sizes[0] * size
    sum_channels(x, (0,), x, (0,), numbers, (0,), found[0], (0,), sizes)
    square_channels(x, (0,), x, (0,), numbers, (0,), found[1], (0, size), sizes)
    multiply_channels(x, (0,), y, (0,), numbers, (0,), found[2], (0, size), sizes)
    c = sizes[1]
    normalize_channels(x, (0,), x, (0,), numbers, (0, c, 2 * c), z, (0,), sizes)
    denormalize_channels(x, (0,), y, (0,), numbers, (0, c, 2 * c, 3 * c), z, (whole,), sizes)
    denormalize_more_channels(
        x, (0, 0), y, (0,), numbers, (0, c, 2 * c, 3 * c), z, (2 * whole,), sizes
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 3), (12, 7)])
def test_channel_by_channel(dtype, sizes):
    width = blocking(dtype).width
    rng = np.random.default_rng(0)
    shape = (*sizes, width)
    x, y = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    numbers = rng.standard_normal((4, sizes[1])).astype(dtype)
    found = rng.standard_normal((3, 2, sizes[1], width)).astype(dtype)
    before, z = found.astype(float), np.zeros((3, *shape), dtype)
    flat = [each.ravel() for each in (x, y, numbers, z)]
    sums = found.reshape(3, -1)
    _channels(*flat, sizes, (sums[0], sums[1], sums[2]))
    mean, scale, total, product = numbers[:, None, :, None].astype(float)
    x, y = x.astype(float), y.astype(float)
    tolerance = {"rtol": 0, "atol": 200 * np.finfo(dtype).eps}
    np.testing.assert_allclose(found[0, 0], before[0, 0] + x.sum(axis=0), **tolerance)
    np.testing.assert_array_equal(found[1, 0], before[1, 0].astype(dtype))
    squares = ((x - before[1, 0]) ** 2).sum(axis=0)
    np.testing.assert_allclose(found[1, 1], before[1, 1] + squares, **tolerance)
    np.testing.assert_allclose(found[2, 0], before[2, 0] + x.sum(axis=0), **tolerance)
    products = (x * (y - mean)).sum(axis=0)
    np.testing.assert_allclose(found[2, 1], before[2, 1] + products, **tolerance)
    z = z.reshape(3, *shape)
    np.testing.assert_allclose(z[0], (x - mean) * scale + total, **tolerance)
    part = scale * (x - total - (y - mean) * product)
    np.testing.assert_allclose(z[1], part, **tolerance)
    np.testing.assert_allclose(z[2], x + part, **tolerance)
