"""The oracle itself: small enough to be checked by the definition and by hand."""

import numpy as np
import pytest

from fastkb.reference import ridge

EPS = np.finfo(float).eps


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(7, 7))
    return root @ root.T, rng.normal(size=7), rng.uniform(0.5, 2.0, size=7)


def test_no_step_from_the_solution_lowers_the_objective(problem):
    K, y, weight = problem
    alpha = 0.3
    best = ridge.dual_coefficients(K, y, alpha, weight)
    lowest = ridge.objective(K, y, alpha, best, weight)
    for step in np.random.default_rng(1).normal(size=(50, 7)) * 1e-3:
        assert ridge.objective(K, y, alpha, best + step, weight) > lowest


def test_the_gradient_vanishes_at_the_solution(problem):
    K, y, weight = problem
    a = ridge.dual_coefficients(K, y, 0.3, weight)
    gradient = 2 * K @ (weight * (K @ a - y) + 0.3 * a)
    scale = 2 * np.abs(K) @ (weight * (np.abs(K) @ np.abs(a) + np.abs(y)) + 0.3 * np.abs(a))
    condition = np.linalg.cond(weight[:, None] * K + 0.3 * np.eye(7))
    assert (np.abs(gradient) <= 7 * EPS * condition * scale).all()


def test_one_sample_by_hand():
    # (w K + α) a = w y with K = 2, y = 3, w = 4, α = 1: a = 12/9.
    a = ridge.dual_coefficients([[2.0]], [3.0], 1.0, [4.0])
    assert a == pytest.approx([12 / 9], rel=4 * EPS)
    assert ridge.predictions([[2.0]], a) == pytest.approx([24 / 9], rel=4 * EPS)


def test_leave_one_out_of_two_samples_by_hand():
    # Each is predicted by the other alone: f₋₁(x₁) = K₁₂ y₂ / (K₂₂ + α).
    K = np.array([[2.0, 1.0], [1.0, 3.0]])
    y = np.array([5.0, 7.0])
    expected = [5 - 1 * 7 / (3 + 0.5), 7 - 1 * 5 / (2 + 0.5)]
    assert ridge.leave_one_out_residuals(K, y, 0.5) == pytest.approx(expected, rel=8 * EPS)
    error = ridge.leave_one_out_error(K, y, 0.5, [1.0, 3.0])
    # Weights of what is left: f₋₁ is fitted with w₂ = 3.
    residuals = [5 - 7 / (3 + 0.5 / 3), expected[1]]
    assert error == pytest.approx((residuals[0] ** 2 + 3 * residuals[1] ** 2) / 4, rel=16 * EPS)


def test_a_weight_counts_as_that_many_copies(problem):
    K, y, _ = problem
    copies = np.array([1, 2, 3, 1, 2, 1, 2])
    rows = np.repeat(np.arange(7), copies)
    weighted = K @ ridge.dual_coefficients(K, y, 0.3, copies)
    repeated = K[:, rows] @ ridge.dual_coefficients(K[np.ix_(rows, rows)], y[rows], 0.3)
    condition = np.linalg.cond(K[np.ix_(rows, rows)] + 0.3 * np.eye(rows.size))
    np.testing.assert_allclose(repeated, weighted, rtol=0, atol=12 * EPS * condition * 10)
