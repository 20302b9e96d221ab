"""The basis: whitened, large enough, and refused where it cannot be certified."""

import numpy as np
import pytest

import fastkb
from fastkb.bands.ridge.basis import Basis, Refused, whiten
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.reference import gram


def data(n=80, d=1, seed=0):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(9, d))
    return X, np.sin(6 * X[:, :1]) + 0.2 * rng.standard_normal((n, 1)), X_eval


def build(model, X, y, X_eval, max_rank=1000):
    alpha = np.full(y.shape[1], float(model.alpha))
    return Basis(KernelSource(model, X, X_eval), y, alpha, np.ptp(y, axis=0), max_rank)


def rbf(alpha=1e-3, gamma=20.0, fit_intercept=False):
    return fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma, fit_intercept=fit_intercept)


intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


def test_the_rotated_factor_is_the_kernel_and_its_residual_the_rest():
    X, y, X_eval = data()
    basis = build(rbf(), X, y, X_eval)
    _, rotated = basis.axes()
    Z = np.concatenate([X, X_eval])
    E = gram.rbf(Z, gamma=20.0) - rotated.T @ rotated
    # Rounding: the kernel's values and the rank's products, each a few eps.
    rounding = 10 * (basis.rank + 1) * np.finfo(float).eps
    np.testing.assert_allclose(np.diag(E)[:80], basis.residual, rtol=0, atol=rounding)
    np.testing.assert_allclose(np.diag(E)[80:], basis.residual_eval, rtol=0, atol=rounding)
    assert basis.rank < 30


@intercepts
@pytest.mark.parametrize("penalty", [1e-8, 1e-3, 10.0])
def test_whitened_moments_are_the_identity(penalty, fit_intercept):
    X, y, X_eval = data()
    basis = build(rbf(fit_intercept=fit_intercept), X, y, X_eval)
    eigenvalues, rotated = basis.axes()
    assert (eigenvalues[1:] <= eigenvalues[:-1]).all()
    white = whiten(eigenvalues, rotated, 80, penalty)
    moments = white.psi.T @ white.psi + np.diag(white.shrinkage)
    # The eigenvalues are known to eps times the largest; whitening divides by σ² + λ.
    largest = eigenvalues[int(fit_intercept)]
    tolerance = 100 * np.finfo(float).eps * largest / (eigenvalues[-1] + penalty)
    np.testing.assert_allclose(moments, np.eye(len(eigenvalues)), rtol=0, atol=tolerance)
    assert len(eigenvalues) == basis.rank + fit_intercept
    if fit_intercept:
        np.testing.assert_array_equal(white.psi[:, 0], 1 / np.sqrt(80))
        np.testing.assert_array_equal(white.psi_eval[:, 0], 1 / np.sqrt(80))
        assert white.shrinkage[0] == 0.0


def test_a_constant_takes_the_features_means():
    X, y, X_eval = data()
    _, rotated = build(rbf(), X, y, X_eval).axes()
    eigenvalues, centred = build(rbf(fit_intercept=True), X, y, X_eval).axes()
    assert eigenvalues[0] == np.inf
    np.testing.assert_array_equal(centred[0], 1.0)
    # As many pivots here, with and without.
    means = rotated[:, :80].mean(axis=1, keepdims=True)
    expected = (rotated - means).T @ (rotated - means)
    np.testing.assert_allclose(centred[1:].T @ centred[1:], expected, atol=1e-13)
    np.testing.assert_allclose(centred[1:, :80].mean(axis=1), 0.0, atol=1e-14)


def test_constants_of_the_fits_to_all_data():
    X, y, X_eval = data()
    Y = np.concatenate([y, 3.0 - y, y**2], axis=1)
    basis = build(rbf(fit_intercept=True), X, Y, X_eval)
    K = gram.rbf(X, gamma=20.0)
    system = np.block(
        [[K + 1e-3 * np.eye(80), np.ones((80, 1))], [np.ones((1, 80)), np.zeros((1, 1))]]
    )
    solution = np.linalg.solve(system, np.concatenate([Y, np.zeros((1, 3))]))
    targets = np.array([2, 0])
    got = basis.constants(solution[:-1, targets], targets)
    # LLᵀ has K's means but for what E has: at most √(d_i d_j) for each pair.
    lost = np.sqrt(basis.residual).mean() * (
        np.sqrt(basis.residual) @ np.abs(solution[:-1, targets])
    )
    assert (np.abs(got - solution[-1, targets]) <= lost + 1e-11).all()


@intercepts
def test_more_accuracy_is_more_rank(fit_intercept):
    X, y, X_eval = data()
    basis = build(rbf(0.1, fit_intercept=fit_intercept), X, y, X_eval)
    rank, residual = basis.rank, basis.residual.sum()
    basis.raise_accuracy(100.0)
    assert basis.rank > rank
    assert basis.residual.sum() < residual / 10


@intercepts
def test_a_smaller_penalty_needs_more_rank(fit_intercept):
    X, y, X_eval = data()
    models = [rbf(alpha, fit_intercept=fit_intercept) for alpha in (1.0, 1e-2, 1e-4)]
    ranks = [build(model, X, y, X_eval).rank for model in models]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]


def test_targets_of_any_offset_need_the_same_basis():
    X, y, X_eval = data()
    ranks = [build(rbf(fit_intercept=True), X, y + c, X_eval).rank for c in (0.0, 1e3)]
    assert ranks[0] == ranks[1]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (fastkb.KernelRidge(kernel="sigmoid"), "positive semidefinite"),
        (fastkb.KernelRidge(kernel="poly", degree=2.5), "positive semidefinite"),
        (fastkb.KernelRidge(kernel=lambda a, b: a @ b), "positive semidefinite"),
        (rbf(alpha=0.0), "alpha is 0"),
        (rbf(alpha=1e-14), "rounding"),
    ],
)
def test_refusals_say_why(model, words):
    with pytest.raises(Refused, match=words):
        build(model, *data())


def test_refused_beyond_the_largest_rank():
    with pytest.raises(Refused, match="rank is above 5"):
        build(rbf(), *data(), max_rank=5)


def test_precomputed_kernels_are_refused():
    X, y, X_eval = data()
    K, cross = gram.rbf(X), gram.rbf(X_eval, X)
    model = fastkb.KernelRidge(alpha=1.0, kernel="precomputed")
    with pytest.raises(Refused, match="precomputed"):
        build(model, K, y, cross)
