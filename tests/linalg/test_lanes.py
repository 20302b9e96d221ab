"""Packed algebra: every lane is the small dense problem it stands for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.linalg import lanes
from fastkb.runtime import jit

LANES = lanes.LANES
EPS = np.finfo(float).eps


@jit(cache=False)
def run(triangles, inverse, x, rows, offsets, scratch, largest, start):
    size = x.shape[0] // LANES
    lanes.cholesky(triangles, start, inverse, 0, size)
    lanes.largest_forms(triangles, start, inverse, 0, rows, offsets, scratch, largest)
    lanes.solve_lower(triangles, start, inverse, 0, x, 0, size)
    lanes.solve_upper(triangles, start, inverse, 0, x, 0, size)


def packed(matrices, start):
    """Triangles in packs from pack `start`, NaN in the padding that must not be read."""
    size = matrices.shape[1]
    packs = np.full((start + lanes.triangle_packs(size), LANES), np.nan)
    for i in range(size):
        row = start + lanes.triangle_row.py_func(i)
        packs[row : row + i + 1] = matrices[:, i, : i + 1].T
    return packs.ravel()


def solve(matrices, x, vectors, start=0):
    """Solutions and the largest forms vᵀA⁻¹v, lane by lane."""
    size = matrices.shape[1]
    quads = -(-len(vectors) // lanes.QUAD)
    padded = np.zeros((quads * lanes.QUAD, size))
    padded[: len(vectors)] = vectors
    rows = np.ascontiguousarray(padded.reshape(quads, lanes.QUAD, size).transpose(0, 2, 1))
    result = x.T.flatten()
    largest = np.zeros(LANES)
    run(
        packed(matrices, start),
        np.empty(size * LANES),
        result,
        rows,
        np.zeros((quads, lanes.QUAD)),
        np.empty(lanes.QUAD * (size + 1) * LANES),
        largest,
        start,
    )
    return result.reshape(size, LANES).T, largest


def problem(seed, size):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((LANES, size, 2 * size))
    matrices = half @ half.transpose(0, 2, 1) / (2 * size) + 0.1 * np.eye(size)
    return matrices, rng.standard_normal((LANES, size)), rng


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_every_lane_is_its_own_system(seed, size, n_vectors, start):
    matrices, x, rng = problem(seed, size)
    vectors = rng.standard_normal((n_vectors, size))
    got, largest = solve(matrices, x, vectors, start)
    # Backward stable: relative error of a few n·eps times the condition number.
    condition = np.linalg.cond(matrices).max()
    tolerance = 20 * size * EPS * condition
    expected = np.linalg.solve(matrices, x[..., None])[..., 0]
    size_of = np.linalg.norm(expected, axis=1, keepdims=True)
    assert (np.abs(got - expected) <= tolerance * size_of).all()
    forms = np.einsum("ei,lij,ej->le", vectors, np.linalg.inv(matrices), vectors).max(axis=1)
    np.testing.assert_allclose(largest, forms, rtol=tolerance)


def test_offsets_are_added_to_the_forms():
    matrices, x, _ = problem(1, 3)
    rows = np.zeros((1, 3, lanes.QUAD))
    largest = np.full(LANES, 2.5)
    arrays = packed(matrices, 0), np.empty(3 * LANES), x.T.flatten()
    scratch = np.empty(lanes.QUAD * 4 * LANES)
    run(*arrays, rows, np.array([[1.0, 2.0, 7.0, 3.0]]), scratch, largest, 0)
    np.testing.assert_array_equal(largest, 7.0)


def test_a_bad_matrix_spoils_its_own_lane_only():
    matrices, x, _ = problem(2, 9)
    good, _ = solve(matrices, x, np.ones((1, 9)))
    matrices[1] = -matrices[1]
    bad, _ = solve(matrices, x, np.ones((1, 9)))
    assert np.isnan(bad[1]).all()
    others = np.arange(LANES) != 1
    np.testing.assert_array_equal(bad[others], good[others])


@pytest.mark.parametrize("size", [1, 4, 8, 9, 24, 25])
def test_rows_of_triangles_do_not_overlap(size):
    starts = [lanes.triangle_row.py_func(i) for i in range(size + 1)]
    lengths = np.diff(starts)
    assert (lengths >= np.arange(1, size + 1)).all()
    assert lanes.triangle_packs(size) == starts[-1]


@jit(cache=False)
def run_operations(c, a, b, s, depth):
    lanes.add_products(c[0], 0, a, 1, b, 2, depth)
    lanes.subtract_products(c[1], 0, a, 1, b, 2, depth)
    lanes.add_multiples(c[2], 0, a, 1, b, 2, depth)
    lanes.subtract_multiples(c[3], 0, a, 1, b, 2, depth)
    lanes.add_scaled(c[4], 0, a, 1, s, 3, depth)
    lanes.subtract_scaled(c[5], 0, a, 1, s, 3, depth)
    lanes.combine(c[6], 0, a, 1, b, 2, depth)
    lanes.accumulate(c[7], 0, a, 1, b, 2, depth)
    lanes.fill(c[8], 0, s, 3, depth)
    lanes.copy(c[9], 0, a, 1, depth)
    lanes.multiply(c[10], 0, a, 1, depth)
    lanes.scale(c[11], 0, b, 2, depth)
    lanes.weigh_misfit(c[12], 0, a, 1, s, 3, depth)
    lanes.add_sizes(c[13], 0, a, 1, s, 3, depth)
    lanes.sum_scaled(c[14], 0, a, 1, s, 3, depth)
    lanes.largest(c[15], 0, a, 1, depth)
    lanes.clear(c[16], 0, depth)


@given(st.integers(0, 2**32), st.integers(0, 7))
def test_operations_on_runs_of_packs(seed, depth):
    rng = np.random.default_rng(seed)
    before = rng.standard_normal((17, depth + 1, LANES))
    a, b = rng.standard_normal((2, depth + 4, LANES))
    s = rng.standard_normal(depth + 4)
    c = before.copy()
    run_operations(c.reshape(17, -1), a.ravel(), b.ravel(), s, depth)
    x, y, fixed, single = a[1 : depth + 1], b[2 : depth + 2], b[2], s[3 : depth + 3, None]
    expected = before.copy()
    head = expected[:, :depth]
    expected[0, 0] += (x * y).sum(axis=0)
    expected[1, 0] -= (x * y).sum(axis=0)
    head[2] += x * fixed
    head[3] -= x * fixed
    head[4] += x * single
    head[5] -= x * single
    head[6] = x + fixed * before[6, :depth]
    head[7] += x * y
    head[8] = single
    head[9] = x
    head[10] *= x
    head[11] *= fixed
    head[12] = x * (single - before[12, :depth])
    expected[13, 0] += (np.abs(x) * single).sum(axis=0)
    expected[14, 0] += (x * single).sum(axis=0)
    expected[15, 0] = np.maximum(before[15, 0], x.max(axis=0, initial=-np.inf))
    head[16] = 0
    # At most `depth` products are summed, each rounded once or twice.
    tolerance = (
        4 * (depth + 1) * EPS * (1 + np.abs(a).max()) * (1 + np.abs(b).max() + np.abs(s).max())
    )
    np.testing.assert_allclose(c, expected, rtol=0, atol=4 * tolerance)
    np.testing.assert_array_equal(c[:, depth:][2:13], before[:, depth:][2:13])
