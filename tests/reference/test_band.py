"""The oracle of bands, against scikit-learn and known answers."""

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from fastkb.reference import band, gram


def problem(seed=0, n=30):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.normal(size=(n, 2)), rng.normal(size=(7, 2))
    return X, X_eval, rng.normal(size=n), rng.integers(0, n, n)


def test_refit_is_scikit_learns():
    X, X_eval, y, indices = problem()
    expected = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5).fit(X[indices], y[indices])
    got = band.refit(gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5), y, 0.1, indices)
    np.testing.assert_allclose(got, expected.predict(X_eval), atol=1e-12)


def test_duplicates_are_weights():
    X, X_eval, y, indices = problem(1)
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    weights = np.bincount(indices, minlength=len(y))
    np.testing.assert_allclose(
        band.weighted_fit(K, cross, y, 1e-3, weights),
        band.refit(K, cross, y, 1e-3, indices),
        atol=1e-13,
    )


def test_ill_conditioned_systems_are_solved_accurately():
    n = 10
    hilbert = 1.0 / (np.arange(n)[:, None] + np.arange(n) + 1)  # condition 1.6e13
    x = np.arange(1.0, n + 1)
    b = hilbert.astype(np.longdouble) @ x
    error = np.abs(band.solve_accurately(hilbert, b, steps=20) - x).max()
    # Extended precision: eps 1.1e-19 times the condition, where the platform has it.
    assert error <= 100 * float(np.finfo(np.longdouble).eps) * 1.6e13


def test_sensitivity_bounds_what_a_rounded_kernel_does():
    X, X_eval, y, indices = problem(2)
    K, cross = gram.rbf(X, gamma=0.5), gram.rbf(X_eval, X, gamma=0.5)
    size = 1e6  # far above the rounding errors of the fits themselves
    noise = np.random.default_rng(3)
    eps = np.finfo(float).eps * size
    moved = K + eps * noise.uniform(-1, 1, K.shape)
    moved_cross = cross + eps * noise.uniform(-1, 1, cross.shape)
    before = band.refit(K, cross, y, 1.0, indices)
    after = band.refit(moved, moved_cross, y, 1.0, indices)
    bound = size * band.rounding_sensitivity(K, cross, y, 1.0, indices)
    assert (np.abs(after - before) <= bound).all()
    assert (np.abs(after - before) > bound * 1e-5).any()


def test_percentiles_are_numpys():
    draws = np.random.default_rng(4).normal(size=(37, 5))
    low, high = band.percentiles(draws, 0.9)
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.05, 0.95], axis=0), rtol=1e-14)
