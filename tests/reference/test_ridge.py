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


# --- the intercept ------------------------------------------------------------------------------


def test_no_step_from_the_solution_with_an_intercept_lowers_the_objective(problem):
    K, y, weight = problem
    a, b = ridge.fit(K, y, 0.3, weight, fit_intercept=True)
    lowest = ridge.objective(K, y, 0.3, a, weight, b)
    rng = np.random.default_rng(1)
    for step, shift in zip(
        rng.normal(size=(50, 7)) * 1e-3, rng.normal(size=50) * 1e-3, strict=True
    ):
        assert ridge.objective(K, y, 0.3, a + step, weight, b + shift) > lowest
    assert abs(a.sum()) <= 70 * EPS * np.abs(a).sum() * np.linalg.cond(K)
    assert ridge.fit(K, y, 0.3, weight)[1] == 0.0


def test_a_constant_of_large_variance_is_an_intercept(problem):
    """b ~ N(0, v) adds v 1 1ᵀ to the kernel; v → ∞ frees it of its penalty."""
    K, y, weight = problem
    a, b = ridge.fit(K, y, 0.3, weight, fit_intercept=True)
    variance = 1e6
    wide = ridge.dual_coefficients(K + variance, y, 0.3, weight)
    # a + O(1/v), and K + v has a condition number of about 7v/0.3.
    assert wide == pytest.approx(a, abs=100 * np.abs(a).max() / variance)
    assert variance * wide.sum() == pytest.approx(b, abs=1e-3)


def test_two_samples_with_an_intercept_by_hand():
    # By symmetry b = 6 and a = (-c, c): (K₂₂ - K₁₂ + α) c = 1 with K = 2 and 1 beside it, α = 1.
    a, b = ridge.fit([[2.0, 1.0], [1.0, 2.0]], [5.0, 7.0], 1.0, fit_intercept=True)
    assert b == pytest.approx(6.0, rel=16 * EPS)
    assert a == pytest.approx([-0.5, 0.5], rel=16 * EPS)
    # The other row alone predicts its own y, wherever.
    residuals = ridge.leave_one_out_residuals(
        [[2.0, 1.0], [1.0, 2.0]], [5.0, 7.0], 1.0, fit_intercept=True
    )
    assert residuals == pytest.approx([-2.0, 2.0], rel=16 * EPS)


def test_folds_of_one_row_are_leave_one_out(problem):
    K, y, weight = problem
    folds = [(np.delete(np.arange(7), i), np.array([i])) for i in range(7)]
    np.testing.assert_array_equal(
        ridge.fold_residuals(K, y, 0.3, folds, weight),
        ridge.leave_one_out_residuals(K, y, 0.3, weight),
    )


# --- the restricted likelihood ------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_restricted_likelihood_is_a_normal_density_of_contrasts(problem, fit_intercept):
    from scipy.linalg import helmert
    from scipy.stats import multivariate_normal

    K, y, weight = problem
    contrasts = helmert(7) if fit_intercept else np.eye(7)
    z = contrasts @ y

    def deviance(K, alpha):
        covariance = contrasts @ (K / alpha + np.diag(1 / weight)) @ contrasts.T
        variance = z @ np.linalg.solve(covariance, z) / len(z)
        return -2 * multivariate_normal(np.zeros(len(z)), variance * covariance).logpdf(z)

    def criterion(K, alpha):
        return ridge.restricted_likelihood(K, y, alpha, weight, fit_intercept)

    # The constant is the same for another penalty and another kernel.
    for other, alpha in ((K, 3.0), (K**2, 0.3)):
        expected = deviance(other, alpha) - deviance(K, 0.3)
        assert criterion(other, alpha) - criterion(K, 0.3) == pytest.approx(expected, abs=1e-10)
    with_nothing = np.append(weight, 0.0)
    larger = np.pad(K, (0, 1)) + 0.0
    assert ridge.restricted_likelihood(
        larger, np.append(y, 9.0), 0.3, with_nothing, fit_intercept
    ) == pytest.approx(criterion(K, 0.3), abs=1e-12)


def test_conjugate_gradients_end_at_the_solution(problem):
    K, y, _ = problem
    exact = ridge.dual_coefficients(K, y, 5.0)
    np.testing.assert_allclose(ridge.conjugate_gradients(K, y, 5.0, 7), exact, rtol=1e-6)
    # One step by hand: K = 2, y = 3, α = 1.
    assert ridge.conjugate_gradients([[2.0]], [3.0], 1.0, 1) == pytest.approx([1.0])
