"""LAPACK from compiled code: right results, in parallel, and after a load from the disk."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from fastkb.linalg import lapack
from fastkb.runtime import jit, prange
from fastkb.runtime.threads import limit_blas

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@jit(cache=False)
def solve_one(a, b):
    info = lapack.factor(a)
    return info if info != 0 else lapack.solve(a, b)


@jit(parallel=True, cache=False)
def factor_many(matrices, info):
    for i in prange(matrices.shape[0]):
        info[i] = lapack.factor(matrices[i])


def positive_definite(rng, n, dtype, count=1):
    A = rng.standard_normal((count, n, 2 * n))
    return (A @ A.transpose(0, 2, 1) / n + np.eye(n)).astype(dtype)


@dtypes
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 5))
def test_factor_and_solve(dtype, seed, n, n_right):
    rng = np.random.default_rng(seed)
    A = positive_definite(rng, n, dtype)[0]
    B = rng.standard_normal((n_right, n)).astype(dtype)
    a, x = A.copy(), B.copy()
    assert solve_one(a, x) == 0
    eps = np.finfo(dtype).eps
    # Cholesky is backward stable: the residual is a few n·eps of |A||x|. |A| ≤ 10 here.
    scale = 10 * n * eps * np.linalg.norm(A) * (np.linalg.norm(x) + 1)
    assert np.linalg.norm(x @ A - B) <= scale
    L = np.tril(a)
    assert np.linalg.norm(L @ L.T - A) <= 10 * n * eps * np.linalg.norm(A)
    np.testing.assert_array_equal(np.triu(a, 1), np.triu(A, 1))


@dtypes
def test_many_factors_in_parallel_are_scipys(dtype):
    matrices = positive_definite(np.random.default_rng(0), 70, dtype, 40)
    expected = [scipy.linalg.cholesky(m, lower=True) for m in matrices]
    info = np.full(40, -1)
    with limit_blas(1):
        factor_many(matrices, info)
    assert not info.any()
    tolerance = 100 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(np.tril(matrices), expected, rtol=0, atol=tolerance)


@dtypes
def test_a_bad_pivot_is_named(dtype):
    A = np.diag([1.0, 2.0, -1.0, 3.0]).astype(dtype)
    assert solve_one(A, np.ones((1, 4), dtype)) == 3


@pytest.mark.parametrize("name", ["factor", "solve"])
def test_not_for_the_interpreter(name):
    arguments = (np.eye(2),) if name == "factor" else (np.eye(2), np.ones((1, 2)))
    with pytest.raises(NotImplementedError, match="compiled code"):
        getattr(lapack, name)(*arguments)


def test_code_from_the_disk_finds_the_routine_in_a_new_process(tmp_path):
    (tmp_path / "cached_solver.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from fastkb.linalg import lapack
            from fastkb.runtime import jit

            @jit
            def solve(a, b):
                info = lapack.factor(a)
                return info if info != 0 else lapack.solve(a, b)
            """
        )
    )
    script = textwrap.dedent(
        """
        import numpy as np
        from numba.core import event
        from cached_solver import solve

        a, b = np.array([[4.0, 2.0], [2.0, 5.0]]), np.array([[8.0, 12.0]])
        with event.install_recorder("numba:compile") as recorder:
            assert solve(a, b) == 0
        print(b[0].round(12).tolist(), len(recorder.buffer))
        """
    )
    environment = dict(
        os.environ, NUMBA_CACHE_DIR=str(tmp_path / "cache"), PYTHONPATH=str(tmp_path)
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert [output[:2] for output in outputs] == [["[1.0,", "2.0]"]] * 2
    # The first process compiled, the second loaded.
    assert int(outputs[0][2]) > 0
    assert int(outputs[1][2]) == 0
