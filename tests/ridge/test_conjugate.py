"""Conjugate gradients: the solution of the system, the textbook's iterates, and what ends them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.reference import ridge as reference
from fastkb.ridge.conjugate import solve


def problem(n=20, targets=3, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 2)), rng.normal(size=(n, targets))
    K = np.exp(-0.5 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    return K, y


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 25),
    targets=st.integers(1, 4),
    weighted=st.booleans(),
    fit_intercept=st.booleans(),
    per_target=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_solves_the_system(n, targets, weighted, fit_intercept, per_target, seed):
    K, y = problem(n, targets, seed)
    rng = np.random.default_rng(seed + 1)
    alpha = rng.uniform(0.1, 2.0, size=targets if per_target else 1)
    weight = rng.integers(0, 4, size=n).astype(float) if weighted else None
    if weighted:
        weight[0] = 1.0
    found = solve(K.dot, y, alpha, weight, fit_intercept=fit_intercept)
    assert found.residual <= 1e-9
    for k, penalty in enumerate(np.broadcast_to(alpha, targets)):
        a, b = reference.fit(K, y[:, k], penalty, weight, fit_intercept)
        np.testing.assert_allclose(found.dual_coef[:, k], a, atol=1e-7)
        if fit_intercept:
            np.testing.assert_allclose(found.intercept[k], b, atol=1e-7)
    assert (found.intercept is None) == (not fit_intercept)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_the_iterates_are_the_textbooks(iterations):
    K, y = problem()
    alpha = np.array([0.5, 1.0, 2.0])
    found = solve(K.dot, y, alpha, tolerance=0.0, most=iterations)
    assert found.iterations == iterations
    for k in range(3):
        expected = reference.conjugate_gradients(K, y[:, k], alpha[k], iterations)
        np.testing.assert_allclose(found.dual_coef[:, k], expected, rtol=1e-9, atol=1e-12)


def test_targets_that_are_solved_wait_for_the_others():
    K, y = problem()
    widths = []

    def times(V):
        widths.append(V.shape[1])
        return K @ V

    found = solve(times, y, np.array([1e6, 1.0, 1e-2]))
    assert found.residual <= 1e-9
    assert widths[0] == 3
    assert widths == [*sorted(widths[:-1], reverse=True), 3]  # the last tells the residual
    assert widths[-2] == 1


def test_nothing_to_fit_takes_no_iteration():
    K, y = problem()
    found = solve(K.dot, 0.0 * y, np.array([1.0]))
    assert (found.iterations, found.residual) == (0, 0.0)
    assert not found.dual_coef.any()
    constant = solve(K.dot, np.full((20, 1), 3.0), np.array([1.0]), fit_intercept=True)
    np.testing.assert_allclose(constant.intercept, [3.0])
    np.testing.assert_allclose(constant.dual_coef, 0.0, atol=1e-9)


def test_what_is_left_is_told():
    K, y = problem()
    found = solve(K.dot, y, np.array([1e-3]), most=2)
    assert found.iterations == 2
    left = y - K @ found.dual_coef - 1e-3 * found.dual_coef
    expected = (np.linalg.norm(left, axis=0) / np.linalg.norm(y, axis=0)).max()
    assert found.residual == pytest.approx(expected, rel=1e-6)
    assert found.residual > 1e-3
    # Along a direction that the matrix takes to nothing there is no step.
    assert solve(lambda V: 0.0 * V, y, np.array([0.0])).residual == 1.0
