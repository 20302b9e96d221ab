"""LAPACK from compiled code: right, parallel, and cached on disk across processes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastkb.linalg.lapack import cholesky_factor, cholesky_solve
from fastkb.runtime import jit, prange
from fastkb.runtime.threads import limit_blas


@jit(cache=False)
def _solve(matrix, right):
    failed = cholesky_factor(matrix)
    return cholesky_solve(matrix, right) if failed == 0 else failed


@jit(parallel=True, cache=False)
def _solve_all(matrices, rights, failed):
    for k in prange(len(matrices)):
        failed[k] = cholesky_factor(matrices[k])
        cholesky_solve(matrices[k], rights[k])


def _system(n, count, dtype, seed=0):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n))
    return (root @ root.T + n * np.eye(n)).astype(dtype), rng.standard_normal((count, n)).astype(
        dtype
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "count"), [(1, 1), (5, 3), (64, 1), (130, 7)])
def test_solves(dtype, n, count):
    matrix, right = _system(n, count, dtype)
    factor, x = matrix.copy(), right.copy()
    assert _solve(factor, x) == 0
    # Higham (2002), theorem 10.4, with a condition number of at most about 5.
    tolerance = 30 * n * np.finfo(dtype).eps
    np.testing.assert_allclose(matrix @ x.T, right.T, rtol=0, atol=tolerance * np.abs(right).max())
    lower = np.tril(factor).astype(float)
    np.testing.assert_allclose(
        lower @ lower.T, matrix, rtol=0, atol=tolerance * np.abs(matrix).max()
    )
    np.testing.assert_array_equal(np.triu(factor, 1), np.triu(matrix, 1))


def test_a_bad_pivot_is_reported():
    matrix = np.eye(6)
    matrix[3, 3] = -1.0
    assert _solve(matrix, np.ones((1, 6))) == 4


def test_in_a_parallel_region():
    systems = [_system(60, 2, np.float64, seed) for seed in range(12)]
    matrices = np.array([matrix for matrix, _ in systems])
    rights = np.array([right for _, right in systems])
    failed = np.ones(12, np.int64)
    with limit_blas(1):
        _solve_all(matrices, rights, failed)
    assert not failed.any()
    for (matrix, right), x in zip(systems, rights, strict=True):
        np.testing.assert_allclose(matrix @ x.T, right.T, atol=1e-10)


MODULE = """
import sys
import numpy as np
from fastkb.linalg.lapack import cholesky_factor, cholesky_solve
from fastkb.runtime import jit

@jit
def solve(matrix, right):
    failed = cholesky_factor(matrix)
    return cholesky_solve(matrix, right) if failed == 0 else failed

if __name__ == "__main__":
    matrix, right = np.array([[4.0, 2.0], [2.0, 3.0]]), np.array([[2.0, 5.0]])
    assert solve(matrix, right) == 0
    assert np.allclose(right, [[-0.5, 2.0]])
    print(sum(solve.stats.cache_hits.values()) if hasattr(solve.stats, "cache_hits") else 0)
"""


def test_cached_code_works_in_another_process(tmp_path):
    (tmp_path / "solver.py").write_text(MODULE)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def run():
        command = [sys.executable, str(tmp_path / "solver.py")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout), sorted((tmp_path / "cache" / "fastkb").iterdir())

    hits, files = run()
    assert hits == 0
    assert len(files) == 1
    assert run() == (1, files)
