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
def factor(a, n):
    return lapack.factor_lower(a, n)


@jit(parallel=True, cache=False)
def factor_many(matrices, info):
    for i in prange(matrices.shape[0]):
        info[i] = lapack.factor_lower(matrices[i], matrices.shape[1])


def positive_definite(rng, n, dtype, count=1):
    A = rng.standard_normal((count, n, 2 * n))
    return (A @ A.transpose(0, 2, 1) / n + np.eye(n)).astype(dtype)


@dtypes
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 5))
def test_factor(dtype, seed, n, more):
    A = positive_definite(np.random.default_rng(seed), n + more, dtype)[0]
    a = A.copy()
    assert factor(a, n) == 0
    # Cholesky is backward stable: the residual is a few n·eps of |A|.
    U = np.triu(a[:n, :n])
    tolerance = 10 * n * np.finfo(dtype).eps * np.linalg.norm(A)
    assert np.linalg.norm(U.T @ U - A[:n, :n]) <= tolerance
    # All else is as it was.
    a[:n, :n][np.triu_indices(n)] = A[:n, :n][np.triu_indices(n)]
    np.testing.assert_array_equal(a, A)


@dtypes
def test_many_factors_in_parallel_are_scipys(dtype):
    matrices = positive_definite(np.random.default_rng(0), 70, dtype, 40)
    expected = [scipy.linalg.cholesky(m) for m in matrices]
    info = np.full(40, -1)
    with limit_blas(1):
        factor_many(matrices, info)
    assert not info.any()
    tolerance = 100 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(np.triu(matrices), expected, rtol=0, atol=tolerance)


@dtypes
def test_a_bad_pivot_is_named(dtype):
    A = np.diag([1.0, 2.0, -1.0, 3.0]).astype(dtype)
    assert factor(A, 4) == 3


def test_not_for_the_interpreter():
    with pytest.raises(NotImplementedError, match="compiled code"):
        lapack.factor_lower(np.eye(2), 2)


def test_code_from_the_disk_finds_the_routine_in_a_new_process(tmp_path):
    (tmp_path / "cached_solver.py").write_text(
        textwrap.dedent(
            """
            import numpy as np
            from fastkb.linalg import lapack
            from fastkb.runtime import jit

            @jit
            def factor(a):
                return lapack.factor_lower(a, len(a))
            """
        )
    )
    script = textwrap.dedent(
        """
        import numpy as np
        from numba.core import event
        from cached_solver import factor

        a = np.array([[4.0, 2.0], [2.0, 5.0]])
        with event.install_recorder("numba:compile") as recorder:
            assert factor(a) == 0
        print(a[0].tolist(), len(recorder.buffer))
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
    assert [output[:2] for output in outputs] == [["[2.0,", "1.0]"]] * 2
    # The first process compiled, the second loaded.
    assert int(outputs[0][2]) > 0
    assert int(outputs[1][2]) == 0
