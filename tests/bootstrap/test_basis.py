"""The basis: whitened, large enough, and refused where it cannot be certified."""

import numpy as np
import pytest

import fastkb
from fastkb.bootstrap.basis import Basis, Refused, whiten
from fastkb.bootstrap.kernel_source import KernelSource
from fastkb.reference import gram


def data(n=80, d=1, seed=0):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(9, d))
    return X, np.sin(6 * X[:, :1]) + 0.2 * rng.standard_normal((n, 1)), X_eval


def build(model, X, y, X_eval, max_rank=1000):
    alpha = np.full(y.shape[1], float(model.alpha))
    return Basis(KernelSource(model, X, X_eval), y, alpha, np.ptp(y, axis=0), max_rank)


def rbf(alpha=1e-3, gamma=20.0):
    return fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma)


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


@pytest.mark.parametrize("penalty", [1e-8, 1e-3, 10.0])
def test_whitened_moments_are_the_identity(penalty):
    X, y, X_eval = data()
    basis = build(rbf(), X, y, X_eval)
    eigenvalues, rotated = basis.axes()
    assert (np.diff(eigenvalues) <= 0).all()
    white = whiten(eigenvalues, rotated, 80, penalty)
    moments = white.psi.T @ white.psi + np.diag(white.shrinkage)
    # The eigenvalues are known to eps times the largest; whitening divides by σ² + λ.
    tolerance = 100 * np.finfo(float).eps * eigenvalues[0] / (eigenvalues[-1] + penalty)
    np.testing.assert_allclose(moments, np.eye(basis.rank), rtol=0, atol=tolerance)


def test_more_accuracy_is_more_rank():
    X, y, X_eval = data()
    basis = build(rbf(alpha=0.1), X, y, X_eval)
    rank, residual = basis.rank, basis.residual.sum()
    basis.raise_accuracy(100.0)
    assert basis.rank > rank
    assert basis.residual.sum() < residual / 10


def test_a_smaller_penalty_needs_more_rank():
    X, y, X_eval = data()
    ranks = [build(rbf(alpha), X, y, X_eval).rank for alpha in (1.0, 1e-2, 1e-4)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]


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
