"""The vector intrinsics one by one, against loops."""

from itertools import pairwise

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking, network_blocking

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


# --- the micro-kernels of networks ---------------------------------------------------------------


@jit(cache=False)
def _multiply_wide(a, b, depth, base, c):
    simd.multiply_wide(
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], depth,
        base[0], base[1], base[2], c[0], c[1], c[2],
    )  # fmt: skip


@jit(cache=False)
def _multiply_narrow(a, b, depth, base, c):
    simd.multiply_narrow(
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], depth,
        base[0], base[1], base[2], c[0], c[1], c[2],
    )  # fmt: skip


@jit(cache=False)
def _multiply_half(a, b, depth, base, c):
    simd.multiply_half(
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], depth,
        base[0], base[1], base[2], c[0], c[1], c[2],
    )  # fmt: skip


@jit(cache=False)
def _multiply_row(a, b, depth, base, c):
    simd.multiply_row(
        a[0], a[1], a[2], a[3], b[0], b[1], b[2], depth,
        base[0], base[1], base[2], c[0], c[1], c[2],
    )  # fmt: skip


# The compiled kernel, its vectors, and its share of a micro-tile's rows (0: one row).
STRIDED = {
    "wide": (_multiply_wide, 2, 1.0),
    "narrow": (_multiply_narrow, 1, 1.0),
    "half": (_multiply_half, 2, 0.5),
    "row": (_multiply_row, 2, 0.0),
}
each_strided = pytest.mark.parametrize("kernel", STRIDED)


def tile_of(kernel, dtype):
    """Rows and columns of a kernel's result."""
    _, vectors, share = STRIDED[kernel]
    sizes = network_blocking(dtype)
    return max(1, int(share * sizes.mr)), vectors * sizes.width


def placed(matrix, start, row, step=1):
    """A flat array, else NaN, that holds element [i, k] at start + i·row + k·step."""
    i, k = np.indices(matrix.shape)
    places = start + i * row + k * step
    flat = np.full(places.max(initial=start) + 4, np.nan, matrix.dtype)
    flat[places] = matrix
    return flat, places


def bound_and_expected(a, b, base, dtype):
    """What the sum is in extended precision, and one rounding for each of two operations a term."""
    a, b, base = (array.astype(np.longdouble) for array in (a, b, base))
    size = np.abs(base) + np.abs(a) @ np.abs(b)
    return (2 * a.shape[1] + 1) * np.finfo(dtype).eps * size, base + a @ b


@pytest.mark.parametrize("dtype", FLOATS)
@each_strided
@pytest.mark.parametrize("depth", [0, 1, 2, 7, 300])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_strided_kernels(dtype, kernel, depth, transposed, shared):
    """a or its transpose; a base for each row or, as a bias, one for all."""
    rows, columns = tile_of(kernel, dtype)
    rng = np.random.default_rng(depth)
    a = rng.standard_normal((rows, depth)).astype(dtype)
    b = rng.standard_normal((depth, columns)).astype(dtype)
    base = rng.standard_normal((1 if shared else rows, columns)).astype(dtype)
    a_row, a_step = (1, rows + 2) if transposed else (depth + 3, 1)
    b_step, base_row, c_row = columns + 1, 0 if shared else columns + 4, columns + 5
    a_flat, _ = placed(a, 3, a_row, a_step)
    b_flat, _ = placed(b, 1, b_step)
    base_flat, _ = placed(base, 2, columns + 4)
    c_flat, places = placed(np.full((rows, columns), np.nan, dtype), 5, c_row)
    STRIDED[kernel][0](
        (a_flat, 3, a_row, a_step), (b_flat, 1, b_step), depth,
        (base_flat, 2, base_row), (c_flat, 5, c_row),
    )  # fmt: skip
    bound, expected = bound_and_expected(a, b, base, dtype)
    assert (np.abs(c_flat[places] - expected) <= bound).all()
    beside = np.ones(len(c_flat), bool)
    beside[places] = False
    assert np.isnan(c_flat[beside]).all()


@pytest.mark.parametrize("dtype", FLOATS)
@each_strided
@pytest.mark.parametrize("depth", [0, 1, 9])
def test_strided_kernels_add_to_what_is_there(dtype, kernel, depth):
    rows, columns = tile_of(kernel, dtype)
    rng = np.random.default_rng(depth)
    a = rng.standard_normal((rows, depth)).astype(dtype)
    b = rng.standard_normal((depth, columns)).astype(dtype)
    before = rng.standard_normal((rows, columns)).astype(dtype)
    c_row = columns + 3
    a_flat, _ = placed(a, 0, depth)
    b_flat, _ = placed(b, 0, columns)
    c_flat, places = placed(before, 1, c_row)
    c = c_flat, 1, c_row
    STRIDED[kernel][0]((a_flat, 0, depth, 1), (b_flat, 0, columns), depth, c, c)
    bound, expected = bound_and_expected(a, b, before, dtype)
    assert (np.abs(c_flat[places] - expected) <= bound).all()
    assert np.isnan(c_flat).sum() == len(c_flat) - before.size


@pytest.mark.parametrize("dtype", FLOATS)
@each_strided
@pytest.mark.parametrize("cuts", [(0, 1, 40), (0, 13, 14, 40)])
def test_a_strided_sum_does_not_depend_on_where_it_is_cut(dtype, kernel, cuts):
    rows, columns = tile_of(kernel, dtype)
    compiled = STRIDED[kernel][0]
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, 40)).astype(dtype).ravel()
    b = rng.standard_normal((40, columns)).astype(dtype).ravel()
    base = rng.standard_normal(columns).astype(dtype)
    whole, parts = np.zeros((2, rows * columns), dtype)
    compiled((a, 0, 40, 1), (b, 0, columns), 40, (base, 0, 0), (whole, 0, columns))
    for start, stop in pairwise(cuts):
        before = (base, 0, 0) if start == 0 else (parts, 0, columns)
        some = (b, start * columns, columns)
        compiled((a, start, 40, 1), some, stop - start, before, (parts, 0, columns))
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("dtype", FLOATS)
def test_strided_kernels_agree_to_the_bit(dtype):
    """An element is the same sum in whichever kernel it is computed."""
    sizes = network_blocking(dtype)
    rng = np.random.default_rng(1)
    a = rng.standard_normal((sizes.mr, 33)).astype(dtype).ravel()
    b = rng.standard_normal((33, sizes.nr)).astype(dtype).ravel()
    zeros = np.zeros(sizes.nr, dtype)
    wide, narrow, half, row = np.zeros((4, sizes.mr * sizes.nr), dtype)
    second, base = (b, 0, sizes.nr), (zeros, 0, 0)
    _multiply_wide((a, 0, 33, 1), second, 33, base, (wide, 0, sizes.nr))
    _multiply_narrow((a, 0, 33, 1), second, 33, base, (narrow, 0, sizes.nr))
    for i in (0, sizes.mr // 2):
        _multiply_half((a, 33 * i, 33, 1), second, 33, base, (half, i * sizes.nr, sizes.nr))
    for i in range(sizes.mr):
        _multiply_row((a, 33 * i, 0, 1), second, 33, base, (row, i * sizes.nr, 0))
    np.testing.assert_array_equal(row, wide)
    np.testing.assert_array_equal(half, wide)
    wide, narrow = (c.reshape(sizes.mr, sizes.nr) for c in (wide, narrow))
    np.testing.assert_array_equal(narrow[:, : sizes.width], wide[:, : sizes.width])
    assert not narrow[:, sizes.width :].any()


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
    bound, expected = bound_and_expected(a, b, base, dtype)
    assert (np.abs(c_flat[places] - expected) <= bound).all()
    assert np.isnan(c_flat).sum() == len(c_flat) - sizes.mr
