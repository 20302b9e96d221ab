"""The kernel of an estimator on given data: the same numbers as the estimator's own."""

import numpy as np
import pytest
import sklearn.kernel_ridge
from scipy import sparse

import fastkb
from fastkb import kernels
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.random.streams import key_from_rng
from fastkb.reference.streams import bootstrap_indices

MODELS = {
    "rbf": {"kernel": "rbf", "gamma": 0.7},
    "rbf, default gamma": {"kernel": "rbf"},
    "laplacian": {"kernel": "laplacian", "gamma": 0.7},
    "linear": {"kernel": "linear"},
    "poly": {"kernel": "poly", "degree": 2, "coef0": 0.5},
    "sigmoid": {"kernel": "sigmoid", "gamma": 0.1},
    "cosine": {"kernel": "cosine"},
    "matern": {"kernel": kernels.Matern(2.5, 0.7)},
    "sum": {"kernel": kernels.RBF() + 0.5 * kernels.Linear()},
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
    if isinstance(model.kernel, kernels.Kernel) and cls is not fastkb.KernelRidge:
        pytest.skip("scikit-learn's estimator takes a callable for a function of two rows")
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
    known |= isinstance(parameters["kernel"], kernels.Kernel)
    assert source.is_positive_semidefinite == known


def test_kernel_objects():
    X, X_eval = points()
    source = KernelSource(fastkb.KernelRidge(kernel=kernels.RBF(sigma=2.0)), X, X_eval)
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


def test_diagonals_of_our_kernels_take_no_matrix(monkeypatch):
    X, X_eval = points()
    for kernel in ("rbf", "linear", "poly", "cosine", kernels.Matern() * kernels.Linear()):
        source = KernelSource(fastkb.KernelRidge(kernel=kernel), X, X_eval)
        expected = np.diag(source._matrix(np.concatenate([X, X_eval])))
        monkeypatch.setattr(source, "_matrix", lambda *a: pytest.fail("a matrix was computed"))
        np.testing.assert_allclose(source.diagonal(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.Matern(2.5, 0.3),
        kernels.Matern(2.5, 0.3) + 0.1 * kernels.Linear(),
        kernels.RationalQuadratic(0.7, 0.3) * kernels.Periodic(4.0),
    ],
    ids=repr,
)
def test_bands_of_smooth_kernel_objects_are_refits_by_the_low_rank_solver(kernel):
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 3, 1000))[:, None]
    y = np.sin(3 * x[:, 0]) + 0.2 * rng.standard_normal(1000)
    x_eval = np.linspace(0, 3, 25)[:, None]
    model = fastkb.KernelRidge(alpha=1e-2, kernel=kernel)
    band = fastkb.bootstrap_band(model, x, y, x_eval, n_resamples=6, rng=0)
    assert band.solver == "lowrank", band.reason
    K, cross = kernel(x), kernel(x_eval, x)
    for b in range(6):
        rows = bootstrap_indices(key_from_rng(0), b, 1000)
        dual = np.linalg.solve(K[np.ix_(rows, rows)] + 1e-2 * np.eye(1000), y[rows])
        refit = cross[:, rows] @ dual
        assert np.abs(band.distribution[b] - refit).max() <= 1e-6 * np.ptp(y)
