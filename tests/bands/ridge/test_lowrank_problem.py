"""Layouts of the low-rank solver: where each number stands, and how much scratch there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.bands.ridge.lowrank_problem import (
    BATCH,
    MR,
    NR,
    PACKS,
    Sizes,
    pack_columns,
    pack_rows,
    up,
    workspace,
)
from fastkb.linalg.lanes import triangle_packs

shapes = given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))


@shapes
def test_rows_in_panels(n, d, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, d))
    packed = pack_rows(matrix)
    assert packed.shape == (up(n) * d,)
    for i in range(up(n)):
        row = packed[(i // MR) * MR * d :][i % MR :: MR][:d]
        np.testing.assert_array_equal(row, matrix[i] if i < n else 0.0)


@shapes
def test_columns_in_panels(n, d, seed):
    matrix = np.random.default_rng(seed).normal(size=(n, d))
    packed = pack_columns(matrix)
    assert packed.shape == (up(n) * up(d),)
    for j in range(up(d)):
        column = packed[(j // MR) * MR * up(n) :][j % MR :: MR][: up(n)]
        np.testing.assert_array_equal(column[:n], matrix[:, j] if j < d else 0.0)
        np.testing.assert_array_equal(column[n:], 0.0)


def test_a_block_is_whole_packs():
    assert PACKS * NR == BATCH
    assert [up(count) for count in (0, 1, MR, MR + 1)] == [0, MR, MR, 2 * MR]


@pytest.mark.parametrize("workers", [1, 3])
def test_scratch_of_each_worker(workers):
    sizes = Sizes(n=10, n_padded=16, rank=9, rank_padded=16, strong=8, n_eval=5)
    work = workspace(sizes, workers)
    assert all(len(array) == workers for array in work)
    assert work.weights.shape == (workers, BATCH * 16)
    assert work.triangles.shape == (workers, BATCH * triangle_packs(8))
    assert work.vectors.shape == (workers, 5, BATCH * 16)
    assert all(array.flags.c_contiguous for array in work)
