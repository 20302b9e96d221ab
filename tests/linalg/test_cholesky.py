"""The Cholesky factorisation on the micro-kernel, against LAPACK and its own definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.linalg import cholesky as dense
from fastkb.linalg.cholesky import BLOCK, NR
from fastkb.runtime import jit

EPS = np.finfo(float).eps


@jit(cache=False)
def _solve(K, index, n, ridge, y, targets, panels, left, x):
    size = -(-n // BLOCK) * BLOCK
    dense.assemble(K, index, n, ridge, panels, size)
    dense.assemble_right(y, targets, index, n, panels, size)
    failed = dense.factor(panels, size, len(targets), left)
    if failed > 0:
        return failed
    for t in range(len(targets)):
        dense.solve_transposed(panels, size, t, x[t])
    return 0


def _run(K, index, ridge, y):
    n, count = len(index), len(y)
    panels, left = dense.allocate(n, count, 1)
    panels[:], left[:] = np.nan, np.nan  # nothing may be read before it is written
    x = np.full((count, dense.padded(n)), np.nan)
    failed = _solve(K, index.astype(np.intp), n, ridge, y, np.arange(count), panels[0], left[0], x)
    return x[:, :n], failed, panels[0]


def _matrix(n, seed, smallest):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    values = np.geomspace(1.0, smallest, n)
    matrix = (basis * values) @ basis.T
    return (matrix + matrix.T) / 2, rng


sizes = st.sampled_from(
    sorted({1, 2, 3} | {k * BLOCK + step for k in (1, 2, 5) for step in (-1, 0, 1)})
)


@settings(max_examples=60, deadline=None)
@given(
    n=sizes,
    extra=st.integers(0, 5),
    targets=st.sampled_from([1, 2, NR, NR + 1]),
    smallest=st.sampled_from([1.0, 1e-3, 1e-9]),
    seed=st.integers(0, 2**32 - 1),
)
def test_solves_the_system(n, extra, targets, smallest, seed):
    K, rng = _matrix(n + extra, seed, smallest)
    index = np.sort(rng.permutation(n + extra)[:n])
    ridge = rng.uniform(0, 1e-3, n)
    y = rng.standard_normal((targets, n + extra))
    x, failed, panels = _run(K, index, ridge, y)
    assert failed == 0
    A = K[np.ix_(index, index)] + np.diag(ridge)
    size = dense.padded(n)
    L = np.zeros((size, size))
    for row in range(size):
        columns = np.arange(row + 1)
        L[row, : row + 1] = panels[dense.place.py_func(size, row, columns)]
    # Higham (2002), theorems 10.3 and 10.4: backward errors of at most (n + 1)·eps and 4·n·eps
    # times |L||Lᵀ|, whose elements are at most the diagonal's.
    scale = np.diag(A).max()
    assert np.abs(L[:n, :n] @ L[:n, :n].T - A).max() <= (n + 2) * EPS * scale
    np.testing.assert_array_equal(L[n:, n:], np.eye(size - n))
    for t in range(targets):
        residual = np.abs(A @ x[t] - y[t, index]).max()
        assert residual <= 4 * n * (n + 2) * EPS * scale * np.abs(x[t]).max()


@pytest.mark.parametrize("n", [1, 5, BLOCK, 3 * BLOCK + 2])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_the_first_bad_pivot_is_reported(n, where, value):
    bad = int(where * (n - 1))
    K = np.eye(n)
    K[bad, bad] = value
    _, failed, _ = _run(K, np.arange(n), np.zeros(n), np.ones((1, n)))
    assert failed == bad + 1
