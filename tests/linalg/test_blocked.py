"""One large matrix factored in squares: LAPACK's factor, and no bit of it from the number of threads."""

import numba
import numpy as np
import pytest
import scipy.linalg

from fastkb.linalg import blocked
from fastkb.runtime.threads import limit_blas


def positive_definite(n, dtype):
    A = np.random.default_rng(n).standard_normal((n, 2 * n))
    return (A @ A.T / n + np.eye(n)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 23, 100])
def test_it_is_lapacks_factor_and_leaves_the_other_triangle(n, dtype):
    A = positive_definite(n, dtype)
    a = A.copy()
    with limit_blas():
        assert blocked.cholesky_in_place(a, 8) == 0
    L = np.triu(a).T
    # Cholesky is backward stable: n·eps of |A|, which is below 10 here.
    assert np.abs(L @ L.T - A).max() <= 10 * n * np.finfo(dtype).eps
    expected = scipy.linalg.cholesky(A.astype(np.float64), lower=True)
    assert np.abs(L - expected).max() <= 100 * n * np.finfo(dtype).eps
    np.testing.assert_array_equal(np.tril(a, -1), np.tril(A, -1))


def test_neither_threads_nor_repetition_change_a_bit():
    A = positive_definite(300, np.float64)
    before = numba.get_num_threads()
    factors = []
    try:
        for threads in (1, before, before):
            numba.set_num_threads(threads)
            with limit_blas():
                factors.append(A.copy())
                blocked.cholesky_in_place(factors[-1], 32)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(factors[0], factors[1])
    np.testing.assert_array_equal(factors[0], factors[2])


@pytest.mark.parametrize("bad", [0, 5, 8, 17, 29])
def test_the_first_pivot_that_is_not_positive_is_named(bad):
    A = positive_definite(30, np.float64)
    A[bad, bad] = -1.0
    with limit_blas():
        assert blocked.cholesky_in_place(A, 8) == bad + 1
