"""The kernel of an estimator on given data: the same numbers as the estimator's own."""

import numpy as np
import pytest
import sklearn.kernel_ridge
from scipy import sparse

import fastkb
from fastkb.bands.ridge.kernel_source import KernelSource

MODELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.7},
    "rbf, default gamma": {"kernel": "rbf"},
    "laplacian": {"kernel": "laplacian", "gamma": 0.7},
    "linear": {"kernel": "linear"},
    "poly": {"kernel": "poly", "degree": 2, "coef0": 0.5},
    "sigmoid": {"kernel": "sigmoid", "gamma": 0.1},
    "cosine": {"kernel": "cosine"},
    "callable": {"kernel": lambda a, b, c: c + a @ b, "kernel_params": {"c": 2.0}},
}
classes = pytest.mark.parametrize("cls", [fastkb.KernelRidge, sklearn.kernel_ridge.KernelRidge])


def points(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(70, 3)), rng.normal(size=(9, 3))


@classes
@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
def test_all_parts_are_the_estimators_kernel(cls, parameters):
    X, X_eval = points()
    model = cls(**parameters)
    source = KernelSource(model, X, X_eval)
    Z = np.concatenate([X, X_eval])
    whole = model._get_kernel(Z)
    n = source.n
    assert (n, source.n_eval) == (70, 9)
    # Distances by another formula: a few eps of the squared norms, which are below 40 here.
    close = {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(source.gram(), whole[:n, :n], **close)
    np.testing.assert_allclose(source.cross(), whole[n:, :n], **close)
    np.testing.assert_allclose(source.column(75), whole[:, 75], **close)
    np.testing.assert_allclose(source.diagonal(), np.diag(whole), **close)
    np.testing.assert_allclose(source.rows(np.array([3, 72])), whole[[3, 72], :n], **close)
    assert source.gram() is source.gram()
    part = source.part(np.array([2, 5, 60]))
    assert (part.n, part.n_eval) == (3, 1)
    np.testing.assert_allclose(part.gram(), whole[np.ix_([2, 5, 60], [2, 5, 60])], **close)
    known = parameters["kernel"] in ("rbf", "laplacian", "linear", "poly", "cosine")
    assert source.is_positive_semidefinite == known


def test_kernel_objects():
    X, X_eval = points()
    source = KernelSource(fastkb.KernelRidge(kernel=fastkb.kernels.RBF(sigma=2.0)), X, X_eval)
    assert source.is_positive_semidefinite
    np.testing.assert_allclose(source.gram(), fastkb.rbf_kernel(X, gamma=0.125), rtol=1e-14)
    np.testing.assert_array_equal(source.diagonal(), 1.0)


def test_precomputed():
    X, X_eval = points()
    K, cross = fastkb.rbf_kernel(X), fastkb.rbf_kernel(X_eval, X)
    source = KernelSource(fastkb.KernelRidge(kernel="precomputed"), K, cross)
    assert source.is_precomputed
    assert not source.is_positive_semidefinite
    np.testing.assert_array_equal(source.gram(), K)
    np.testing.assert_array_equal(source.cross(), cross)


def test_sparse_points():
    X, X_eval = points()
    X[np.abs(X) < 1] = 0
    dense = KernelSource(fastkb.KernelRidge(kernel="rbf"), X, X_eval)
    thin = KernelSource(
        fastkb.KernelRidge(kernel="rbf"), sparse.csr_matrix(X), sparse.csr_matrix(X_eval)
    )
    np.testing.assert_allclose(thin.gram(), dense.gram(), rtol=1e-12)
    np.testing.assert_allclose(thin.column(71), dense.column(71), rtol=1e-12)
    np.testing.assert_allclose(thin.diagonal(), dense.diagonal(), rtol=1e-12)


def test_a_subclass_keeps_its_own_kernel():
    class Shifted(sklearn.kernel_ridge.KernelRidge):
        def _get_kernel(self, X, Y=None):
            return super()._get_kernel(X, Y) + 1.0

    X, X_eval = points()
    source = KernelSource(Shifted(kernel="linear"), X, X_eval)
    np.testing.assert_allclose(source.gram(), X @ X.T + 1.0, rtol=1e-12)
    assert not source.is_positive_semidefinite


def test_whether_a_constant_is_fitted():
    X, X_eval = points()
    for model, expected in (
        (fastkb.KernelRidge(), False),
        (fastkb.KernelRidge(fit_intercept=True), True),
        (fastkb.KernelRidge(fit_intercept=np.False_), False),
        (sklearn.kernel_ridge.KernelRidge(), False),
    ):
        assert KernelSource(model, X, X_eval).fit_intercept is expected
    with pytest.raises(ValueError, match="fit_intercept must be True or False"):
        KernelSource(fastkb.KernelRidge(fit_intercept="no"), X, X_eval)


def test_kernels_that_overflow_are_refused():
    X, X_eval = points()
    source = KernelSource(fastkb.KernelRidge(kernel="poly", degree=300), 1e3 * X, X_eval)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="NaN or infinity"):
        source.gram()
