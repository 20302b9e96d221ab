"""The micro-kernels against loops: every form and size, any strides, where a sum is cut."""

import functools
from itertools import pairwise

import numpy as np
import pytest

from fastkb.runtime import jit
from fastkb.runtime.cpu import cpu
from fastkb.tile.blocking import blocking, network_blocking
from fastkb.tile.micro_kernel import ACCUMULATE, micro_kernel
from tests.tile.conftest import TERMS, bound_and_expected, placed

FLOATS = ["float32", "float64"]


# The micro-kernel's blocking, vectors in a row (0: all), and share of rows (0: one row).
SHAPES = {
    "gram": (blocking, 0, 1.0),
    "layer": (network_blocking, 0, 1.0),
    "narrow": (network_blocking, 1, 1.0),
    "half": (network_blocking, 0, 0.5),
    "row": (network_blocking, 0, 0.0),
}
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_term = pytest.mark.parametrize("term", TERMS)


@functools.cache
def kernel(term, shape):
    """A compiled function that calls one micro-kernel."""
    sizes, vectors, share = SHAPES[shape]
    accumulate = ACCUMULATE[list(TERMS).index(term)]
    micro = micro_kernel("micro", accumulate, sizes, vectors=vectors, share=share)

    @jit(cache=False)
    def call(a, b, depth, base, c, weights):
        micro(
            a[0], a[1], a[2], a[3], b[0], b[1], b[2], depth, base[3], base[0], base[1], base[2],
            c[0], c[1], c[2], weights, 1,
        )  # fmt: skip

    return call


def tile_of(shape, dtype):
    """Rows and columns of a micro-kernel's result."""
    table, vectors, share = SHAPES[shape]
    sizes = table(dtype)
    return max(1, int(share * sizes.mr)), vectors * sizes.width or sizes.nr


def drawn(term, shape, dtype, depth):
    """Two factors, a base and weights behind one element that is not read."""
    rows, columns = tile_of(shape, dtype)
    rng = np.random.default_rng(depth)
    sizes = ((rows, depth), (depth, columns), (rows, columns))
    a, b, base = (rng.standard_normal(size).astype(dtype) for size in sizes)
    weights = np.concatenate([[np.nan], rng.uniform(0.5, 2.0, depth)]).astype(dtype)
    return a, b, base, weights


@pytest.mark.parametrize("dtype", FLOATS)
@each_term
@each_shape
@pytest.mark.parametrize("depth", [0, 1, 2, 7, 300])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("start", ["zero", "base", "bias"])
def test_micro_kernels(dtype, term, shape, depth, transposed, start):
    """a or its transpose; from zero, a base for each row or, as a bias is, one for all."""
    a, b, base, weights = drawn(term, shape, dtype, depth)
    rows, columns = tile_of(shape, dtype)
    shared = start == "bias"
    base = base[:1] if shared else base
    a_row, a_step = (1, rows + 2) if transposed else (depth + 3, 1)
    b_step, base_row, c_row = columns + 1, 0 if shared else columns + 4, columns + 5
    a_flat, _ = placed(a, 3, a_row, a_step)
    b_flat, _ = placed(b, 1, b_step)
    base_flat, _ = placed(np.full_like(base, np.nan) if start == "zero" else base, 2, columns + 4)
    c_flat, places = placed(np.full((rows, columns), np.nan, dtype), 5, c_row)
    kernel(term, shape)(
        (a_flat, 3, a_row, a_step), (b_flat, 1, b_step), depth,
        (base_flat, 2, base_row, start == "zero"), (c_flat, 5, c_row), weights,
    )  # fmt: skip
    before = np.zeros_like(base) if start == "zero" else base
    bound, expected = bound_and_expected(term, a, b, before, weights, dtype)
    assert (np.abs(c_flat[places] - expected) <= bound).all()
    beside = np.ones(len(c_flat), bool)
    beside[places] = False
    assert np.isnan(c_flat[beside]).all()  # nothing beside the micro-tile is touched


@pytest.mark.parametrize("dtype", FLOATS)
@each_term
@each_shape
@pytest.mark.parametrize("cuts", [(0, 1, 40), (0, 13, 14, 40)])
def test_a_sum_does_not_depend_on_where_it_is_cut(dtype, term, shape, cuts):
    if not cpu().has_fma:
        pytest.skip("two roundings")
    rows, columns = tile_of(shape, dtype)
    compiled = kernel(term, shape)
    a, b, base, weights = drawn(term, shape, dtype, 40)
    a, b, base = a.ravel(), b.ravel(), base.ravel()
    whole, parts = np.zeros((2, rows * columns), dtype)
    compiled(
        (a, 0, 40, 1), (b, 0, columns), 40, (base, 0, columns, False), (whole, 0, columns), weights
    )
    for start, stop in pairwise(cuts):
        before = base if start == 0 else parts
        compiled(
            (a, start, 40, 1), (b, start * columns, columns), stop - start,
            (before, 0, columns, False), (parts, 0, columns), weights[start:],
        )  # fmt: skip
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("dtype", FLOATS)
@each_term
def test_micro_kernels_agree_to_the_bit(dtype, term):
    """An element is the same sum in whichever micro-kernel it is computed."""
    sizes = network_blocking(dtype)
    a, b, _, weights = drawn(term, "layer", dtype, 33)
    a, b = a.ravel(), b.ravel()
    layer, narrow, half, row = np.zeros((4, sizes.mr * sizes.nr), dtype)

    def call(shape, i, row_of_a, into, row_of_c):
        kernel(term, shape)(
            (a, 33 * i, row_of_a, 1), (b, 0, sizes.nr), 33, (into, 0, 0, True),
            (into, i * sizes.nr, row_of_c), weights,
        )  # fmt: skip

    call("layer", 0, 33, layer, sizes.nr)
    call("narrow", 0, 33, narrow, sizes.nr)
    for i in (0, sizes.mr // 2):
        call("half", i, 33, half, sizes.nr)
    for i in range(sizes.mr):
        call("row", i, 0, row, 0)
    np.testing.assert_array_equal(row, layer)
    np.testing.assert_array_equal(half, layer)
    layer, narrow = (c.reshape(sizes.mr, sizes.nr) for c in (layer, narrow))
    np.testing.assert_array_equal(narrow[:, : sizes.width], layer[:, : sizes.width])
    assert not narrow[:, sizes.width :].any()
