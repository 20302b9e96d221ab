"""The vector intrinsics one by one, against loops."""

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking

FLOATS = ["float32", "float64"]


@jit(cache=False)
def _dot(a, b, depth, c, stride, first):
    simd.dot(a, 0, b, 0, depth, c, 0, stride, first)


@jit(cache=False)
def _sqdiff(a, b, depth, c, stride, first):
    simd.sqdiff(a, 0, b, 0, depth, c, 0, stride, first)


@jit(cache=False)
def _absdiff(a, b, depth, c, stride, first):
    simd.absdiff(a, 0, b, 0, depth, c, 0, stride, first)


FORMS = {
    "dot": (_dot, lambda a, b: a * b),
    "sqdiff": (_sqdiff, lambda a, b: (a - b) ** 2),
    "absdiff": (_absdiff, lambda a, b: np.abs(a - b)),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("depth", [1, 2, 7, 300])
def test_micro_kernels(dtype, form, depth):
    compiled, term = FORMS[form]
    sizes = blocking(dtype)
    rng = np.random.default_rng(depth)
    a = rng.standard_normal((depth, sizes.mr)).astype(dtype)
    b = rng.standard_normal((depth, sizes.nr)).astype(dtype)
    stride = sizes.nr + 5
    c = np.full(sizes.mr * stride, np.nan, dtype=dtype)
    compiled(a.ravel(), b.ravel(), depth, c, stride, True)
    compiled(a.ravel(), b.ravel(), depth, c, stride, False)  # adds to what is there
    c = c.reshape(sizes.mr, stride)
    wide = np.longdouble
    expected = 2 * term(a[:, :, None].astype(wide), b[:, None, :].astype(wide)).sum(axis=0)
    size = 2 * np.abs(term(a[:, :, None].astype(wide), b[:, None, :].astype(wide))).sum(axis=0)
    # One rounding for each of 2·depth additions, and two more in a term.
    bound = (2 * depth + 3) * np.finfo(dtype).eps * size
    assert (np.abs(c[:, : sizes.nr] - expected) <= bound).all()
    assert np.isnan(c[:, sizes.nr :]).all()  # nothing beside the micro-tile is touched


@pytest.mark.skipif(not cpu().has_fma, reason="two roundings")
def test_a_sum_does_not_depend_on_where_its_columns_are_cut():
    sizes = blocking("float64")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, sizes.mr)), rng.standard_normal((50, sizes.nr))
    whole = np.zeros(sizes.mr * sizes.nr)
    _dot(a.ravel(), b.ravel(), 50, whole, sizes.nr, True)
    parts = np.zeros(sizes.mr * sizes.nr)
    for start, stop in ((0, 13), (13, 14), (14, 50)):
        chunk = slice(start, stop)
        _dot(a[chunk].ravel(), b[chunk].ravel(), stop - start, parts, sizes.nr, start == 0)
    np.testing.assert_array_equal(parts, whole)


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
