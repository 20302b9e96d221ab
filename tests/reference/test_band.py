"""The oracle of bands, against scikit-learn and known answers."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from fastkb.reference import band, gram

intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


def problem(seed=0, n=30):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.normal(size=(n, 2)), rng.normal(size=(7, 2))
    return X, X_eval, rng.normal(size=n), rng.integers(0, n, n)


def test_refit_is_scikit_learns():
    X, X_eval, y, indices = problem()
    expected = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5).fit(X[indices], y[indices])
    got = band.refit(gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5), y, 0.1, indices)
    np.testing.assert_allclose(got, expected.predict(X_eval), atol=1e-12)


@intercepts
def test_duplicates_are_weights(fit_intercept):
    X, X_eval, y, indices = problem(1)
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    weights = np.bincount(indices, minlength=len(y))
    np.testing.assert_allclose(
        band.weighted_fit(K, cross, y, 1e-3, weights, fit_intercept),
        band.refit(K, cross, y, 1e-3, indices, fit_intercept),
        atol=1e-13,
    )


@intercepts
def test_the_linear_kernel_is_ridge_regression(fit_intercept):
    X, X_eval, y, indices = problem(5)
    K, cross = X @ X.T, X_eval @ X.T
    peer = Ridge(0.7, fit_intercept=fit_intercept, solver="cholesky")
    expected = peer.fit(X[indices], y[indices]).predict(X_eval)
    got = band.refit(K, cross, y, 0.7, indices, fit_intercept)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    weights = np.random.default_rng(6).exponential(size=len(y))
    expected = peer.fit(X, y, sample_weight=weights).predict(X_eval)
    got = band.weighted_fit(K, cross, y, 0.7, weights, fit_intercept)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_constant_goes_with_the_targets():
    X, X_eval, y, indices = problem(1)
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    before = band.refit(K, cross, y, 0.1, indices, True)
    np.testing.assert_allclose(
        band.refit(K, cross, y + 3, 0.1, indices, True), before + 3, atol=1e-13
    )
    # And is the mean where the penalty leaves nothing else.
    mean = band.refit(K, cross, y, 1e15, indices, True)
    np.testing.assert_allclose(mean, y[indices].mean(), atol=1e-12)


def test_ill_conditioned_systems_are_solved_accurately():
    n = 10
    hilbert = 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1)  # condition 1.6e13
    x = np.arange(1.0, n + 1)
    b = hilbert.astype(np.longdouble) @ x
    error = np.abs(band.solve_accurately(hilbert, b, steps=20) - x).max()
    # Extended precision: eps 1.1e-19 times the condition, where the platform has it.
    assert error <= 100 * float(np.finfo(np.longdouble).eps) * 1.6e13


@intercepts
def test_sensitivity_bounds_what_a_rounded_kernel_does(fit_intercept):
    X, X_eval, y, indices = problem(2)
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    size = 1e6  # far above the rounding errors of the fits themselves
    noise = np.random.default_rng(3)
    eps = np.finfo(float).eps * size
    moved = K + eps * noise.uniform(-1, 1, K.shape)
    moved_cross = cross + eps * noise.uniform(-1, 1, cross.shape)
    before = band.refit(K, cross, y, 1.0, indices, fit_intercept)
    after = band.refit(moved, moved_cross, y, 1.0, indices, fit_intercept)
    bound = size * band.rounding_sensitivity(K, cross, y, 1.0, indices, fit_intercept)
    assert (np.abs(after - before) <= bound).all()
    assert (np.abs(after - before) > bound * 1e-5).any()


def test_percentiles_are_numpys():
    draws = np.random.default_rng(4).normal(size=(37, 5))
    low, high = band.percentiles(draws, 0.9)
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.05, 0.95], axis=0), rtol=1e-14)
