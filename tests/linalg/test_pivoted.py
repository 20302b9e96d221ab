"""Pivoted Cholesky: exactness, the meaning of the residual, growth, rounding, threads."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.linalg.pivoted import ROUNDING, PivotedCholesky
from fastkb.reference import gram

EPS = np.finfo(float).eps


def never(residual):
    return False


def decompose(K, max_rank=None, enough=never):
    decomposition = PivotedCholesky(np.diag(K), lambda i: K[:, i], max_rank or len(K))
    return decomposition, decomposition.grow(enough)


problems = st.builds(
    lambda seed, n, d, gamma: gram.rbf(
        np.random.default_rng(seed).normal(size=(n, d)), gamma=gamma
    ),
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.integers(1, 3),
    st.sampled_from([1e-3, 0.1, 1.0, 30.0]),
)


@given(problems, st.integers(1, 60))
def test_the_residual_is_what_was_left_out(K, rank):
    decomposition, _ = decompose(K, rank)
    L = decomposition.factor.T
    E = K - L @ L.T
    r = decomposition.rank
    assert r <= rank
    # Each of the r products adds a rounding error of at most eps/2 times its size, and the sizes sum
    # to K_ii = 1; the factor's own entries carry as much again.
    tolerance = 2 * (r + 1) * EPS
    np.testing.assert_allclose(np.diag(E), decomposition.residual, rtol=0, atol=tolerance)
    bound = np.sqrt(np.outer(decomposition.residual, decomposition.residual))
    assert (np.abs(E) <= bound + ROUNDING + 2 * tolerance + np.sqrt(tolerance * bound)).all()


@given(problems)
def test_it_goes_on_to_rounding_error_and_no_further(K):
    decomposition, done = decompose(K)
    assert not done
    L = decomposition.factor.T
    assert decomposition.rank <= len(K)
    np.testing.assert_allclose(L @ L.T, K, rtol=0, atol=ROUNDING + 4 * len(K) * EPS)
    assert len(set(decomposition.pivots)) == decomposition.rank


@given(problems)
def test_pivots_are_the_largest_residuals(K):
    decomposition, _ = decompose(K, 5)
    residual = np.diag(K).copy()
    for k, pivot in enumerate(decomposition.pivots):
        assert residual[pivot] >= residual.max() - 4 * (k + 1) * EPS
        residual = np.maximum(residual - decomposition.factor[k] ** 2, 0)


@pytest.mark.parametrize("n", [1023, 1024, 1025, 3000])
def test_growing_in_two_steps_is_growing_in_one(n):
    X = np.random.default_rng(n).normal(size=(n, 1))
    K = gram.rbf(X, gamma=0.5)

    def until(trace):
        return lambda residual: residual.sum() <= trace

    once, _ = decompose(K, enough=until(1e-9))
    twice, _ = decompose(K, enough=until(1e-2))
    middle = twice.rank
    assert twice.grow(until(1e-9))
    assert 0 < middle < twice.rank < 40
    assert once.pivots == twice.pivots
    np.testing.assert_array_equal(once.factor, twice.factor)
    np.testing.assert_array_equal(once.residual, twice.residual)
    np.testing.assert_allclose(twice.factor.T @ twice.factor, K, atol=1e-9)


def test_only_the_columns_of_pivots_are_asked_for():
    K = gram.rbf(np.linspace(0, 1, 200)[:, None], gamma=1.0)
    asked = []

    def column(i):
        asked.append(i)
        return K[:, i]

    decomposition = PivotedCholesky(np.ones(200), column, 200)
    assert decomposition.grow(lambda residual: residual.max() < 1e-10)
    assert asked == decomposition.pivots
    assert len(asked) < 12


def test_duplicate_points_need_no_columns_of_their_own():
    X = np.repeat(np.random.default_rng(1).normal(size=(20, 2)), 5, axis=0)
    decomposition, _ = decompose(gram.rbf(X, gamma=1.0))
    assert decomposition.rank <= 20


def test_priority_chooses_the_pivots():
    K = np.eye(5)
    decomposition = PivotedCholesky(np.ones(5), lambda i: K[:, i], 2)
    assert not decomposition.grow(never, priority=np.array([1.0, 3.0, 2.0, 5.0, 4.0]))
    assert decomposition.pivots == [3, 4]


def test_callers_arrays_are_left_alone():
    K = gram.rbf(np.linspace(0, 1, 30)[:, None], gamma=1.0)
    K.flags.writeable = False
    diagonal = np.ones(30)
    diagonal.flags.writeable = False
    decomposition = PivotedCholesky(diagonal, lambda i: K[i], 30)
    decomposition.grow(never)
    np.testing.assert_array_equal(diagonal, 1.0)


def test_zero_matrix_has_rank_zero():
    decomposition, done = decompose(np.zeros((4, 4)))
    assert not done
    assert decomposition.rank == 0
    assert decomposition.factor.shape == (0, 4)


def test_threads_do_not_matter():
    K = gram.rbf(np.random.default_rng(2).normal(size=(2500, 2)), gamma=0.5)
    many, _ = decompose(K, 50)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one, _ = decompose(K, 50)
    finally:
        numba.set_num_threads(before)
    assert one.pivots == many.pivots
    np.testing.assert_array_equal(one.factor, many.factor)
