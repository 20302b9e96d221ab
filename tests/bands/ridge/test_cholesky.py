"""The solver of one factorisation for each replicate: exact, whatever the chunk and the threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastkb
from fastkb.bands.ridge.cholesky import CholeskyProblem, predict, workspace
from fastkb.linalg.cholesky import NR
from fastkb.reference import band as reference


def _problem(n, n_eval, alpha, seed, fit_intercept=False):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    K = fastkb.rbf_kernel(X)
    cross = fastkb.rbf_kernel(rng.standard_normal((n_eval, 3)), X)
    alpha = np.asarray(alpha, dtype=float)
    return CholeskyProblem(
        K, cross, rng.standard_normal((len(alpha), n)), alpha, fit_intercept
    ), rng


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 120),
    n_eval=st.integers(1, 30),
    alpha=st.lists(st.sampled_from([1e-4, 1e-2, 3.0]), min_size=1, max_size=4),
    n_replicates=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
    fit_intercept=st.booleans(),
)
def test_is_the_fit_of_the_duplicated_rows(n, n_eval, alpha, n_replicates, seed, fit_intercept):
    problem, rng = _problem(n, n_eval, alpha, seed, fit_intercept)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=n_replicates).astype(float)
    got, failed = predict(problem, weights, workspace(problem))
    assert got.shape == (n_replicates, n_eval, len(alpha))
    assert not failed.any()
    for b in range(n_replicates):
        rows = np.repeat(np.arange(n), weights[b].astype(int))
        for t, penalty in enumerate(problem.alpha):
            K, cross, y = problem.K, problem.cross, problem.y[t]
            expected = reference.refit(K, cross, y, penalty, rows, fit_intercept)
            # The condition number is at most (n + λ)/λ, for either way of solving.
            tolerance = 20 * n * np.finfo(float).eps * (1 + n / penalty) * np.abs(problem.y).max()
            assert np.abs(got[b, :, t] - expected).max() <= tolerance


@pytest.mark.parametrize("n_targets", [NR - 1, NR, NR + 1])
def test_right_hand_sides_about_a_panel(n_targets):
    problem, rng = _problem(40, 3, [0.1] * n_targets, 0, fit_intercept=True)
    weights = rng.exponential(size=(2, 40))
    got, _ = predict(problem, weights, workspace(problem))
    for b, t in np.ndindex(2, n_targets):
        expected = reference.weighted_fit(
            problem.K, problem.cross, problem.y[t], 0.1, weights[b], True
        )
        np.testing.assert_allclose(got[b, :, t], expected, atol=1e-11)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_neither_chunks_nor_threads_change_a_bit(fit_intercept):
    problem, rng = _problem(150, 20, [1e-3, 1e-1], 0, fit_intercept)
    weights = rng.multinomial(150, np.full(150, 1 / 150), size=11).astype(float)
    whole, _ = predict(problem, weights, workspace(problem))
    parts = [predict(problem, weights[b : b + 3], workspace(problem))[0] for b in range(0, 11, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one, _ = predict(problem, weights, workspace(problem))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(one, whole)


@pytest.mark.parametrize("bad", [0, 2])
def test_singular_replicates_are_reported(bad):
    problem, _ = _problem(10, 2, [0.0], 1)
    K = problem.K.copy()
    K[4], K[:, 4] = K[3], K[:, 3]  # two equal rows: singular where both are drawn
    weights = np.ones((3, 10))
    weights[[b for b in range(3) if b != bad], 4] = 0
    _, failed = predict(problem._replace(K=K), weights, workspace(problem))
    assert failed.tolist() == [b == bad for b in range(3)]
