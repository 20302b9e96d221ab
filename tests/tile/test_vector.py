"""The vector intrinsics one by one, against loops."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking, network_blocking
from tests.tile.conftest import bound_and_expected, placed

FLOATS = ["float32", "float64"]


@jit(cache=False)
def _transpose(source, target, stride):
    simd.transpose_block(source, 0, stride, target, 0, stride)


@pytest.mark.parametrize("dtype", FLOATS)
def test_transpose_block(dtype):
    width = blocking(dtype).width
    stride = width + 3
    source = np.arange(width * stride, dtype=dtype)
    target = np.full_like(source, np.nan)
    _transpose(source, target, stride)
    block = source.reshape(width, stride)[:, :width]
    got = target.reshape(width, stride)
    np.testing.assert_array_equal(got[:, :width], block.T)
    assert np.isnan(got[:, width:]).all()


@jit(cache=False)
def _store(source, target, row, column):
    simd.store(source, 1, target, row, column)


@jit(cache=False)
def _stream(source, target, row, column):
    simd.stream(source, 1, target, row, column)
    simd.fence()


@pytest.mark.parametrize("dtype", FLOATS)
def test_writes(dtype):
    width = blocking(dtype).width
    itemsize = np.dtype(dtype).itemsize
    source = np.arange(width + 1, dtype=dtype)
    buffer = np.zeros(8 * width * itemsize + 64, dtype=np.uint8)
    start = -buffer.ctypes.data % 64
    target = buffer[start : start + 8 * width * itemsize].view(dtype).reshape(4, 2 * width)
    _stream(source, target, 2, width)
    np.testing.assert_array_equal(target[2, width:], source[1:])
    _store(source, target, 1, 3)
    np.testing.assert_array_equal(target[1, 3 : 3 + width], source[1:])
    assert np.count_nonzero(target) == 2 * width


@jit(cache=False)
def _width(like):
    return simd.width(like)


@pytest.mark.parametrize("dtype", FLOATS)
def test_width(dtype):
    assert _width(np.zeros(1, dtype=dtype)) == blocking(dtype).width


@jit(cache=False)
def _dot_rows(a, b, depth, base, c):
    simd.dot_rows(a[0], a[1], a[2], b[0], b[1], depth, base[0], base[1], c[0], c[1], c[2])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("vectors", [1, 2, 3, 40])
def test_dot_rows(dtype, vectors):
    sizes = network_blocking(dtype)
    depth = vectors * sizes.width
    rng = np.random.default_rng(vectors)
    a = rng.standard_normal((sizes.mr, depth)).astype(dtype)
    b = rng.standard_normal((depth, 1)).astype(dtype)
    base = rng.standard_normal((1, 1)).astype(dtype)
    a_flat, _ = placed(a, 3, depth + 5)
    b_flat, _ = placed(b, 1, 1)
    base_flat, _ = placed(base, 2, 1)
    c_flat, places = placed(np.full((sizes.mr, 1), np.nan, dtype), 5, 7)
    _dot_rows((a_flat, 3, depth + 5), (b_flat, 1), depth, (base_flat, 2), (c_flat, 5, 7))
    bound, expected = bound_and_expected("product", a, b, base, np.ones(depth + 1), dtype)
    assert (np.abs(c_flat[places] - expected) <= bound).all()
    assert np.isnan(c_flat).sum() == len(c_flat) - sizes.mr
